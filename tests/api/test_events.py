from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from api.events import NATIVE, encode, to_wire
from index.errors import BadInputError
from qa.errors import ModelBusyError
from qa.types import (
    Answer,
    Citation,
    Cited,
    Ended,
    Event,
    Refusal,
    RefusalCode,
    Refused,
    Started,
    Timings,
    Token,
)

Groups = AsyncIterator[tuple[Event, ...]]
NOTHING = Answer(
    question="why?",
    answered=False,
    text="",
    refusal=Refusal(RefusalCode.NOT_STATED, "The documents found do not say."),
    citations=(),
    passages=(),
    model="scripted",
    timings=Timings(),
)
CITATION = Citation(
    marker=1,
    document_id="d1",
    title="A title",
    quote="a quote",
    start=3,
    end=10,
    page=None,
    section=None,
    answer_start=0,
    answer_end=2,
)


async def collect(groups: Groups, heartbeat: float = 60.0) -> list[str]:
    return [frame.decode() async for frame in encode(groups, NATIVE, heartbeat=heartbeat)]


def data_of(frame: str) -> object:
    return json.loads(frame.split("data: ", 1)[1])


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Started("why?", "scripted"), "start"),
        (Token("be"), "token"),
        (Cited(CITATION), "citation"),
        (Ended(NOTHING), "end"),
        (Refused(NOTHING), "refused"),
    ],
)
def test_every_event_has_a_name_and_json_data(event: Event, name: str) -> None:
    found, data = to_wire(event)

    assert found == name
    assert json.loads(json.dumps(data)) == data


def test_a_citation_goes_out_with_the_view_of_its_span() -> None:
    _, data = to_wire(Cited(CITATION))

    assert data["url"] == "/documents/d1/view#3-10"
    assert data["quote"] == "a quote"


def test_each_event_is_one_frame_of_one_data_line() -> None:
    async def groups() -> Groups:
        yield (Started("why?", "scripted"), Token("two\nlines\r\n"))
        yield (Refused(NOTHING),)

    frames = asyncio.run(collect(groups()))

    assert [f.splitlines()[0] for f in frames] == [
        "event: start",
        "event: token",
        "event: refused",
    ]
    assert all(f.endswith("\n\n") and len(f.splitlines()) == 3 for f in frames)
    assert data_of(frames[1]) == {"text": "two\nlines\r\n"}


def test_no_character_of_a_text_ends_a_line_for_any_reader() -> None:
    """A reader that splits lines as `str.splitlines` does must find the frame whole."""
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg€😀"

    async def groups() -> Groups:
        yield (Token(text),)

    (frame,) = asyncio.run(collect(groups()))

    assert len(frame.splitlines()) == 3
    assert data_of(frame) == {"text": text}
    assert "€😀" in frame


def test_an_error_of_ours_is_the_last_event() -> None:
    async def groups() -> Groups:
        yield (Started("why?", "scripted"),)
        raise ModelBusyError("17 questions are waiting.")

    frames = asyncio.run(collect(groups()))

    assert [f.splitlines()[0] for f in frames] == ["event: start", "event: error"]
    assert data_of(frames[-1]) == {
        "type": "urn:footnote:problem:model-busy",
        "title": "Too many questions are waiting",
        "status": 503,
        "detail": "17 questions are waiting.",
        "fix": ModelBusyError.fix,
        "instance": None,
    }


def test_an_error_before_any_event_is_an_event_too() -> None:
    async def groups() -> Groups:
        raise BadInputError("No.", fix="Yes.")
        yield ()

    (frame,) = asyncio.run(collect(groups()))

    assert frame.startswith("event: error\n")


def test_silence_is_broken_by_comments() -> None:
    async def run() -> list[str]:
        go_on = asyncio.Event()

        async def groups() -> Groups:
            yield (Token("before"),)
            await go_on.wait()
            yield (Token("after"),)

        frames = []
        async for frame in encode(groups(), NATIVE, heartbeat=0.001):
            frames.append(frame.decode())
            if sum(f.startswith(":") for f in frames) == 3:
                go_on.set()
        return frames

    frames = asyncio.run(run())
    comments = [f for f in frames if f.startswith(":")]

    assert len(comments) >= 3
    assert all(c.endswith("\n\n") and "data:" not in c for c in comments)
    tokens = [data_of(f) for f in frames if not f.startswith(":")]
    assert tokens == [{"text": "before"}, {"text": "after"}]


def test_leaving_between_events_closes_the_generator() -> None:
    closed = []

    async def groups() -> Groups:
        try:
            yield (Token("one"),)
            yield (Token("two"),)
        finally:
            closed.append("closed")

    async def run() -> None:
        frames = encode(groups(), NATIVE)
        await anext(frames)
        await frames.aclose()
        assert closed == ["closed"]

    asyncio.run(run())


def test_leaving_while_the_model_is_silent_closes_the_generator() -> None:
    closed = []

    async def run() -> None:
        silent = asyncio.Event()

        async def groups() -> Groups:
            try:
                yield (Token("one"),)
                silent.set()
                await asyncio.Event().wait()
            finally:
                closed.append("closed")

        reading = asyncio.create_task(collect(groups()))
        await silent.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert closed == ["closed"]

    asyncio.run(run())


def test_an_unexpected_error_is_told_to_the_client_and_not_hidden() -> None:
    frames = []

    async def groups() -> Groups:
        yield (Token("one"),)
        raise LookupError("a bug of the server")

    async def run() -> None:
        async for frame in encode(groups(), NATIVE):
            frames.append(frame.decode())  # noqa: PERF401  what came before the error is kept

    with pytest.raises(LookupError, match="a bug"):
        asyncio.run(run())
    assert [frame.split("\n")[0] for frame in frames] == ["event: token", "event: error"]
    problem = data_of(frames[-1])
    assert isinstance(problem, dict)
    assert problem["status"] == 500
    assert problem["fix"]
    assert "a bug" not in frames[-1]
