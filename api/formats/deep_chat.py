"""The deep-chat web component: `{"text"}` or `{"error"}`, whole or as a stream.

Source of the format: https://deepchat.dev/docs/connect#Request and #Response. It alone can take
words back: an event with `overwrite` replaces the message, so the tokens are streamed as they come.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from api.errors import retry_after
from api.events import frame
from api.formats.common import Lenient, converse, publish, spell
from api.schemas import Problem, Text
from qa.types import Answer, Ask, Ended, Event, Refused, Token

WITHDRAWN = "The answer broke off; what stood here was not verified."


class DeepChatMessage(Lenient):
    """A message; the component calls the user `user`, and others as the page likes."""

    role: str = "user"
    text: Text = ""


class DeepChatRequest(Lenient):
    """A conversation; `collection` comes from `connect.additionalBodyProps`."""

    messages: list[DeepChatMessage]
    collection: str | None = None
    stream: bool = False

    def to_ask(self, collection: str) -> Ask:
        """Give the question as the chain takes it. Raises `BadInputError`."""
        question, history = converse((m.role == "user", m.text) for m in self.messages)
        return Ask(question, collection, history)


def reply(answer: Answer, base: str) -> dict[str, Any]:
    """Give a whole answer; `custom` stays with the message, for the page's own code."""
    told = publish(answer, base)
    kept = told.model_dump(include={"id", "answered", "reason", "citations"})
    refused = told.model_dump(include={"passages"}) if told.reason else {}
    return {"text": spell(told), "custom": kept | refused}


class DeepChatStream:
    """Pieces of text as they are written; the last event is the whole text, proven."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._shown = False

    def event(self, event: Event) -> Iterable[bytes]:
        """Give at most one frame."""
        match event:
            case Token(text) if text:
                self._shown = True
                yield frame({"text": text})
            case Ended(answer) | Refused(answer):
                yield frame({**reply(answer, self._base), "overwrite": True})
            case _:
                pass

    def problem(self, problem: Problem) -> Iterable[bytes]:
        """Give the error; words that were shown are taken back first."""
        taken = {"text": WITHDRAWN, "overwrite": True} if self._shown else {}
        yield frame({**taken, **to_error(problem)})

    def beat(self) -> bytes:
        """Give a piece without text: a comment reaches a page's interceptor as `{}`."""
        return frame({"text": ""})


def to_error(problem: Problem) -> dict[str, str]:
    """Give a problem as the component takes it.

    A page shows the text where it has `errorMessages.displayServiceErrorMessages`.
    """
    return {"error": f"{problem.detail} {problem.fix}".strip()}


def respond(problem: Problem) -> JSONResponse:
    """Send a problem; as plain JSON, since no other kind is read."""
    return JSONResponse(to_error(problem), status_code=problem.status, headers=retry_after(problem))


class DeepChatRoute(APIRoute):
    """A route whose clients know deep-chat's errors."""

    shape = staticmethod(respond)
