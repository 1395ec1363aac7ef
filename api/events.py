"""One event stream, one thin encoder for each wire format. Here: Footnote's own, as SSE.

What other projects' clients understand is in `api.formats`. Footnote's own events: `start
{question, model, rewritten}`, `token {text}`, `citation {...}`, then one of `end {answer}`,
`refused {answer}`, `error {problem}`. After `refused` the tokens are withdrawn. An upload's events
are in `api.routes.ingesting`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar

from fastapi.sse import format_sse_event

from api.errors import to_problem, unexpected
from api.schemas import AnswerResponse, CitationBody, Problem
from index.errors import FootnoteError
from qa.types import Cited, Ended, Event, Refused, Started, Token

E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)

HEARTBEAT_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
MEDIA_TYPE = "text/event-stream"
LINE_ENDS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"}
"""No line ends for SSE, but for `str.splitlines`, which clients read lines with."""


class Format(Protocol[E_contra]):
    """A wire format for one stream: what is sent for each event, for an error, and in silence."""

    def event(self, event: E_contra) -> Iterable[bytes]:
        """Give the frames of an event; there may be none."""
        ...

    def problem(self, problem: Problem) -> Iterable[bytes]:
        """Give the last frames of a stream that an error ends."""
        ...

    def beat(self) -> bytes:
        """Give a frame that says nothing: an SSE comment where the client can take one."""
        ...


def frame(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """Write one server-sent event of one line of JSON."""
    text = json.dumps(data, ensure_ascii=False).translate(LINE_ENDS)
    return format_sse_event(event=name, data_str=text)


def comment() -> bytes:
    """Write an SSE comment, which the standard has clients ignore."""
    return format_sse_event(data_str=None, comment="still here")


def to_wire(event: Event) -> tuple[str, dict[str, Any]]:
    """Give an event's name and its data in Footnote's own format."""
    match event:
        case Started(question, model, rewritten):
            return "start", {"question": question, "model": model, "rewritten": rewritten}
        case Token(text):
            return "token", {"text": text}
        case Cited(citation):
            return "citation", CitationBody.of(citation).model_dump()
        case Ended(answer):
            return "end", AnswerResponse.of(answer).model_dump()
        case Refused(answer):
            return "refused", AnswerResponse.of(answer).model_dump()


class Native(Generic[E]):
    """Footnote's own format: an event for an event; `name` gives its name and its data."""

    def __init__(self, name: Callable[[E], tuple[str, dict[str, Any]]]) -> None:
        self._name = name

    def event(self, event: E) -> Iterable[bytes]:
        """Give one frame."""
        name, data = self._name(event)
        yield frame(data, name)

    def problem(self, problem: Problem) -> Iterable[bytes]:
        """Give the event `error`."""
        yield frame(problem.model_dump(), "error")

    def beat(self) -> bytes:
        """Give a comment."""
        return comment()


NATIVE: Format[Event] = Native(to_wire)


async def encode(
    groups: AsyncIterator[tuple[E, ...]],
    form: Format[E],
    *,
    heartbeat: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[bytes]:
    """Write events as SSE; an error becomes the last event.

    Silence is broken each `heartbeat` seconds, also where events come but the format holds them.
    """
    clock = asyncio.get_running_loop().time
    spoke = clock()
    try:
        async with aclosing(_with_heartbeat(groups, heartbeat)) as beats:
            async for group in beats:
                frames = [f for event in group or () for f in form.event(event)]
                if not frames and (group is None or clock() - spoke >= heartbeat):
                    frames = [form.beat()]
                for data in frames:
                    yield data
                    spoke = clock()
    except FootnoteError as error:
        for data in form.problem(to_problem(error)):
            yield data
    except Exception:
        # The status is sent already: without a last event a bug would look like a bad line. It is
        # passed on, so the server's own handling and log see it as they see any other.
        for data in form.problem(unexpected()):
            yield data
        raise


async def _with_heartbeat(
    groups: AsyncIterator[tuple[E, ...]], seconds: float
) -> AsyncGenerator[tuple[E, ...] | None]:
    """Pass groups on; None stands for each stretch of silence."""
    pending = asyncio.create_task(_next(groups))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=seconds)
            if not done:
                yield None
                continue
            group = pending.result()
            if not group:
                return
            yield group
            pending = asyncio.create_task(_next(groups))
    finally:
        # When the client leaves, so must the model: cancelling closes its stream.
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
        if isinstance(groups, AsyncGenerator):
            await groups.aclose()


async def _next(groups: AsyncIterator[tuple[E, ...]]) -> tuple[E, ...]:
    try:
        return await anext(groups)
    except StopAsyncIteration:
        return ()
