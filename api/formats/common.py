"""What all foreign formats share: lenient bodies, a conversation, an answer with absolute links."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from api.schemas import AnswerResponse
from index.errors import BadInputError
from qa.types import Answer, Exchange

WORD_STARTS = re.compile(r"(?<=\s)(?=\S)")

Turn: TypeAlias = tuple[bool, str]
"""Whether the user speaks, and what is said."""


class NoQuestionError(BadInputError):
    """A conversation in which the user says nothing."""

    fix = "Send a message of the user; the last one is the question."


class Lenient(BaseModel):
    """A foreign client's body, or a part of one: what it means elsewhere is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def converse(turns: Iterable[Turn]) -> tuple[str, tuple[Exchange, ...]]:
    """Split a conversation, oldest first, into its last question and the exchanges before it.

    What is said after the last question is left out. Raises `NoQuestionError`.
    """
    exchanges: list[Exchange] = []
    for asks, text in turns:
        if asks:
            exchanges.append(Exchange(text))
        elif exchanges:
            said = f"{exchanges[-1].answer}\n{text}".strip()
            exchanges[-1] = Exchange(exchanges[-1].question, said)
    if not exchanges:
        raise NoQuestionError("There is no message of the user.")
    return exchanges[-1].question, tuple(exchanges[:-1])


def publish(answer: Answer, base: str) -> AnswerResponse:
    """Give the native answer with every link absolute; `base` has no slash at its end."""
    body = AnswerResponse.of(answer)
    citations = [c.model_copy(update={"url": base + c.url}) for c in body.citations]
    passages = [p.model_copy(update={"url": base + p.url}) for p in body.passages]
    return body.model_copy(update={"citations": citations, "passages": passages})


def spell(answer: Answer | AnswerResponse) -> str:
    """Give what a person is to read: the answer, or why there is none."""
    if isinstance(answer, AnswerResponse):
        return answer.answer if answer.reason is None else answer.reason.message
    return answer.text if answer.refusal is None else answer.refusal.message


def words(text: str) -> list[str]:
    """Cut a text before each word; the pieces add up to it."""
    return WORD_STARTS.split(text)
