"""What every route that answers does: ask, and send the answer whole or as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from fastapi import Request
from fastapi.responses import StreamingResponse

from api.deps import Running
from api.events import HEADERS, MEDIA_TYPE, NATIVE, Format, encode
from api.feedback import record
from api.widgets import Widget
from index.errors import DocumentNotFoundError
from index.library import Library, check_collection
from qa.chain import answer
from qa.types import Answer, Ask, Ended, Event, Refused


def accepts_stream(request: Request) -> bool:
    """Tell whether a request asks for server-sent events by its header."""
    return MEDIA_TYPE in request.headers.get("accept", "")


async def whole(running: Running, ask: Ask, widget: Widget | None = None) -> Answer:
    """Answer a question; the answer can be judged from then on. Raises `FootnoteError`."""
    check_collection(ask.collection)
    return await _keep(running, ask, widget, await answer(running.service.chain, ask))


async def stream(  # noqa: PLR0913  each is a way in which the routes differ
    running: Running,
    ask: Ask,
    form: Format[Event] = NATIVE,
    *,
    widget: Widget | None = None,
    headers: Mapping[str, str] | None = None,
    wait: bool = True,
) -> StreamingResponse:
    """Answer a question as a stream; `headers` are added to those that every stream has.

    With `wait` the first event comes before the status is sent, so that a bad request has its own
    status: raises `FootnoteError`. Without it every error is an event.
    """
    check_collection(ask.collection)
    asked = cast("AsyncGenerator[tuple[Event, ...]]", running.service.chain.astream(ask))
    groups = _keeping(running, ask, widget, asked)
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


async def _keeping(
    running: Running,
    ask: Ask,
    widget: Widget | None,
    groups: AsyncGenerator[tuple[Event, ...]],
) -> AsyncGenerator[tuple[Event, ...]]:
    async with aclosing(groups):
        async for group in groups:
            match group:
                case (*before, Ended(told)):
                    yield (*before, Ended(await _keep(running, ask, widget, told)))
                case (*before, Refused(told)):
                    yield (*before, Refused(await _keep(running, ask, widget, told)))
                case _:
                    yield group


async def _keep(running: Running, ask: Ask, widget: Widget | None, told: Answer) -> Answer:
    """Hold an answer for whoever judges it, and give it with its id."""
    library = running.service.library

    def put_down() -> Answer:
        given = record(
            ask,
            told,
            widget=widget.id if widget else None,
            index_version=library.version(ask.collection),
            find_source=lambda document_id: _find_source(library, document_id),
        )
        running.recent.add(given)
        return replace(told, id=given.id)

    return await asyncio.to_thread(put_down)


def _find_source(library: Library, document_id: str) -> str | None:
    try:
        return library.catalog.record(document_id).source
    except DocumentNotFoundError:
        return None  # deleted since; the answer was right when it was read
