"""A stream as a client reads it: lines -> named events -> events with a type, or progress."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import TypeAlias

from api.calls import Body, ProblemError, ServerGoneError, to_problem, validate
from api.schemas import AnswerResponse, CitationBody, IngestedResponse, ProgressBody
from index.ingest import Progress


@dataclass(frozen=True, slots=True)
class StreamStart:
    """The stream begins; `question` is what is looked up, rewritten where a follow-up was asked."""

    question: str
    model: str
    rewritten: bool


@dataclass(frozen=True, slots=True)
class StreamToken:
    """The next piece of the answer's text, not yet verified."""

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


class EventReader:
    """Lines of server-sent events -> events' names and data, by the standard's rules."""

    def __init__(self) -> None:
        self._name = ""
        self._data: list[str] = []

    def take(self, line: str) -> tuple[str, Body] | None:
        """Take a line without its end; give the event that it completes, if it does."""
        if line:
            field, _, value = line.partition(":")  # a comment's field is empty
            if field == "event":
                self._name = value.removeprefix(" ")
            elif field == "data":
                self._data.append(value.removeprefix(" "))
            return None
        name, data = self._name, "\n".join(self._data)
        self._name, self._data = "", []
        return (name, _load(data)) if data else None


def read_events(lines: Iterable[str]) -> Iterator[tuple[str, Body]]:
    """Read the lines of a stream. Raises `ServerGoneError` where one was cut."""
    reader = EventReader()
    for line in chain(lines, ("",)):
        if (event := reader.take(line)) is not None:
            yield event


async def aread_events(lines: AsyncIterator[str]) -> AsyncGenerator[tuple[str, Body]]:
    """Read the lines of a stream that is waited for, as `read_events` does."""
    reader = EventReader()
    async for line in lines:
        if (event := reader.take(line)) is not None:
            yield event
    if (event := reader.take("")) is not None:
        yield event


def to_event(name: str, data: Body) -> StreamEvent | None:
    """Give an event its type; None for one of a newer server. Raises `RemoteError`."""
    match name:
        case "start":
            # It only informs: the stream of a server that tells less here can be read all the same.
            question, model = str(data.get("question", "")), str(data.get("model", ""))
            return StreamStart(question, model, bool(data.get("rewritten")))
        case "token":
            return StreamToken(str(data.get("text", "")))
        case "citation":
            return StreamCitation(validate(CitationBody, data))
        case "end":
            return StreamEnd(validate(AnswerResponse, data))
        case "refused":
            return StreamRefused(validate(AnswerResponse, data))
        case "error":
            raise ProblemError(to_problem(data, _status(data)))
    return None


def follow(name: str, data: Body, progress: Progress) -> IngestedResponse | None:
    """Tell of an upload's progress; give what became of it at its end. Raises `RemoteError`."""
    match name:
        case "progress":
            told = validate(ProgressBody, data)
            progress(told.done, told.total)
        case "end":
            return validate(IngestedResponse, data)
        case "error":
            raise ProblemError(to_problem(data, _status(data)))
    return None


def broken_off() -> ServerGoneError:
    """Give the error of a stream without a last event."""
    fix = "Try again; if that does not help, see the server's log."
    return ServerGoneError("The server broke off in the middle of the answer.", fix=fix)


def _status(data: Body) -> int:
    status = data.get("status")
    return status if isinstance(status, int) else int(HTTPStatus.INTERNAL_SERVER_ERROR)


def _load(data: str) -> Body:
    try:
        return dict(json.loads(data))
    except (ValueError, TypeError, RecursionError) as error:
        raise broken_off() from error
