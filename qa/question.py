"""What was typed -> the question that it asks, without orders.

People and scripts write orders: on the form of the answer, "If not found, return unknown.", and in
place of a question, "Find the price of oats." A larger model follows them. One that finds phrases
takes the first for a part of what is asked, was trained on questions, and is less sure of its
answer (docs/decisions/0026).
"""

from __future__ import annotations

import re

SENTENCE = re.compile(r"\S.*?(?:[.!?]+[\"'”’)]*(?=\s|$)|$)", re.DOTALL)
IF = re.compile(
    r"if\s+(?:(?:there(?:\s+is|\s+are|'s|’s)\s+)?(?:multiple|several|many|more\s+than\s+one|none"
    r"|no\b|nothing|not\s+(?:found|stated|sure|there|present|known|available|mentioned|given|in\b))"
    r"|unknown|unclear|unsure|you\s+(?:cannot|can't|can’t|do\s+not|don't|don’t|are\s+(?:not|unsure))"
    r"|(?:the\s+)?(?:it|answer|document|passage|text|context)\s+"
    r"(?:is\s+not|isn't|isn’t|does\s+not|doesn't|doesn’t))\b.*\b(?:answer|reply|respond"
    r"|return|output|record|list|write|say|state|give|provide|put|print|use|choose|pick)\b",
    re.IGNORECASE | re.DOTALL,
)
"""A case of the answer, and what to do then."""
ORDER = re.compile(
    r"(?:please\s+)?(?:"
    r"(?:only\s+|just\s+)?(?:answer|reply|respond)(?:\s+(?:with|only|just|briefly|shortly|concisely|as"
    r"|yes|no|in\s+(?:one|two|three|a|an|at\s+most|no\s+more|full|complete|json|english))\b|\W*$)"
    r"|(?:return|output|print|give|provide)\s+(?:me\s+)?(?:only|just|json"
    r"|(?:the|your|an?)\s+(?:short\s+|brief\s+|single\s+|final\s+)?(?:answer|value|result)s?\b)"
    r"|keep\s+(?:it|the\s+answer|your\s+answer)\b"
    r"|be\s+(?:brief|concise|short|precise)\b"
    r"|use\s+(?:at\s+most|no\s+more|one\b|a\s+single|complete\s+sentences)"
    r"|(?:do\s+not|don't|don’t|never)\s+(?:explain|add|guess|make\s+(?:up|anything))\b"
    r"|(?:think|work)\s+step\s+by\s+step\b)",
    re.IGNORECASE,
)
"""How to answer, whatever the answer is."""

FIND = re.compile(
    r"\s*(?:please\s+)?(?:(?:can|could|would|will)\s+you\s+)?(?:please\s+)?"
    r"(?:find(?:\s+out)?|give(?:\s+me)?|tell\s+me|show\s+me|get(?:\s+me)?|look\s+up|state|extract)\s+"
    r"(?P<what>(?:the|my|our|your|his|her|its|their)\s+"
    r"(?!(?:short\s+|brief\s+|single\s+|final\s+)?(?:answer|value|result)s?\W*$)[^.!?]*(?:[.!?]+(?=\S)[^.!?]*)*)"
    r"[.!?]*\s*",
    re.IGNORECASE,
)
"""An order to find something that has a name for what it is: one sentence."""
MANY = re.compile(
    r"\w+(?:\s+(?!(?:of|in|on|at|for|from|to|by|with|that|which|who)\b)[\w$%'’-]+)*?"
    r"\s+[\w'’-]*[^\Wsui]s(?=\s+(?:of|in|on|at|for|from|to|by|with|that|which|who)\b|$)",
    re.IGNORECASE,
)
"""What it is, in the plural."""


def read_question(typed: str) -> str:
    """Give what was typed as the question that it asks; English only.

    Orders on the form of an answer that follow it are left out. An order to find something becomes
    a question: "Find the price of oats. Be brief." asks "What is the price of oats?".
    """
    question = _strip_orders(typed)
    found = FIND.fullmatch(question)
    if found is None:
        return question
    what = found["what"].rstrip()
    return f"What {'are' if MANY.match(what) else 'is'} {what}?"


def _strip_orders(typed: str) -> str:
    """Leave out what follows the first that is asked, where it asks for no more than a form."""
    sentences = [found.group() for found in SENTENCE.finditer(typed)]
    asked = next((n for n, sentence in enumerate(sentences) if _is_asked(sentence)), None)
    if asked is None:
        return typed
    orders = {n for n, sentence in enumerate(sentences) if n > asked and _is_order(sentence)}
    kept = (sentence for n, sentence in enumerate(sentences) if n not in orders)
    return " ".join(kept) if orders else typed


def _is_asked(sentence: str) -> bool:
    return sentence.rstrip("\"'”’)").endswith("?") or FIND.fullmatch(sentence) is not None


def _is_order(sentence: str) -> bool:
    told = sentence.rstrip("\"'”’)")
    return not told.endswith("?") and bool(IF.match(sentence) or ORDER.match(sentence))
