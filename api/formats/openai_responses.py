"""OpenAI's responses: one message of one `output_text`, whose annotations are the citations.

Source of the format: https://platform.openai.com/docs/api-reference/responses, and the types of the
`openai` package, which say which fields an event must have.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from api.events import comment, frame
from api.formats.common import Lenient, converse, publish, spell, words
from api.formats.openai import Message, UrlCitation, to_error, used
from api.schemas import AnswerResponse, Problem, Text
from qa.types import Answer, Ask, Ended, Event, Refused, Started

PLACE = {"output_index": 0, "content_index": 0}


class InputMessage(Message):
    """A message; items of other kinds cannot be read here."""

    type: Literal["message"] = "message"


class ResponsesRequest(Lenient):
    """A question, or a conversation whose last message of the user is the question.

    `model` names the collection; `instructions` are ignored. Nothing is kept, so the conversation
    comes with every request and `previous_response_id` cannot be used.
    """

    model: str
    input: Text | list[InputMessage] = Field(union_mode="left_to_right")
    stream: bool | None = False
    previous_response_id: None = None
    conversation: None = None

    def to_ask(self, collection: str) -> Ask:
        """Give the question as the chain takes it. Raises `BadInputError`."""
        if isinstance(self.input, str):
            return Ask(self.input, collection)
        question, history = converse(turn for m in self.input for turn in m.to_turns())
        return Ask(question, collection, history)


class Response:
    """One response on its way: `model` is what was asked for, `base` begins its links."""

    def __init__(self, model: str, base: str) -> None:
        self.base = base
        self.message = f"msg_{uuid.uuid4().hex}"
        self._model = model
        self._id = f"resp_{uuid.uuid4().hex}"
        self._created = int(time.time())

    def body(self, status: str, **fields: Any) -> dict[str, Any]:
        """Give the object as it stands; the empty fields are those that its type requires."""
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": self._model,
            "output": [],
            "parallel_tool_calls": False,
            "temperature": None,
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
            "usage": None,
            **fields,
        }

    def complete(self, answer: Answer) -> dict[str, Any]:
        """Give the object with its answer; `footnote` is the native one."""
        told = publish(answer, self.base)
        return self.body(
            "completed",
            output=[self.item("completed", told)],
            usage=_count(answer),
            footnote=told.model_dump(),
        )

    def item(self, status: str, told: AnswerResponse | None = None) -> dict[str, Any]:
        """Give the message, with its text once that is known."""
        return {
            "id": self.message,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [] if told is None else [to_part(told)],
        }


def to_part(told: AnswerResponse | None = None) -> dict[str, Any]:
    """Give the text with its citations, or an empty one to begin with."""
    return {
        "type": "output_text",
        "text": spell(told) if told else "",
        "annotations": annotate(told) if told else [],
        "logprobs": [],
    }


def annotate(told: AnswerResponse) -> list[dict[str, Any]]:
    """Give an answer's citations as responses have them: flat."""
    return [{"type": "url_citation", **UrlCitation.of(c).model_dump()} for c in told.citations]


def _count(answer: Answer) -> dict[str, Any] | None:
    usage = used(answer)
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


class ResponseStream:
    """The events of one response, each named and numbered."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._numbers = itertools.count()

    def event(self, event: Event) -> Iterable[bytes]:
        """Give the frames of an event; tokens have none, for no client takes words back."""
        match event:
            case Started():
                yield from self._begin()
            case Ended(answer) | Refused(answer):
                yield from self._conclude(answer)
            case _:
                pass

    def problem(self, problem: Problem) -> Iterable[bytes]:
        """Give the error, and the response as failed."""
        error = to_error(problem)["error"]
        told = {"code": error["code"], "message": error["message"], "param": error["param"]}
        yield self._frame("error", **told)
        failure = {"code": "server_error", "message": error["message"]}
        yield self._frame("response.failed", response=self._response.body("failed", error=failure))

    def beat(self) -> bytes:
        """Give a comment."""
        return comment()

    def _begin(self) -> Iterable[bytes]:
        begun = self._response.body("in_progress")
        yield self._frame("response.created", response=begun)
        yield self._frame("response.in_progress", response=begun)
        item = self._response.item("in_progress")
        yield self._frame("response.output_item.added", output_index=0, item=item)
        yield self._part("response.content_part.added", part=to_part())

    def _conclude(self, answer: Answer) -> Iterable[bytes]:
        told = publish(answer, self._response.base)
        part = to_part(told)
        for word in words(part["text"]):
            yield self._part("response.output_text.delta", delta=word, logprobs=[])
        for index, annotation in enumerate(part["annotations"]):
            name = "response.output_text.annotation.added"
            yield self._part(name, annotation_index=index, annotation=annotation)
        yield self._part("response.output_text.done", text=part["text"], logprobs=[])
        yield self._part("response.content_part.done", part=part)
        item = self._response.item("completed", told)
        yield self._frame("response.output_item.done", output_index=0, item=item)
        yield self._frame("response.completed", response=self._response.complete(answer))

    def _part(self, name: str, **fields: Any) -> bytes:
        return self._frame(name, item_id=self._response.message, **PLACE, **fields)

    def _frame(self, name: str, **fields: Any) -> bytes:
        return frame({"type": name, "sequence_number": next(self._numbers), **fields}, name)
