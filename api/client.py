"""A client for scripts and notebooks: `Footnote` and `AsyncFootnote`, with typed answers.

    with Footnote("http://127.0.0.1:8000") as footnote:
        print(footnote.ask("how much will Alibaba invest?").answer)

What is sent and how it is read stands once, in `Call`; the two classes only send it. 429 and 503
are tried again after what `Retry-After` says, and so is a lost connection for what changes nothing.

FootnoteError
├── ProblemError       the server answered with a problem (RFC 9457)
└── ServerGoneError    no server, or it went away in the middle
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, Self, TypeAlias, TypeVar

import httpx

from api.schemas import (
    AnswerResponse,
    CitationBody,
    DocumentBody,
    DocumentsResponse,
    IngestedResponse,
    SearchResponse,
)
from index.errors import FootnoteError
from index.library import DEFAULT_COLLECTION

DEFAULT_URL = "http://127.0.0.1:8000"
RETRIED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds before another try, doubling, where the server does not say how long."""

T = TypeVar("T")


class ProblemError(FootnoteError):
    """A problem that the server answered with; `status` and `type` are the server's."""

    def __init__(self, problem: Mapping[str, Any], status: int) -> None:
        detail = str(problem.get("detail") or problem.get("title") or f"status {status}")
        super().__init__(detail, fix=str(problem.get("fix") or ""))
        self.status = status
        self.type = str(problem.get("type") or "about:blank")


class ServerGoneError(FootnoteError):
    """No server answers at the address, or it went away in the middle of an answer."""

    fix = "Start it with `footnote serve`, or check the URL."


@dataclass(frozen=True, slots=True)
class StreamStart:
    """The stream begins; `question` is what is looked up."""

    question: str
    model: str
    rewritten: bool


@dataclass(frozen=True, slots=True)
class StreamToken:
    """The next piece of the answer, not yet verified."""

    text: str


@dataclass(frozen=True, slots=True)
class StreamCitation:
    """A verified citation."""

    citation: CitationBody


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The verified answer; the last event."""

    answer: AnswerResponse


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """No answer; the last event. Tokens sent before it are withdrawn."""

    answer: AnswerResponse


StreamEvent: TypeAlias = StreamStart | StreamToken | StreamCitation | StreamEnd | StreamRefused


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and how its response is read; `safe` where sending it twice changes nothing."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    json: Any = None
    params: Mapping[str, str] = field(default_factory=dict)
    safe: bool = True


def asking(question: str, collection: str, history: Sequence[str]) -> Call[AnswerResponse]:
    """Ask for an answer."""
    body = {"question": question, "collection": collection, "history": list(history)}
    return Call("POST", "/v1/ask", lambda r: AnswerResponse.model_validate(r.json()), body)


def searching(query: str, collection: str, limit: int) -> Call[SearchResponse]:
    """Ask for passages."""
    body = {"query": query, "collection": collection, "limit": limit}
    return Call("POST", "/v1/search", lambda r: SearchResponse.model_validate(r.json()), body)


def listing(collection: str | None) -> Call[list[DocumentBody]]:
    """Ask for the documents, of one collection or of all."""
    params = {} if collection is None else {"collection": collection}
    return Call(
        "GET",
        "/v1/documents",
        lambda r: DocumentsResponse.model_validate(r.json()).documents,
        params=params,
    )


def reading(document_id: str) -> Call[str]:
    """Ask for the text that every offset counts in."""
    return Call("GET", f"/v1/documents/{document_id}/text", lambda r: r.text)


def adding(
    text: str, title: str | None, source: str | None, collection: str, *, markdown: bool
) -> Call[IngestedResponse]:
    """Send a document; the same one again changes nothing, so that it may be sent twice."""
    body = {
        "text": text,
        "title": title,
        "source": source,
        "collection": collection,
        "markdown": markdown,
    }
    return Call("POST", "/v1/documents", lambda r: IngestedResponse.model_validate(r.json()), body)


def deleting(document_id: str) -> Call[None]:
    """Delete a document."""
    return Call("DELETE", f"/v1/documents/{document_id}", lambda _: None, safe=False)


class Footnote:
    """A client that waits. `timeout` in seconds for each request, `attempts` tries of each."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 300.0,
        attempts: int = 5,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout, transport=transport)
        self._attempts = attempts
        self._sleep = sleep

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self, question: str, *, collection: str = DEFAULT_COLLECTION, history: Sequence[str] = ()
    ) -> AnswerResponse:
        """Answer a question, or say why not."""
        return self._send(asking(question, collection, history))

    def stream(
        self, question: str, *, collection: str = DEFAULT_COLLECTION, history: Sequence[str] = ()
    ) -> Iterator[StreamEvent]:
        """Answer a question as it is written; the last event has the answer."""
        call = asking(question, collection, history)
        with closing(self._open(call)) as response:
            reader = _Reader()
            try:
                for line in response.iter_lines():
                    if (event := reader.take(line)) is not None:
                        yield event
            except httpx.TransportError as error:
                raise _gone(error) from error
            reader.finish()

    def search(
        self, query: str, *, collection: str = DEFAULT_COLLECTION, limit: int = 8
    ) -> SearchResponse:
        """Find passages, without a language model."""
        return self._send(searching(query, collection, limit))

    def documents(self, collection: str | None = None) -> list[DocumentBody]:
        """List the documents."""
        return self._send(listing(collection))

    def text(self, document_id: str) -> str:
        """Give a document's text."""
        return self._send(reading(document_id))

    def add(
        self,
        text: str,
        *,
        title: str | None = None,
        source: str | None = None,
        collection: str = DEFAULT_COLLECTION,
        markdown: bool = False,
    ) -> IngestedResponse:
        """Add a document, or replace the one of this source."""
        return self._send(adding(text, title, source, collection, markdown=markdown))

    def delete(self, document_id: str) -> None:
        """Delete a document."""
        self._send(deleting(document_id))

    def _send(self, call: Call[T]) -> T:
        response = self._open(call, stream=False)
        return call.read(response)

    def _open(self, call: Call[Any], *, stream: bool = True) -> httpx.Response:
        request = _build(self._http, call, stream=stream)
        for pause in _pauses(self._attempts):
            try:
                response = self._http.send(request, stream=True)
                if stream and response.is_success:
                    return response
                response.read()
            except httpx.TransportError as error:
                if pause is None or not call.safe:
                    raise _gone(error) from error
                self._sleep(pause)
                continue
            if pause is None or response.status_code not in RETRIED:
                return _checked(response)
            self._sleep(_told(response, pause))
        raise AssertionError  # pragma: no cover  the last attempt returns or raises


class AsyncFootnote:
    """The same client for `async` code."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 300.0,
        attempts: int = 5,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout, transport=transport)
        self._attempts = attempts
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        """Give itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(
        self, question: str, *, collection: str = DEFAULT_COLLECTION, history: Sequence[str] = ()
    ) -> AnswerResponse:
        """Answer a question, or say why not."""
        return await self._send(asking(question, collection, history))

    async def stream(
        self, question: str, *, collection: str = DEFAULT_COLLECTION, history: Sequence[str] = ()
    ) -> AsyncIterator[StreamEvent]:
        """Answer a question as it is written; the last event has the answer."""
        response = await self._open(asking(question, collection, history))
        reader = _Reader()
        try:
            async with aclosing(response.aiter_lines()) as lines:  # type: ignore[type-var]  # it is an async generator
                async for line in lines:
                    if (event := reader.take(line)) is not None:
                        yield event
        except httpx.TransportError as error:
            raise _gone(error) from error
        finally:
            await response.aclose()
        reader.finish()

    async def search(
        self, query: str, *, collection: str = DEFAULT_COLLECTION, limit: int = 8
    ) -> SearchResponse:
        """Find passages, without a language model."""
        return await self._send(searching(query, collection, limit))

    async def documents(self, collection: str | None = None) -> list[DocumentBody]:
        """List the documents."""
        return await self._send(listing(collection))

    async def text(self, document_id: str) -> str:
        """Give a document's text."""
        return await self._send(reading(document_id))

    async def add(
        self,
        text: str,
        *,
        title: str | None = None,
        source: str | None = None,
        collection: str = DEFAULT_COLLECTION,
        markdown: bool = False,
    ) -> IngestedResponse:
        """Add a document, or replace the one of this source."""
        return await self._send(adding(text, title, source, collection, markdown=markdown))

    async def delete(self, document_id: str) -> None:
        """Delete a document."""
        await self._send(deleting(document_id))

    async def _send(self, call: Call[T]) -> T:
        return call.read(await self._open(call, stream=False))

    async def _open(self, call: Call[Any], *, stream: bool = True) -> httpx.Response:
        request = _build(self._http, call, stream=stream)
        for pause in _pauses(self._attempts):
            try:
                response = await self._http.send(request, stream=True)
                if stream and response.is_success:
                    return response
                await response.aread()
            except httpx.TransportError as error:
                if pause is None or not call.safe:
                    raise _gone(error) from error
                await self._sleep(pause)
                continue
            if pause is None or response.status_code not in RETRIED:
                return _checked(response)
            await self._sleep(_told(response, pause))
        raise AssertionError  # pragma: no cover  the last attempt returns or raises


class _Reader:
    """Lines of an event stream -> events. `take` gives one where a line completes it."""

    def __init__(self) -> None:
        self._name = ""
        self._data: list[str] = []
        self._ended = False

    def take(self, line: str) -> StreamEvent | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._name = value
            elif name == "data":
                self._data.append(value)
            return None
        name, data, self._name, self._data = self._name, self._data, "", []
        return self._event(name, json.loads("\n".join(data))) if data else None

    def finish(self) -> None:
        if not self._ended:
            raise ServerGoneError("The server broke off in the middle of an answer.")

    def _event(self, name: str, data: dict[str, Any]) -> StreamEvent | None:
        self._ended = name in {"end", "refused"}
        match name:
            case "start":
                return StreamStart(data["question"], data["model"], data["rewritten"])
            case "token":
                return StreamToken(data["text"])
            case "citation":
                return StreamCitation(CitationBody.model_validate(data))
            case "end":
                return StreamEnd(AnswerResponse.model_validate(data))
            case "refused":
                return StreamRefused(AnswerResponse.model_validate(data))
            case "error":
                raise ProblemError(data, int(data.get("status", 0)))
        return None  # an event of a newer server


def _build(
    http: httpx.Client | httpx.AsyncClient, call: Call[Any], *, stream: bool
) -> httpx.Request:
    body = {**call.json, "stream": True} if stream else call.json
    accept = {"accept": "text/event-stream"} if stream else {}
    return http.build_request(
        call.method, call.path, json=body, params=dict(call.params), headers=accept
    )


def _pauses(attempts: int) -> Iterator[float | None]:
    """Give the seconds to wait after each attempt; None after the last."""
    pause = FIRST_PAUSE
    for _ in range(attempts - 1):
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)
    yield None


def _told(response: httpx.Response, pause: float) -> float:
    told = response.headers.get("retry-after", "")
    return min(float(told), LONGEST_PAUSE) if told.isdigit() else pause


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    raise ProblemError(problem if isinstance(problem, dict) else {}, response.status_code)


def _gone(error: httpx.TransportError) -> ServerGoneError:
    return ServerGoneError(f"The server does not answer: {error or type(error).__name__}.")
