"""One event stream, one thin encoder for each wire format. Here: Footnote's own, as SSE.

Events: `start {question, model, rewritten}`, `token {text}`, `citation {...}`, then one of
`end {answer}`, `refused {answer}`, `error {problem}`. After `refused` the tokens are withdrawn.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi.sse import format_sse_event

from api.errors import to_problem, unexpected
from api.schemas import AnswerResponse, CitationBody
from index.errors import FootnoteError
from qa.types import Cited, Ended, Event, Refused, Started, Token

HEARTBEAT_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
MEDIA_TYPE = "text/event-stream"
LINE_ENDS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"}
"""No line ends for SSE, but for `str.splitlines`, which clients read lines with."""


def to_wire(event: Event) -> tuple[str, dict[str, Any]]:
    """Give an event's name and its data."""
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


async def encode(
    groups: AsyncIterator[tuple[Event, ...]], *, heartbeat: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[bytes]:
    """Write events as SSE; an error becomes the last event; silence is broken each `heartbeat`."""
    try:
        async with aclosing(_with_heartbeat(groups, heartbeat)) as beats:
            async for group in beats:
                if group is None:
                    yield format_sse_event(data_str=None, comment="still here")
                    continue
                for event in group:
                    name, data = to_wire(event)
                    yield _frame(name, data)
    except FootnoteError as error:
        yield _frame("error", to_problem(error).model_dump())
    except Exception:
        # The status is sent already: without a last event a bug would look like a bad line. It is
        # passed on, so the server's own handling and log see it as they see any other.
        yield _frame("error", unexpected().model_dump())
        raise


def _frame(name: str, data: dict[str, Any]) -> bytes:
    text = json.dumps(data, ensure_ascii=False).translate(LINE_ENDS)
    return format_sse_event(event=name, data_str=text)


async def _with_heartbeat(
    groups: AsyncIterator[tuple[Event, ...]], seconds: float
) -> AsyncGenerator[tuple[Event, ...] | None]:
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


async def _next(groups: AsyncIterator[tuple[Event, ...]]) -> tuple[Event, ...]:
    try:
        return await anext(groups)
    except StopAsyncIteration:
        return ()
