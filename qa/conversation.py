"""A follow-up and its history -> a question that stands alone.

Most follow-ups stand alone already, and then a small model's rewriting costs seconds and makes them
worse: on `mtrag` (Katsis et al. 2025) the search finds as much with the question as it was typed as
with a human's rewrite, where the question names what it is about. Where it does not, the search
looks up both, the rewritten one and what was typed: a rewriting alone is worse than none on the
set's tune questions, and both together never are (docs/answers.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel

from qa.prompts import flatten, rewrite_messages
from qa.types import Exchange
from qa.words import FUNCTION_WORDS, content_stems, words

TURNS = 4
"""How many exchanges back a follow-up may refer."""
MAX_CHARACTERS = 400
LEAST_TOPIC = 3
"""How many words that carry meaning a question needs to be about something by itself."""
POINTING = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|she|his|her|hers|him|this|that|these|those|one|ones"
    r"|there|then|same|others?|else|another|both|also|too|instead)\b"
    r"|^(?:and|but|or|so|why|how so|what about|how about|tell me more|more)\b",
    re.IGNORECASE,
)
"""What points at something that was said before."""


def stands_alone(question: str) -> bool:
    """Say whether a question can be understood by itself, as far as a look at its words tells.

    English only: a question without a single English function word is never said to.
    """
    if not any(w.casefold() in FUNCTION_WORDS for w in words(question)):
        return False
    return len(content_stems(question)) >= LEAST_TOPIC and not POINTING.search(question)


async def stand_alone(question: str, history: Sequence[Exchange], model: BaseChatModel) -> str:
    """Rewrite a follow-up with the model's help; the question itself where that gives nothing."""
    recent = tuple(history)[-TURNS:]
    if not recent:
        return question
    reply = await model.ainvoke(rewrite_messages(question, recent))
    rewritten = flatten(str(reply.text)).removeprefix("Question:").strip()
    return rewritten if 0 < len(rewritten) <= MAX_CHARACTERS else question
