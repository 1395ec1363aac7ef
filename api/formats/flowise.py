"""Flowise's prediction API, for its embedded chat: a collection is a chatflow.

Source of the format: https://docs.flowiseai.com/api-reference/prediction, and what the client
`flowise-embed` reads: a stream's events have no name, their data is `{"event", "data"}`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import AliasChoices, Field

from api.errors import retry_after
from api.events import comment, frame
from api.formats.common import Lenient, converse, publish, spell, words
from api.schemas import AnswerResponse, CitationBody, Problem, Text
from qa.types import Answer, Ask, Ended, Event, Refused, Started

USER_ROLES = {"userMessage", "user"}


class FlowiseMessage(Lenient):
    """A message of the history, under its newer or its older names."""

    role: str = Field(validation_alias=AliasChoices("role", "type"))
    content: Text = Field("", validation_alias=AliasChoices("content", "message"))


class PredictionRequest(Lenient):
    """A question; `history` holds the conversation before it, for nothing is kept by `chatId`."""

    question: Text
    chatId: str | None = None  # noqa: N815  the name on the wire
    history: list[FlowiseMessage] | None = None
    streaming: bool = False

    def to_ask(self, collection: str) -> Ask:
        """Give the question as the chain takes it."""
        earlier = [(m.role in USER_ROLES, m.content) for m in self.history or []]
        _, history = converse([*earlier, (True, self.question)])
        return Ask(self.question, collection, history)

    def name_chat(self) -> str:
        """Give the chat's id, a new one where the client has none."""
        return self.chatId or str(uuid.uuid4())


def reply(answer: Answer, base: str, chat: str) -> dict[str, Any]:
    """Give a whole answer; `footnote` is the native one."""
    told = publish(answer, base)
    return {"text": spell(told), "sourceDocuments": cite(told), **describe(told, chat)}


def cite(told: AnswerResponse) -> list[dict[str, Any]]:
    """Give an answer's citations as documents; the client opens `source` when one is clicked."""
    return [_document(citation) for citation in told.citations]


def describe(told: AnswerResponse, chat: str) -> dict[str, Any]:
    """Give what belongs to an answer beside its text."""
    return {"chatId": chat, "question": told.question, "footnote": told.model_dump()}


def _document(citation: CitationBody) -> dict[str, Any]:
    rest = citation.model_dump(exclude={"quote", "url"})
    return {"pageContent": citation.quote, "metadata": {"source": citation.url, **rest}}


class PredictionStream:
    """The events of one prediction: start, token, sourceDocuments, metadata, end; or error."""

    def __init__(self, base: str, chat: str) -> None:
        self._base = base
        self._chat = chat

    def event(self, event: Event) -> Iterable[bytes]:
        """Give the frames of an event; tokens have none, for no client takes words back."""
        match event:
            case Started(question):
                yield _frame("start", question)
            case Ended(answer) | Refused(answer):
                yield from self._conclude(answer)
            case _:
                pass

    def problem(self, problem: Problem) -> Iterable[bytes]:
        """Give the error as a person is to read it."""
        yield _frame("error", f"{problem.detail} {problem.fix}".strip())

    def beat(self) -> bytes:
        """Give a comment."""
        return comment()

    def _conclude(self, answer: Answer) -> Iterable[bytes]:
        told = publish(answer, self._base)
        for word in words(spell(told)):
            yield _frame("token", word)
        if documents := cite(told):
            yield _frame("sourceDocuments", documents)
        yield _frame("metadata", describe(told, self._chat))
        yield _frame("end", "[DONE]")


def _frame(name: str, data: Any) -> bytes:
    return frame({"event": name, "data": data})


def respond(problem: Problem) -> JSONResponse:
    """Send a problem as Flowise does; the client shows its `message`."""
    told = f"{problem.detail} {problem.fix}".strip()
    body = {"statusCode": problem.status, "success": False, "message": told}
    return JSONResponse(body, status_code=problem.status, headers=retry_after(problem))


class FlowiseRoute(APIRoute):
    """A route whose clients know Flowise's errors."""

    shape = staticmethod(respond)
