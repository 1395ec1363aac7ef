"""OpenAI's chat completions: a collection is a model, a citation a `url_citation`.

Source of the format: https://platform.openai.com/docs/api-reference/chat, and the types of the
`openai` package. `start_index` and `end_index` are code points of the answer, half-open.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeAlias

from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, Field

from api.errors import retry_after
from api.events import comment, frame
from api.formats.common import Lenient, Turn, converse, publish, spell, words
from api.schemas import AnswerResponse, CitationBody, Problem, Text
from qa.types import Answer, Ask, Ended, Event, Refused, Started, Usage

OWNER = "footnote"
ALIAS = "footnote"
"""A model's name that means the default collection."""
DONE = b"data: [DONE]\n\n"
DIALOGUE = {"user": True, "assistant": False}
"""The roles that speak, and whether they ask; the others' messages are ignored."""


def _to_parts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class TextPart(Lenient):
    """A piece of a message."""

    type: Literal["text", "input_text", "output_text"]
    text: Text


Content: TypeAlias = Annotated[list[TextPart], BeforeValidator(_to_parts)]
"""A string, or parts that are all text: nothing else can be read here."""


class Message(Lenient):
    """A message; those of the system, the developer and tools are ignored."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content | None = None

    def to_turns(self) -> Iterable[Turn]:
        """Give what was said; nothing, where the role does not speak."""
        if self.role in DIALOGUE:
            yield DIALOGUE[self.role], "".join(part.text for part in self.content or [])


class StreamOptions(Lenient):
    """Whether a stream's last chunk tells the tokens used."""

    include_usage: bool | None = False


class ChatRequest(Lenient):
    """A conversation whose last message of the user is the question.

    `model` names the collection. System and developer messages are ignored: Footnote answers from
    documents, by its own rules.
    """

    model: str
    messages: list[Message]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[int | None, Field(ge=1, le=1)] = None

    def to_ask(self, collection: str) -> Ask:
        """Give the question as the chain takes it. Raises `BadInputError`."""
        question, history = converse(turn for m in self.messages for turn in m.to_turns())
        return Ask(question, collection, history)


class UrlCitation(BaseModel):
    """A span of the answer, and the page that shows its source with the quote highlighted."""

    start_index: int
    end_index: int
    title: str
    url: str

    @classmethod
    def of(cls, citation: CitationBody) -> UrlCitation:
        """Convert a citation whose link is absolute."""
        return cls(
            start_index=citation.answer_start,
            end_index=citation.answer_end,
            title=citation.title,
            url=citation.url,
        )


class Annotation(BaseModel):
    """A citation as chat completions have it."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class AssistantMessage(BaseModel):
    """An answer; `refusal` is a model's own word for harm, so a refusal here is `content`."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation]


class Choice(BaseModel):
    """The only choice."""

    index: int = 0
    message: AssistantMessage
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class CompletionUsage(BaseModel):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """An answer; `footnote` is the native one, quotes and reasons included."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage | None
    footnote: AnswerResponse


class Model(BaseModel):
    """A collection; `created` is when its oldest document came, in seconds of Unix time."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = OWNER


class Models(BaseModel):
    """The collections."""

    object: Literal["list"] = "list"
    data: list[Model]


@dataclass(frozen=True, slots=True)
class Head:
    """What every chunk of one completion repeats; `base` begins its links."""

    model: str
    base: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))


def complete(answer: Answer, head: Head) -> ChatCompletion:
    """Give a whole answer."""
    told = publish(answer, head.base)
    message = AssistantMessage(content=spell(told), annotations=annotate(told))
    return ChatCompletion(
        id=head.id,
        created=head.created,
        model=head.model,
        choices=[Choice(message=message)],
        usage=count(answer),
        footnote=told,
    )


def annotate(told: AnswerResponse) -> list[Annotation]:
    """Give an answer's citations."""
    return [Annotation(url_citation=UrlCitation.of(c)) for c in told.citations]


def used(answer: Answer) -> Usage | None:
    """Give the tokens used: none where no model was asked, None where the model does not tell."""
    unread = answer.timings.first_token is None
    return answer.usage or (Usage(0, 0) if unread else None)


def count(answer: Answer) -> CompletionUsage | None:
    """Give the tokens used as chat completions have them."""
    usage = used(answer)
    if usage is None:
        return None
    return CompletionUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
    )


class ChatStream:
    """The chunks of one completion, then `[DONE]`.

    The role comes first; then the proven text, its annotations, and the end with `footnote`.
    """

    def __init__(self, head: Head, *, usage: bool) -> None:
        self._head = head
        self._usage = usage

    def event(self, event: Event) -> Iterable[bytes]:
        """Give the chunks of an event; tokens have none, for no client takes words back."""
        match event:
            case Started():
                yield self._delta({"role": "assistant", "content": "", "refusal": None})
            case Ended(answer) | Refused(answer):
                yield from self._conclude(answer)
            case _:
                pass

    def problem(self, problem: Problem) -> Iterable[bytes]:
        """Give the error in the shape that OpenAI's clients raise."""
        yield frame(to_error(problem))
        yield DONE

    def beat(self) -> bytes:
        """Give a comment."""
        return comment()

    def _conclude(self, answer: Answer) -> Iterable[bytes]:
        told = publish(answer, self._head.base)
        for word in words(spell(told)):
            yield self._delta({"content": word})
        if annotations := annotate(told):
            yield self._delta({"annotations": [a.model_dump() for a in annotations]})
        yield self._delta({}, "stop", footnote=told.model_dump())
        if self._usage:
            counted = count(answer)
            yield self._chunk([], usage=None if counted is None else counted.model_dump())
        yield DONE

    def _delta(self, delta: dict[str, Any], finish: str | None = None, **extra: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self._usage else {}
        return self._chunk([choice], **usage, **extra)

    def _chunk(self, choices: list[dict[str, Any]], **extra: Any) -> bytes:
        return frame(
            {
                "id": self._head.id,
                "object": "chat.completion.chunk",
                "created": self._head.created,
                "model": self._head.model,
                "choices": choices,
                **extra,
            }
        )


def to_error(problem: Problem) -> dict[str, Any]:
    """Give a problem as OpenAI's `error` object; https://platform.openai.com/docs/guides/error-codes."""
    name = problem.type.rpartition(":")[2].replace("-", "_")
    strange = name in {"collection_not_found", "invalid_name"}
    server = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return {
        "error": {
            "message": f"{problem.detail} {problem.fix}".strip(),
            "type": "server_error" if server else "invalid_request_error",
            "param": "model" if strange else None,
            "code": "model_not_found" if strange else name,
        }
    }


def respond(problem: Problem) -> JSONResponse:
    """Send a problem with the status that makes OpenAI's clients raise the right error."""
    error = to_error(problem)
    status = problem.status
    if error["error"]["code"] == "model_not_found":
        status = HTTPStatus.NOT_FOUND
    elif status == HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    return JSONResponse(error, status_code=int(status), headers=retry_after(problem))


class OpenAIRoute(APIRoute):
    """A route whose clients know OpenAI's errors."""

    shape = staticmethod(respond)
