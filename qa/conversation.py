"""A follow-up and its history -> a question that stands alone."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel

from qa.prompts import flatten, rewrite_messages
from qa.types import Exchange

TURNS = 4
"""How many exchanges back a follow-up may refer."""
MAX_CHARACTERS = 400


async def stand_alone(question: str, history: Sequence[Exchange], model: BaseChatModel) -> str:
    """Rewrite a follow-up with the model's help; the question itself where that gives nothing."""
    recent = tuple(history)[-TURNS:]
    if not recent:
        return question
    reply = await model.ainvoke(rewrite_messages(question, recent))
    rewritten = flatten(str(reply.text)).removeprefix("Question:").strip()
    return rewritten if 0 < len(rewritten) <= MAX_CHARACTERS else question
