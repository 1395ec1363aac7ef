"""The Vercel AI SDK's UI message stream, version 1, for `useChat` and `DefaultChatTransport`.

Source of the format: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol, and the SDK's own schema
`uiMessageChunkSchema`. The first releases of 5 and 6 refuse a part with any key that they do not
know, so each part has only the keys that all versions know.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from api.events import comment, frame
from api.formats.common import Lenient, Turn, converse, publish, spell, words
from api.schemas import Problem, Text
from index.errors import BadInputError
from qa.types import Answer, Ask, Ended, Event, Refused, Started

HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
DONE = b"data: [DONE]\n\n"
TEXT_ID = "answer"


class UnreadablePartError(BadInputError):
    """A file in a message."""

    fix = "Ask in words; add files to the documents with POST /v1/documents."


class UIPart(Lenient):
    """A part of a message; in an assistant's, only text counts."""

    type: str
    text: Text = ""


class UIMessage(Lenient):
    """A message of a chat."""

    role: Literal["system", "user", "assistant"]
    parts: list[UIPart] = Field(default=[])

    def to_turns(self) -> Iterable[Turn]:
        """Give what was said; the system says nothing here. Raises `UnreadablePartError`."""
        if self.role == "system":
            return
        if self.role == "user" and any(part.type == "file" for part in self.parts):
            raise UnreadablePartError("Files in a message cannot be read.")
        yield self.role == "user", "".join(p.text for p in self.parts if p.type == "text")


class ChatRequest(Lenient):
    """A chat; `collection` comes from the transport's `body` option."""

    messages: list[UIMessage]
    collection: str | None = None

    def to_ask(self, collection: str) -> Ask:
        """Give the question as the chain takes it. Raises `BadInputError`."""
        question, history = converse(turn for m in self.messages for turn in m.to_turns())
        return Ask(question, collection, history)


class UIMessageStream:
    """The parts of one message: its text, and for each citation a source and the native citation.

    A refusal's message is text too, with its reason and nearest passages in `data-refusal`.
    """

    def __init__(self, base: str) -> None:
        self._base = base

    def event(self, event: Event) -> Iterable[bytes]:
        """Give the parts of an event; tokens have none, for no client takes words back."""
        match event:
            case Started():
                yield frame({"type": "start"})
            case Ended(answer) | Refused(answer):
                yield from (frame(part) for part in self._conclude(answer))
                yield DONE
            case _:
                pass

    def problem(self, problem: Problem) -> Iterable[bytes]:
        """Give the error as a person is to read it."""
        yield frame({"type": "error", "errorText": f"{problem.detail} {problem.fix}".strip()})
        yield DONE

    def beat(self) -> bytes:
        """Give a comment."""
        return comment()

    def _conclude(self, answer: Answer) -> Iterable[dict[str, Any]]:
        told = publish(answer, self._base)
        yield {"type": "text-start", "id": TEXT_ID}
        for word in words(spell(told)):
            yield {"type": "text-delta", "id": TEXT_ID, "delta": word}
        yield {"type": "text-end", "id": TEXT_ID}
        for number, citation in enumerate(told.citations, 1):
            name = f"citation-{number}"
            source = {"sourceId": name, "url": citation.url, "title": citation.title}
            yield {"type": "source-url", **source}
            yield {"type": "data-citation", "id": name, "data": citation.model_dump()}
        if told.reason is not None:
            passages = [passage.model_dump() for passage in told.passages]
            data = {"reason": told.reason.model_dump(), "passages": passages}
            yield {"type": "data-refusal", "id": "refusal", "data": data}
        yield {"type": "finish", "messageMetadata": {"id": told.id}}
