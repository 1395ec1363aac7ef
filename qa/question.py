"""What was typed -> what it asks, without what it says about the form of the answer.

People and scripts write such orders after a question: "If not found, return unknown." A larger
model follows them. One that finds phrases takes them for a part of what is asked, and is less sure
of its answer.
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


def strip_orders(question: str) -> str:
    """Give a question without the orders on the form of its answer that follow it; English only.

    What comes before the first question mark stays, as does what asks for more than a form.
    """
    sentences = [found.group() for found in SENTENCE.finditer(question)]
    asked = next((n for n, sentence in enumerate(sentences) if _is_asked(sentence)), None)
    if asked is None:
        return question
    orders = {n for n, sentence in enumerate(sentences) if n > asked and _is_order(sentence)}
    kept = (sentence for n, sentence in enumerate(sentences) if n not in orders)
    return " ".join(kept) if orders else question


def _is_asked(sentence: str) -> bool:
    return sentence.rstrip("\"'”’)").endswith("?")


def _is_order(sentence: str) -> bool:
    return not _is_asked(sentence) and bool(IF.match(sentence) or ORDER.match(sentence))
