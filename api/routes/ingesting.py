"""What becomes of a document that was sent: it is ingested, and told of whole or as a stream.

The stream's events: `progress {done, total}` (passages embedded and stored), none for a document
that is here already, then one of `end` with the body of the whole answer, `error {problem}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

from fastapi.responses import StreamingResponse

from api.deps import Running
from api.events import HEADERS, HEARTBEAT_SECONDS, MEDIA_TYPE, Native, encode
from api.schemas import IngestedResponse, ProgressBody
from index.ingest import Ingested
from index.types import Document

Told: TypeAlias = ProgressBody | IngestedResponse
News: TypeAlias = "asyncio.Queue[ProgressBody | asyncio.Future[Ingested]]"


async def whole(running: Running, document: Document) -> Ingested:
    """Ingest a document, after those that came before it. Raises `FootnoteError`."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(running.ingesting, running.service.library.add, document)


def stream(
    running: Running, document: Document, *, heartbeat: float = HEARTBEAT_SECONDS
) -> StreamingResponse:
    """Ingest a document, after those that came before it, and tell of it as a stream.

    Every error is an event. When the client leaves, only the telling stops: the ingest goes on to
    its end, also where it still waits for its turn.
    """
    loop = asyncio.get_running_loop()
    # It has no bound, so that a slow client never holds the ingest up; there is one entry a batch.
    news: News = asyncio.Queue()

    def progress(done: int, total: int) -> None:
        # A loop that is closed has nobody to tell, which is no reason to stop half-way.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(news.put_nowait, ProgressBody(done=done, total=total))

    add = partial(running.service.library.add, document, progress=progress)
    # Nobody awaits this future itself: cancelling the one who waits would cancel the ingest.
    loop.run_in_executor(running.ingesting, add).add_done_callback(news.put_nowait)
    frames = encode(_follow(news), Native(to_wire), heartbeat=heartbeat)
    return StreamingResponse(frames, media_type=MEDIA_TYPE, headers=HEADERS)


def to_wire(event: Told) -> tuple[str, dict[str, Any]]:
    """Give an event's name and its data."""
    name = "progress" if isinstance(event, ProgressBody) else "end"
    return name, event.model_dump()


async def _follow(news: News) -> AsyncGenerator[tuple[Told, ...]]:
    while isinstance(new := await news.get(), ProgressBody):
        yield (new,)
    yield (IngestedResponse.of(new.result()),)
