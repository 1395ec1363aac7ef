"""What every route that answers does: ask, and send the answer whole or as a stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from fastapi import Request
from fastapi.responses import StreamingResponse

from api.deps import Running
from api.events import HEADERS, MEDIA_TYPE, NATIVE, Format, encode
from api.feedback import record
from api.known import key_of
from api.widgets import Widget
from index.errors import DocumentNotFoundError
from index.library import Library, check_collection
from qa.chain import answer_of, tell
from qa.types import Answer, Ask, Ended, Event, Refused, Timings


def accepts_stream(request: Request) -> bool:
    """Tell whether a request asks for server-sent events by its header."""
    return MEDIA_TYPE in request.headers.get("accept", "")


async def whole(running: Running, ask: Ask, widget: Widget | None = None) -> Answer:
    """Answer a question; the answer can be judged from then on. Raises `FootnoteError`."""
    check_collection(ask.collection)
    events: tuple[Event, ...] = ()
    async for group in _answer(running, ask, widget):
        events = group or events
    return answer_of(events)


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
    groups = _answer(running, ask, widget)
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


async def _answer(
    running: Running, ask: Ask, widget: Widget | None
) -> AsyncGenerator[tuple[Event, ...]]:
    """Give the events of an answer that is known, or of a new one, which is known from then on."""
    began = time.perf_counter()
    service = running.service
    key = await asyncio.to_thread(key_of, ask, service.library, service.reader.name)
    if not ask.fresh and (known := running.known.get(key)) is not None:
        seconds = time.perf_counter() - began
        timings = Timings(total=seconds, first_token=seconds if known.answered else None)
        for group in tell(replace(known, cached=True, timings=timings), ask):
            yield await _keep(running, ask, widget, group)
        return
    asked = cast("AsyncGenerator[tuple[Event, ...]]", service.chain.astream(ask))
    async with aclosing(asked):
        async for group in asked:
            if group and isinstance(last := group[-1], Ended | Refused):
                running.known.add(key, last.answer)
            yield await _keep(running, ask, widget, group)


async def _keep(
    running: Running, ask: Ask, widget: Widget | None, group: tuple[Event, ...]
) -> tuple[Event, ...]:
    """Hold the answer that ends a group, for whoever judges it, and give it its id."""
    match group:
        case (*before, Ended(told)):
            return (*before, Ended(await _name(running, ask, widget, told)))
        case (*before, Refused(told)):
            return (*before, Refused(await _name(running, ask, widget, told)))
    return group


async def _name(running: Running, ask: Ask, widget: Widget | None, told: Answer) -> Answer:
    library = running.service.library

    def put_down() -> Answer:
        given = record(
            ask,
            told,
            widget=widget.id if widget else None,
            index_version=library.version(ask.collection),
            find_source=lambda document_id: _find_source(library, document_id),
        )
        running.recent.add(given.id, given)
        return replace(told, id=given.id)

    return await asyncio.to_thread(put_down)


def _find_source(library: Library, document_id: str) -> str | None:
    try:
        return library.catalog.record(document_id).source
    except DocumentNotFoundError:
        return None  # deleted since; the answer was right when it was read
