"""What a command does its work with: a running server over HTTP, or the data folder itself.

Both give and take the wire's shapes, so that a command prints the same whichever it had.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from api.calls import STREAM_OR_JSON, is_stream
from api.feedback import FeedbackStore, write_questions
from api.schemas import (
    AnswerResponse,
    DocumentBody,
    FeedbackResponse,
    IngestedResponse,
    PassageBody,
    SearchResponse,
)
from index.errors import FootnoteError
from index.ingest import Progress
from index.library import Library, Upload, read_address
from qa.bootstrap import build_library, build_service
from qa.settings import Settings
from qa.types import Ask, Event, Token

ASK_TIMEOUT = httpx.Timeout(300.0, connect=5.0)
MOST_LISTED = 1000
PING_TIMEOUT = httpx.Timeout(2.0)
OnToken = Callable[[str], None]
Body = dict[str, Any]


class Session(Protocol):
    """The verbs of the command line, in the wire's shapes."""

    def ask(self, question: str, collection: str, on_token: OnToken | None = None) -> Body:
        """Answer; tokens are passed on as they come."""

    def search(self, query: str, collection: str, limit: int) -> Body:
        """Find passages."""

    def documents(self, collection: str | None) -> Body:
        """List documents."""

    def delete(self, document_id: str) -> None:
        """Delete a document."""

    def ingest(self, upload: Upload, progress: Progress) -> Body:
        """Make one file searchable."""

    def feedback(self, collection: str | None) -> Body:
        """List judged answers."""

    def questions(self, collection: str | None) -> str:
        """Give judged answers as the lines of a question set."""

    def forget(self, answer_id: str) -> None:
        """Delete a judgement."""


class RemoteError(FootnoteError):
    """A problem that a server answered with."""


class RemoteSession:
    """A session over HTTP."""

    def __init__(self, address: str) -> None:
        with _reached():
            self._client = httpx.Client(base_url=address, timeout=ASK_TIMEOUT)

    def ask(self, question: str, collection: str, on_token: OnToken | None = None) -> Body:
        """Ask with a stream; the last event is the answer."""
        body = {"question": question, "collection": collection, "stream": True}
        with self._stream("/v1/ask", json=body) as response:
            for name, data in _told(response):
                if name == "token" and on_token:
                    on_token(data["text"])
                if name in {"end", "refused"}:
                    return data
        raise RemoteError("The server broke off in the middle of the answer.", fix="Ask again.")

    def search(self, query: str, collection: str, limit: int) -> Body:
        """Find passages."""
        body = {"query": query, "collection": collection, "limit": limit}
        return self._send("POST", "/v1/search", json=body)

    def documents(self, collection: str | None) -> Body:
        """List documents."""
        parameters = {} if collection is None else {"collection": collection}
        return self._send("GET", "/v1/documents", params=parameters)

    def delete(self, document_id: str) -> None:
        """Delete a document."""
        self._send("DELETE", f"/v1/documents/{document_id}")

    def ingest(self, upload: Upload, progress: Progress) -> Body:
        """Upload a file; the progress is the server's, and none comes from an older one."""
        fields = {"collection": upload.collection, "source": upload.source or upload.name}
        files = {"file": (upload.name, upload.data)}
        headers = {"Accept": STREAM_OR_JSON}
        with self._stream("/v1/documents", data=fields, files=files, headers=headers) as response:
            if not is_stream(response):
                response.read()
                return _load(response)
            for name, data in _told(response):
                if name == "progress":
                    progress(data["done"], data["total"])
                if name == "end":
                    return data
        fix = "Send the file again: what is stored already is not embedded again."
        raise RemoteError("The server broke off in the middle of the upload.", fix=fix)

    def feedback(self, collection: str | None) -> Body:
        """List judged answers."""
        chosen = {} if collection is None else {"collection": collection}
        return self._send("GET", "/v1/feedback", params={**chosen, "limit": MOST_LISTED})

    def questions(self, collection: str | None) -> str:
        """Give judged answers as the lines of a question set."""
        parameters = {} if collection is None else {"collection": collection}
        with _reached():
            response = self._client.get("/v1/feedback/questions", params=parameters)
        _check(response)
        return response.text

    def forget(self, answer_id: str) -> None:
        """Delete a judgement."""
        self._send("DELETE", f"/v1/feedback/{answer_id}")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _send(self, method: str, path: str, **options: Any) -> Body:
        with _reached():
            response = self._client.request(method, path, **options)
        _check(response)
        return _load(response)

    @contextmanager
    def _stream(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        with _reached(), self._client.stream("POST", path, **options) as response:
            if not response.is_success:
                response.read()
                _check(response)
            yield response


class OwnSession:
    """A session that opens the data folder itself."""

    def __init__(self, settings: Settings, library: Library) -> None:
        self._settings = settings
        self._library = library
        self._store = FeedbackStore.of(settings.home_path)

    def ask(self, question: str, collection: str, on_token: OnToken | None = None) -> Body:
        """Build the reader, and answer."""
        return asyncio.run(self._ask(Ask(question, collection), on_token or (lambda _: None)))

    async def _ask(self, asked: Ask, on_token: OnToken) -> Body:
        from qa.chain import answer_of  # noqa: PLC0415  LangChain takes a second

        service = build_service(self._settings, library=self._library)
        events: tuple[Event, ...] = ()
        try:
            async for group in service.chain.astream(asked):
                for event in group:
                    if isinstance(event, Token):
                        on_token(event.text)
                events = group or events
        finally:
            service.reader.close()
        return AnswerResponse.of(answer_of(events)).model_dump()

    def search(self, query: str, collection: str, limit: int) -> Body:
        """Find passages."""
        hits = self._library.search(query, collection=collection, limit=limit)
        passages = [PassageBody.of(hit) for hit in hits]
        return SearchResponse(query=query, passages=passages).model_dump()

    def documents(self, collection: str | None) -> Body:
        """List documents."""
        records = self._library.documents(collection)
        return {"documents": [DocumentBody.of(record).model_dump() for record in records]}

    def delete(self, document_id: str) -> None:
        """Delete a document."""
        self._library.delete(document_id)

    def ingest(self, upload: Upload, progress: Progress) -> Body:
        """Make one file searchable."""
        done = self._library.ingest(upload, progress=progress)
        return IngestedResponse.of(done).model_dump()

    def feedback(self, collection: str | None) -> Body:
        """List judged answers."""
        found = self._store.find(collection=collection, limit=MOST_LISTED)
        total = self._store.count(collection=collection)
        return FeedbackResponse.of(found, total).model_dump(mode="json")

    def questions(self, collection: str | None) -> str:
        """Give judged answers as the lines of a question set."""
        return "".join(write_questions(self._store, self._library, collection))

    def forget(self, answer_id: str) -> None:
        """Delete a judgement."""
        self._store.delete(answer_id)


@contextmanager
def open_session(url: str | None, *, reading: bool) -> Iterator[Session]:
    """Reach the named server, or the data folder's, or open the folder.

    `reading` fetches the language model's weights too, where they are not here yet.
    """
    settings = Settings()
    address = url or find_server(settings.home_path)
    if address is not None:
        remote = RemoteSession(address)
        try:
            yield remote
        finally:
            remote.close()
        return
    from api.terminal import fetch_weights, spinner  # noqa: PLC0415

    fetch_weights(settings, language_model=reading)
    with spinner("opening the library"):
        library = build_library(settings)
    with library:
        yield OwnSession(settings, library)


def find_server(home: Path) -> str | None:
    """Give the address of the server that has this data folder, if it answers."""
    address = read_address(home)
    if address is None:
        return None
    try:
        answer = httpx.get(f"{address}/healthz", timeout=PING_TIMEOUT)
    except httpx.HTTPError:
        return None
    return address if answer.is_success else None


def read_events(lines: Iterator[str]) -> Iterator[tuple[str, Body]]:
    """Read server-sent events of one data line each."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def _told(response: httpx.Response) -> Iterator[tuple[str, Body]]:
    for name, data in read_events(response.iter_lines()):
        if name == "error":
            raise RemoteError(data["detail"], fix=data["fix"])
        yield name, data


def _load(response: httpx.Response) -> Body:
    try:
        return dict(response.json()) if response.content else {}
    except (ValueError, TypeError) as error:
        fix = "Is it Footnote that serves there? Check --url."
        raise RemoteError(f"{response.url} did not answer in JSON.", fix=fix) from error


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RemoteError(
            f"The server did not answer: {error}.", fix="Is it running? Start it with `make serve`."
        ) from error


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    try:
        problem = response.json()
        raise RemoteError(problem["detail"], fix=problem["fix"])
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteError(f"The server answered {response.status_code}.") from error
