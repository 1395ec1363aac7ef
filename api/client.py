"""A client for scripts and notebooks: `Footnote` and `AsyncFootnote`, with typed answers.

    with Footnote("http://127.0.0.1:8000") as footnote:
        print(footnote.ask("how much will Alibaba invest?").answer)

What is sent and how it is read stands once, in `api.calls`; the two classes only send it. 429 and
503 are tried again after what `Retry-After` says, and so is a lost connection for what changes
nothing. Every error is a `RemoteError`; their tree is drawn in `api.calls`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar, cast

import httpx

from api.calls import (
    STREAM_OR_JSON,
    Call,
    History,
    NotFootnoteError,
    ProblemError,
    RemoteError,
    ServerGoneError,
    Tries,
    adding,
    asking,
    deleting,
    describing,
    getting_ready,
    is_stream,
    listing,
    reached,
    reading,
    searching,
    streaming,
    uploading,
)
from api.schemas import AnswerResponse, DocumentBody, IngestedResponse, SearchResponse
from api.stream import (
    StreamCitation,
    StreamEnd,
    StreamEvent,
    StreamRefused,
    StreamStart,
    StreamToken,
    aread_events,
    broken_off,
    follow,
    read_events,
    to_event,
)
from index.ingest import Progress
from index.library import DEFAULT_COLLECTION

__all__ = [
    "AsyncFootnote",
    "Footnote",
    "NotFootnoteError",
    "ProblemError",
    "RemoteError",
    "ServerGoneError",
    "StreamCitation",
    "StreamEnd",
    "StreamEvent",
    "StreamRefused",
    "StreamStart",
    "StreamToken",
]

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT_SECONDS = 5.0

T = TypeVar("T")
R = TypeVar("R")


class Footnote:
    """A client that waits.

    `timeout` is in seconds without a byte from the server; a request is tried `attempts` times.
    Every method raises `RemoteError`. Threads may share a client.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 300.0,
        attempts: int = 5,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        with reached():
            self._http = httpx.Client(base_url=url, timeout=_limit(timeout), transport=transport)
        self._attempts = attempts
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self,
        question: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        history: History = (),
        fresh: bool = False,
    ) -> AnswerResponse:
        """Answer a question with citations, or say why not; `fresh` asks what is known too."""
        return self.send(asking(question, collection, history, fresh=fresh))

    def stream(
        self,
        question: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        history: History = (),
        fresh: bool = False,
    ) -> Generator[StreamEvent]:
        """Answer a question as it is written; the last event has the answer."""
        return self._stream(streaming(question, collection, history, fresh=fresh))

    def search(
        self, query: str, *, collection: str = DEFAULT_COLLECTION, limit: int = 8
    ) -> SearchResponse:
        """Find passages, without a language model."""
        return self.send(searching(query, collection, limit))

    def documents(self, collection: str | None = None) -> list[DocumentBody]:
        """List the documents, of one collection or of all."""
        return self.send(listing(collection))

    def document(self, document_id: str) -> DocumentBody:
        """Tell what is known of a document."""
        return self.send(describing(document_id))

    def text(self, document_id: str) -> str:
        """Give the text that the offsets of citations count in: `text[start:end] == quote`."""
        return self.send(reading(document_id))

    def add(  # noqa: PLR0913  all but the text are optional, and named
        self,
        text: str,
        *,
        title: str | None = None,
        source: str | None = None,
        collection: str = DEFAULT_COLLECTION,
        markdown: bool = False,
        progress: Progress | None = None,
    ) -> IngestedResponse:
        """Add a document, or replace the one of this source; it is searchable when this returns.

        `progress` is called with the passages that are done, and how many there are.
        """
        call = adding(text, title, source, collection, markdown=markdown)
        return self._add(call, progress)

    def add_file(
        self,
        path: str | Path,
        *,
        collection: str = DEFAULT_COLLECTION,
        progress: Progress | None = None,
    ) -> IngestedResponse:
        """Add a file, or replace the one of its name, as `add` does.

        Raises `OSError` if it cannot be read.
        """
        file = Path(path)
        return self._add(uploading(file.read_bytes(), file.name, collection), progress)

    def delete(self, document_id: str) -> None:
        """Delete a document; no answer stands on it from then on."""
        self.send(deleting(document_id))

    def ready(self) -> bool:
        """Tell whether the models are loaded. Raises `ServerGoneError` where nobody answers."""
        return self.send(getting_ready())

    def send(self, call: Call[T]) -> T:
        """Send a call, again where that helps, and read its response."""
        return self._try(call, self._once)

    def _add(self, call: Call[IngestedResponse], progress: Progress | None) -> IngestedResponse:
        if progress is None:
            return self.send(call)
        asked = replace(call, accept=STREAM_OR_JSON)
        return self._try(asked, lambda call: self._follow(call, progress))

    def _follow(self, call: Call[IngestedResponse], progress: Progress) -> IngestedResponse:
        with reached(), closing(self._http.send(call.build(self._http), stream=True)) as response:
            if not is_stream(response):  # a problem, or an older server's answer
                response.read()
                return call.read(response)
            for name, data in read_events(response.iter_lines()):
                if (ended := follow(name, data, progress)) is not None:
                    return ended
        raise broken_off()

    def _stream(self, call: Call[None]) -> Generator[StreamEvent]:
        first, rest = self._try(call, self._begin)
        with closing(rest):
            yield first
            yield from rest

    def _try(self, call: Call[T], once: Callable[[Call[T]], R]) -> R:
        tries = Tries(self._attempts, safe=call.safe)
        while True:
            try:
                return once(call)
            except RemoteError as error:
                pause = tries.pause_after(error)
            self._sleep(pause)

    def _once(self, call: Call[T]) -> T:
        with reached():
            return call.read(self._http.send(call.build(self._http)))

    def _begin(self, call: Call[None]) -> tuple[StreamEvent, Generator[StreamEvent]]:
        events = self._events(call)
        return next(events), events

    def _events(self, call: Call[None]) -> Generator[StreamEvent]:
        with reached(), closing(self._http.send(call.build(self._http), stream=True)) as response:
            if not response.is_success:
                response.read()
            call.read(response)
            for name, data in read_events(response.iter_lines()):
                if (event := to_event(name, data)) is not None:
                    yield event
                if isinstance(event, StreamEnd | StreamRefused):
                    return
        raise broken_off()


class AsyncFootnote:
    """The same client for `async` code."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 300.0,
        attempts: int = 5,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        limit = _limit(timeout)
        with reached():
            self._http = httpx.AsyncClient(base_url=url, timeout=limit, transport=transport)
        self._attempts = attempts
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(
        self,
        question: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        history: History = (),
        fresh: bool = False,
    ) -> AnswerResponse:
        """Answer a question with citations, or say why not; `fresh` asks what is known too."""
        return await self.send(asking(question, collection, history, fresh=fresh))

    def stream(
        self,
        question: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        history: History = (),
        fresh: bool = False,
    ) -> AsyncGenerator[StreamEvent]:
        """Answer a question as it is written; who leaves before the last event should `aclose`."""
        return self._stream(streaming(question, collection, history, fresh=fresh))

    async def search(
        self, query: str, *, collection: str = DEFAULT_COLLECTION, limit: int = 8
    ) -> SearchResponse:
        """Find passages, without a language model."""
        return await self.send(searching(query, collection, limit))

    async def documents(self, collection: str | None = None) -> list[DocumentBody]:
        """List the documents, of one collection or of all."""
        return await self.send(listing(collection))

    async def document(self, document_id: str) -> DocumentBody:
        """Tell what is known of a document."""
        return await self.send(describing(document_id))

    async def text(self, document_id: str) -> str:
        """Give the text that the offsets of citations count in: `text[start:end] == quote`."""
        return await self.send(reading(document_id))

    async def add(  # noqa: PLR0913  all but the text are optional, and named
        self,
        text: str,
        *,
        title: str | None = None,
        source: str | None = None,
        collection: str = DEFAULT_COLLECTION,
        markdown: bool = False,
        progress: Progress | None = None,
    ) -> IngestedResponse:
        """Add a document, or replace the one of this source; it is searchable when this returns.

        `progress` is called with the passages that are done, and how many there are.
        """
        call = adding(text, title, source, collection, markdown=markdown)
        return await self._add(call, progress)

    async def add_file(
        self,
        path: str | Path,
        *,
        collection: str = DEFAULT_COLLECTION,
        progress: Progress | None = None,
    ) -> IngestedResponse:
        """Add a file, or replace the one of its name, as `add` does.

        Raises `OSError` if it cannot be read.
        """
        file = Path(path)
        data = await asyncio.to_thread(file.read_bytes)
        return await self._add(uploading(data, file.name, collection), progress)

    async def delete(self, document_id: str) -> None:
        """Delete a document; no answer stands on it from then on."""
        await self.send(deleting(document_id))

    async def ready(self) -> bool:
        """Tell whether the models are loaded. Raises `ServerGoneError` where nobody answers."""
        return await self.send(getting_ready())

    async def send(self, call: Call[T]) -> T:
        """Send a call, again where that helps, and read its response."""
        return await self._try(call, self._once)

    async def _add(
        self, call: Call[IngestedResponse], progress: Progress | None
    ) -> IngestedResponse:
        if progress is None:
            return await self.send(call)
        asked = replace(call, accept=STREAM_OR_JSON)
        return await self._try(asked, lambda call: self._follow(call, progress))

    async def _follow(self, call: Call[IngestedResponse], progress: Progress) -> IngestedResponse:
        with reached():
            request = call.build(self._http)
            async with aclosing(await self._http.send(request, stream=True)) as response:
                if not is_stream(response):  # a problem, or an older server's answer
                    await response.aread()
                    return call.read(response)
                lines = cast("AsyncGenerator[str]", response.aiter_lines())
                async with aclosing(lines), aclosing(aread_events(lines)) as frames:
                    async for name, data in frames:
                        if (ended := follow(name, data, progress)) is not None:
                            return ended
        raise broken_off()

    async def _stream(self, call: Call[None]) -> AsyncGenerator[StreamEvent]:
        first, rest = await self._try(call, self._begin)
        async with aclosing(rest):
            yield first
            async for event in rest:
                yield event

    async def _try(self, call: Call[T], once: Callable[[Call[T]], Awaitable[R]]) -> R:
        tries = Tries(self._attempts, safe=call.safe)
        while True:
            try:
                return await once(call)
            except RemoteError as error:
                pause = tries.pause_after(error)
            await self._sleep(pause)

    async def _once(self, call: Call[T]) -> T:
        with reached():
            return call.read(await self._http.send(call.build(self._http)))

    async def _begin(self, call: Call[None]) -> tuple[StreamEvent, AsyncGenerator[StreamEvent]]:
        events = self._events(call)
        return await anext(events), events

    async def _events(self, call: Call[None]) -> AsyncGenerator[StreamEvent]:
        with reached():
            request = call.build(self._http)
            async with aclosing(await self._http.send(request, stream=True)) as response:
                if not response.is_success:
                    await response.aread()
                call.read(response)
                lines = cast("AsyncGenerator[str]", response.aiter_lines())
                async with aclosing(lines), aclosing(aread_events(lines)) as frames:
                    async for name, data in frames:
                        if (event := to_event(name, data)) is not None:
                            yield event
                        if isinstance(event, StreamEnd | StreamRefused):
                            return
        raise broken_off()


def _limit(seconds: float) -> httpx.Timeout:
    # A server that is there accepts at once, however long its answer takes.
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
