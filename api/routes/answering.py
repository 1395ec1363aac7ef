"""What every route that answers does: ask, and send the answer whole or as a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import cast

from fastapi import Request
from fastapi.responses import StreamingResponse

from api.deps import Running
from api.events import HEADERS, MEDIA_TYPE, NATIVE, Format, encode
from index.library import check_collection
from qa.chain import answer
from qa.types import Answer, Ask, Event


def accepts_stream(request: Request) -> bool:
    """Tell whether a request asks for server-sent events by its header."""
    return MEDIA_TYPE in request.headers.get("accept", "")


async def whole(running: Running, ask: Ask) -> Answer:
    """Answer a question. Raises `FootnoteError`."""
    check_collection(ask.collection)
    return await answer(running.service.chain, ask)


async def stream(
    running: Running,
    ask: Ask,
    form: Format[Event] = NATIVE,
    *,
    headers: Mapping[str, str] | None = None,
    wait: bool = True,
) -> StreamingResponse:
    """Answer a question as a stream; `headers` are added to those that every stream has.

    With `wait` the first event comes before the status is sent, so that a bad request has its own
    status: raises `FootnoteError`. Without it every error is an event.
    """
    check_collection(ask.collection)
    groups = cast("AsyncGenerator[tuple[Event, ...]]", running.service.chain.astream(ask))
    if wait:
        groups = _resume(await anext(groups), groups)
    return StreamingResponse(
        encode(groups, form), media_type=MEDIA_TYPE, headers={**HEADERS, **(headers or {})}
    )


async def _resume(
    first: tuple[Event, ...], groups: AsyncGenerator[tuple[Event, ...]]
) -> AsyncGenerator[tuple[Event, ...]]:
    async with aclosing(groups):
        yield first
        async for group in groups:
            yield group
