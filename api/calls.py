"""What a client sends and how it reads what comes back; nothing here touches the network.

A `Call` is a request with its reader; `Tries` says whether and when a failed one is sent again.

FootnoteError
└── RemoteError             whatever keeps a server's answer away
    ├── ProblemError        the server answered with a problem (RFC 9457)
    ├── ServerGoneError     no server is there, or it went away in the middle
    └── NotFootnoteError    what answers is no Footnote, or one of another version
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from api.schemas import (
    AnswerResponse,
    DocumentBody,
    DocumentsResponse,
    HealthResponse,
    IngestedResponse,
    Problem,
    SearchResponse,
)
from index.errors import FootnoteError

BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
"""Seconds before another try, doubling, where the server does not say how long."""
JITTER = 0.25
"""The share that is added at most, so that many clients do not come back at once."""
LONGEST_WAIT = 120.0
"""Seconds that a server may ask to wait; where it asks for more, its problem is raised at once."""

EVENTS = "text/event-stream"
STREAM_OR_JSON = f"{EVENTS}, application/json"
"""What accepts a stream of server-sent events, and the whole answer of a server that has none."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
Body: TypeAlias = dict[str, Any]


class RemoteError(FootnoteError):
    """Whatever keeps a server's answer away."""


class ProblemError(RemoteError):
    """A problem that the server answered with.

    `status` and `type` (a URN) are the server's, `detail` is `str(error)`, and `retry_after` are
    the seconds after which it may be worth another try, None where the server does not say.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem.detail, fix=problem.fix)
        self.status = problem.status
        self.type = problem.type
        self.detail = problem.detail
        self.retry_after = retry_after


class ServerGoneError(RemoteError):
    """No server answers at the address, or it went away in the middle of an answer."""

    fix = "Start it with `footnote serve` or `make serve`, or check the URL."


class NotFootnoteError(RemoteError):
    """The answer is not one of this version's."""

    fix = "Is it Footnote that serves there, and of this version? Check the URL."


class Turn(Protocol):
    """An earlier question and its answer: an `AnswerResponse`, or anything like it."""

    @property
    def question(self) -> str:
        """The question."""

    @property
    def answer(self) -> str:
        """The answer; empty where there was none."""


History: TypeAlias = Sequence[str | Turn]
"""The conversation so far, oldest first; a string is a question whose answer is not known."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and how its response is read; `read` raises a `RemoteError`.

    `body` goes as JSON, `form` and `file` (name, bytes) as a form; `accept` is the header, where
    another answer than the usual one is wanted. `safe` says that sending it
    twice changes nothing, so that it may be sent again when nobody knows whether it arrived.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str] | None = None
    body: Body | None = None
    form: Mapping[str, str] | None = None
    file: tuple[str, bytes] | None = None
    accept: str = "*/*"
    safe: bool = True

    def build(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Give the request. Raises `httpx.InvalidURL`."""
        headers = {"Accept": self.accept}
        if self.body is None:
            files = None if self.file is None else {"file": self.file}
            return http.build_request(
                self.method,
                self.path,
                params=self.params,
                data=self.form,
                files=files,
                headers=headers,
            )
        # Half of a surrogate pair goes out as it is: it is for the server to refuse, with a fix.
        content = json.dumps(self.body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        headers["Content-Type"] = "application/json"
        return http.build_request(self.method, self.path, content=content, headers=headers)


def asking(
    question: str, collection: str, history: History, *, fresh: bool = False
) -> Call[AnswerResponse]:
    """Ask for an answer."""
    body = _question(question, collection, history, fresh=fresh)
    return Call("POST", "/v1/ask", _reader(AnswerResponse), body=body)


def streaming(
    question: str, collection: str, history: History, *, fresh: bool = False
) -> Call[None]:
    """Ask for an answer as it is written; what is read here is only whether it begins."""
    body = {**_question(question, collection, history, fresh=fresh), "stream": True}
    return Call("POST", "/v1/ask", check, body=body)


def searching(query: str, collection: str, limit: int) -> Call[SearchResponse]:
    """Ask for passages."""
    body = {"query": query, "collection": collection, "limit": limit}
    return Call("POST", "/v1/search", _reader(SearchResponse), body=body)


def listing(collection: str | None) -> Call[list[DocumentBody]]:
    """Ask for the documents, of one collection or of all."""
    params = {} if collection is None else {"collection": collection}
    read = _reader(DocumentsResponse)
    return Call("GET", "/v1/documents", lambda r: read(r).documents, params=params)


def describing(document_id: str) -> Call[DocumentBody]:
    """Ask what is known of a document."""
    return Call("GET", _path(document_id), _reader(DocumentBody))


def reading(document_id: str) -> Call[str]:
    """Ask for the text that every offset counts in."""
    return Call("GET", f"{_path(document_id)}/text", _read_text)


def adding(
    text: str, title: str | None, source: str | None, collection: str, *, markdown: bool
) -> Call[IngestedResponse]:
    """Send a document as text."""
    body = {
        "text": text,
        "title": title,
        "source": source,
        "collection": collection,
        "markdown": markdown,
    }
    return Call("POST", "/v1/documents", _reader(IngestedResponse), body=body, safe=False)


def uploading(
    data: bytes, name: str, collection: str, source: str | None = None
) -> Call[IngestedResponse]:
    """Send a file; its name's suffix says how it is read, and names its source if nothing else."""
    form = {"collection": collection, "source": source or name}
    read = _reader(IngestedResponse)
    return Call("POST", "/v1/documents", read, form=form, file=(name, data), safe=False)


def deleting(document_id: str) -> Call[None]:
    """Ask to delete a document."""
    return Call("DELETE", _path(document_id), check, safe=False)


def getting_ready() -> Call[bool]:
    """Ask whether a question would be answered at once."""
    return Call("GET", "/readyz", _read_ready)


class Tries:
    """Counts the tries of one call, `attempts` at most. `safe` is the call's."""

    def __init__(self, attempts: int, *, safe: bool) -> None:
        self._left = attempts
        self._safe = safe
        self._pause = FIRST_PAUSE

    def pause_after(self, error: RemoteError) -> float:
        """Give the seconds to wait before the next try. Raises the error where none would help."""
        self._left -= 1
        pause = self._pause * random.uniform(1, 1 + JITTER)  # noqa: S311  no secret hangs on it
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if isinstance(error, ProblemError) and error.retry_after is not None:
            pause = error.retry_after
        helps = _is_busy(error) or (self._safe and _is_lost(error))
        if not helps or self._left <= 0 or pause > LONGEST_WAIT:
            raise error
        return pause


@contextmanager
def reached() -> Iterator[None]:
    """Turn what keeps a server from being reached into `ServerGoneError`."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__  # a timeout may come without words
        raise ServerGoneError(f"The server did not answer: {why}.") from error


def check(response: httpx.Response) -> None:
    """Raise `ProblemError` unless a response, which was read, is a success."""
    if not response.is_success:
        problem = to_problem(_json(response), response.status_code)
        raise ProblemError(problem, _retry_after(response))


def is_stream(response: httpx.Response) -> bool:
    """Tell whether a response is a stream of server-sent events."""
    return str(response.headers.get("Content-Type", "")).startswith(EVENTS)


def to_problem(told: Any, status: int) -> Problem:
    """Read an answer's body as a problem; what it does not tell, or not rightly, is filled in."""
    plain = {
        "type": "about:blank",
        "title": "Error",
        "detail": f"The server answered with status {status}.",
        "fix": NotFootnoteError.fix,
        "status": status,
    }
    try:
        return Problem.model_validate({**plain, **told, "status": status})
    except (ValueError, TypeError):
        return Problem.model_validate(plain)


def validate(model: type[M], data: Any) -> M:
    """Give data its type, but for fields that are not known. Raises `NotFootnoteError`."""
    try:
        # A newer server may say more; only what people send must have no unknown field.
        return model.model_validate(data, extra="ignore")
    except ValidationError as error:
        raise NotFootnoteError(f"The answer is not of the form of {model.__name__}.") from error


def _retry_after(response: httpx.Response) -> float | None:
    told = response.headers.get("Retry-After", "")
    if told.isdecimal():
        return float(told)
    try:
        when = parsedate_to_datetime(told)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _is_busy(error: RemoteError) -> bool:
    return isinstance(error, ProblemError) and error.status in BUSY


def _is_lost(error: RemoteError) -> bool:
    return isinstance(error.__cause__, httpx.NetworkError | httpx.RemoteProtocolError)


def _reader(model: type[M]) -> Callable[[httpx.Response], M]:
    def read(response: httpx.Response) -> M:
        check(response)
        return validate(model, _json(response))

    return read


def _json(response: httpx.Response) -> Any:
    """Give a response's JSON; None, which no body of ours is, where it has none."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _read_text(response: httpx.Response) -> str:
    check(response)
    try:
        return response.content.decode()
    except UnicodeDecodeError as error:
        raise NotFootnoteError(f"{response.url} did not answer in UTF-8.") from error


def _read_ready(response: httpx.Response) -> bool:
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return False
    return _reader(HealthResponse)(response).status == "ready"


def _question(question: str, collection: str, history: History, *, fresh: bool) -> Body:
    turns = [
        turn if isinstance(turn, str) else {"question": turn.question, "answer": turn.answer}
        for turn in history
    ]
    body = {"question": question, "collection": collection, "history": turns}
    # An older server knows no `fresh`, and has no answers to give again.
    return {**body, "fresh": True} if fresh else body


def _path(document_id: str) -> str:
    return f"/v1/documents/{quote(document_id, safe='')}"
