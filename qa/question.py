"""What was typed -> the question that it asks, without orders.

People and scripts write orders: on the form of the answer, "If not found, return unknown.", and in
place of a question, "Find the price of oats." A larger model follows them. One that finds phrases
takes the first for a part of what is asked, was trained on questions, and is less sure of its
answer (docs/decisions/0026).
"""

from __future__ import annotations

import re
from itertools import islice

SENTENCE = re.compile(r"\S.*?(?:[.!?]+[\"'”’)]*(?=\s|$)|$)", re.DOTALL)
IF = re.compile(
    r"if\s+(?:(?:there(?:\s+is|\s+are|'s|’s)\s+)?(?:multiple|several|many|more\s+than\s+one|none"
    r"|no\b|nothing|not\s+(?:found|stated|sure|there|present|known|available|mentioned|given|in\b))"
    r"|unknown|unclear|unsure|you\s+(?:cannot|can't|can’t|do\s+not|don't|don’t|are\s+(?:not|unsure))"
    r"|(?:the\s+)?(?:it|answer|document|passage|text|context)\s+(?:(?:is\s+not|isn't|isn’t)\s+"
    r"(?:found|stated|there|present|known|available|mentioned|given|provided|contained|clear|in)"
    r"|(?:does\s+not|doesn't|doesn’t)\s+(?:say|state|tell|contain|mention|answer|give|exist|appear)))"
    r"\b.*\b(?:answer|reply|respond"
    r"|return|output|record|list|write|say|state|give|provide|put|print|use|choose|pick)\b",
    re.IGNORECASE | re.DOTALL,
)
"""A case of the answer, and what to do then."""
ORDER = re.compile(
    r"(?:please\s+)?(?:"
    r"(?:only\s+|just\s+)?(?:answer|reply|respond)(?:\s+(?:with|only|just|briefly|shortly|concisely|as"
    r"|yes|no|in\s+(?:one|two|three|a|an|at\s+most|no\s+more|full|complete|json|english))\b|\W*$)"
    r"|(?:return|output|print|give|provide)\s+(?:me\s+)?(?:only|just|json"
    r"|(?:the|your|an?)\s+(?:short\s+|brief\s+|single\s+|final\s+)?(?:answer|value|result)s?"
    r"(?:\W*$|\s+(?:in|as|only|alone|with|without)\b))"
    r"|keep\s+(?:it|the\s+answer|your\s+answer)\b"
    r"|be\s+(?:brief|concise|short|precise)\b"
    r"|use\s+(?:at\s+most|no\s+more|one\b|a\s+single|complete\s+sentences)"
    r"|(?:do\s+not|don't|don’t|never)\s+(?:explain|add|guess|make\s+(?:up|anything))\b"
    r"|(?:think|work)\s+step\s+by\s+step\b"
    r"|(?:many\s+)?thank(?:s|\s+you)(?:\s+in\s+advance|\s+(?:very|so)\s+much)?\W*$)",
    re.IGNORECASE,
)
"""How to answer, whatever the answer is."""

FIND = re.compile(
    r"(?:please\s+)?(?:find(?:\s+out)?|look\s+up|state|extract"
    r"|(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?)?(?:tell|give|show)\s+me)\s+"
    r"(?=(?:the|my|our|your|his|her|its|their)\s+\S)",
    re.IGNORECASE,
)
"""How an order begins to find something that has a name for what it is."""
MORE = re.compile(
    r"\n|:\s|\bwho\b|\b(?:and|then)\s+(?:explain|describe|list|say|tell|give|show|compare|why|how)\b"
    r"|^\w+\s+(?:\w+\s+)?(?:lists?|persons?|people|answers?|values?\W*$|results?\W*$)\b",
    re.IGNORECASE,
)
"""What asks for a person, for several things, or for what a question with "what" does not."""
MANY = re.compile(
    r"\w+\s+(?:[\w'’-]+\s+)?[\w'’-]*[^\Wsui]s(?=\s+(?:of|in|on|at|for|from|to|by|with)\b|$)",
    re.IGNORECASE,
)
"""What it is, in the plural."""


def read_question(typed: str) -> str:
    """Give what was typed as the question that it asks; English only.

    Orders on the form of an answer that follow it are left out. An order to find something becomes
    a question: "Find the price of oats. Be brief." asks "What is the price of oats?".
    """
    question = _strip_orders(typed)
    what = _named(question)
    if what is None:
        return question
    return f"What {'are' if MANY.match(what) else 'is'} {what}?"


def _named(question: str) -> str | None:
    """Give what an order says is to be found; None for what is no such order, or more than one."""
    sentences = list(islice(SENTENCE.finditer(question), 2))
    found = FIND.match(sentences[0].group()) if len(sentences) == 1 else None
    if found is None:
        return None
    what = sentences[0].group()[found.end() :].rstrip(" .:!?…")
    if what.casefold().endswith(" please"):
        what = what[: -len(" please")].rstrip(" ,")
    return None if MORE.search(what) else what


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
    return _has_question_mark(sentence) or _named(sentence) is not None


def _is_order(sentence: str) -> bool:
    return not _has_question_mark(sentence) and bool(IF.match(sentence) or ORDER.match(sentence))


def _has_question_mark(sentence: str) -> bool:
    return sentence.rstrip("\"'”’)").endswith("?")
