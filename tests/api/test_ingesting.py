from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.deps import Running
from api.routes.ingesting import stream
from api.stream import read_events
from index.errors import StorageFullError
from index.library import Upload
from index.testing import HashingEmbedder

OpenClient = Callable[..., TestClient]
MakeApp = Callable[..., FastAPI]
StartServer = Callable[[FastAPI], str]
Told = list[tuple[str, dict[str, Any]]]

PATH = "/v1/documents"
STREAM = {"Accept": "text/event-stream"}
WAIT_SECONDS = 20.0


def write(*words: str) -> str:
    """Write a text of one passage for each word."""
    return "\n\n".join(
        f"{word.capitalize()} is a word. " + f"So is {word}. " * 60 for word in words
    )


def send(client: Any, text: str, name: str = "note.txt", **headers: str) -> Any:
    return client.post(PATH, files={"file": (name, text.encode())}, headers=STREAM | headers)


def told(response: Any) -> Told:
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    return list(read_events(response.text.splitlines()))


def steps(total: int) -> Told:
    return [("progress", {"done": done, "total": total}) for done in range(total + 1)]


@pytest.fixture
def running(client: TestClient) -> Running:
    """Give what an app without documents runs with."""
    found: Running = client.app.state.running  # type: ignore[attr-defined]
    return found


@pytest.fixture
def busy(running: Running) -> Iterator[threading.Event]:
    """Keep the thread that ingests busy until the event is set."""
    done = threading.Event()
    running.ingesting.submit(done.wait, WAIT_SECONDS)
    yield done
    done.set()


def after(running: Running) -> Future[None]:
    """Give what is done when everything that was to be ingested before is."""
    return running.ingesting.submit(lambda: None)


def sources(running: Running) -> list[str]:
    return [record.source for record in running.service.library.documents()]


@pytest.mark.usefixtures("one_by_one")
def test_a_stream_tells_each_step_and_ends_with_the_document(client: TestClient) -> None:
    response = send(client, write("one", "two", "three"))
    *before, (name, end) = told(response)

    assert before == steps(3)
    assert (name, end["outcome"]) == ("end", "created")
    assert client.get(PATH).json()["documents"] == [end["document"]]
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"


@pytest.mark.usefixtures("one_by_one")
def test_text_in_json_is_told_of_as_a_file_is(client: TestClient) -> None:
    body = {"text": write("one", "two"), "source": "note"}
    *before, (name, end) = told(client.post(PATH, json=body, headers=STREAM))

    assert before == steps(2)
    assert (name, end["document"]["source"]) == ("end", "note")


def test_a_document_that_is_here_ends_at_once_with_the_body_of_the_whole_answer(
    client: TestClient,
) -> None:
    told(send(client, "The bridge is long."))
    whole = send(client, "The bridge is long.", Accept="application/json")

    assert whole.json()["outcome"] == "unchanged"
    assert told(send(client, "The bridge is long.")) == [("end", whole.json())]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"files": {"file": ("a.exe", b"text")}}, 415),
        ({"files": {"file": ("a.txt", b"")}}, 422),
        ({"files": {"file": ("a.txt", b"caf\xe9")}}, 422),
        ({"files": {"file": ("a.txt", b"ab " * 1000)}}, 413),
        ({"files": {"other": ("a.txt", b"text")}}, 422),
        ({"json": {"text": "a", "collection": "../b"}}, 422),
        ({"json": {"text": "a", "source": "a\nb"}}, 422),
        ({"json": {"title": "no text"}}, 422),
        ({"content": b"text"}, 415),
    ],
)
def test_what_cannot_be_used_keeps_its_status_and_waits_for_no_other(
    open_client: OpenClient, options: dict[str, Any], status: int
) -> None:
    client = open_client(max_document_bytes=2000)
    done = threading.Event()
    ingesting = client.app.state.running.ingesting  # type: ignore[attr-defined]
    other = ingesting.submit(done.wait, WAIT_SECONDS)
    answers = [client.post(PATH, headers=h, **options) for h in (STREAM, {})]
    waits = not other.done()
    done.set()

    assert waits
    assert [a.status_code for a in answers] == [status, status]
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert answers[0].json() == answers[1].json()


@pytest.mark.usefixtures("one_by_one")
def test_an_error_in_the_middle_is_the_last_event(
    open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = HashingEmbedder.embed_passages

    def fail(self: HashingEmbedder, passages: Any) -> Any:
        if "Two" in passages[0].text:
            raise StorageFullError("The disk is full.")
        return embed(self, passages)

    monkeypatch.setattr(HashingEmbedder, "embed_passages", fail)
    client = open_client()
    *before, (name, problem) = told(send(client, write("one", "two", "three")))

    assert before == steps(3)[:2]
    assert name == "error"
    assert (problem["status"], problem["detail"]) == (507, "The disk is full.")
    assert problem["type"] == "urn:footnote:problem:storage-full"
    assert problem["fix"] == StorageFullError.fix
    assert client.get(PATH).json() == {"documents": []}


def test_an_error_of_the_ingest_is_an_event_also_before_the_first_step(
    make_app: MakeApp, tmp_path: Path
) -> None:
    with TestClient(make_app(home=tmp_path)) as client:
        send(client, "The bridge is long.")
    with TestClient(make_app(home=tmp_path, embedder=HashingEmbedder(64))) as client:
        ((name, problem),) = told(send(client, "The road is longer."))

    assert (name, problem["status"]) == ("error", 409)


@pytest.mark.usefixtures("one_by_one")
def test_two_uploads_at_once_are_ingested_one_after_the_other(
    make_app: MakeApp, start_server: StartServer, held: Any
) -> None:
    """The second is accepted while the first is held, and has all its steps later."""
    address = start_server(make_app(embedder=held))
    sent: list[dict[str, Any]] = [
        {"json": {"text": write("one", "hold"), "source": "first"}},
        {"json": {"text": write("three", "four", "five"), "source": "second"}},
    ]
    options = {"base_url": address, "headers": STREAM, "timeout": WAIT_SECONDS}
    with (
        httpx.Client(**options) as client,
        client.stream("POST", PATH, **sent[0]) as first,
    ):
        events = read_events(first.iter_lines())
        begun = [next(events), next(events)]
        with client.stream("POST", PATH, **sent[1]) as second:
            listed = client.get(PATH).json()["documents"]
            held.go.set()
            *before, (name, end) = begun + list(events)
            *before_second, (name_second, end_second) = list(read_events(second.iter_lines()))

    assert listed == []
    assert (before, before_second) == (steps(2), steps(3))
    assert (name, name_second) == ("end", "end")
    assert (end["document"]["source"], end_second["document"]["source"]) == ("first", "second")
    assert [t.split()[0] for t in held.texts] == ["One", "Hold", "Three", "Four", "Five"]


@pytest.mark.usefixtures("one_by_one")
def test_an_ingest_goes_on_when_its_client_leaves(
    make_app: MakeApp, start_server: StartServer, held: Any
) -> None:
    address = start_server(make_app(embedder=held))
    with httpx.Client(base_url=address, timeout=WAIT_SECONDS) as client:
        body = {"text": write("one", "hold", "three"), "source": "left"}
        with client.stream("POST", PATH, json=body, headers=STREAM) as response:
            assert next(read_events(response.iter_lines())) == steps(3)[0]
        held.go.set()
        client.post(PATH, json={"text": "The next one.", "source": "next"})
        listed = client.get(PATH).json()["documents"]

    assert {d["source"]: d["passages"] for d in listed} == {"left": 3, "next": 1}


def test_silence_is_broken_while_another_is_ingested_and_who_leaves_then_loses_nothing(
    running: Running, busy: threading.Event
) -> None:
    async def run() -> bytes:
        document = running.service.library.read(Upload(b"The bridge is long.", "a.txt"))
        frames: Any = stream(running, document, heartbeat=0.001).body_iterator
        first: bytes = await anext(frames)
        await frames.aclose()
        busy.set()
        await asyncio.wrap_future(after(running))
        return first

    assert asyncio.run(run()).startswith(b":")
    assert sources(running) == ["a.txt"]


@pytest.mark.usefixtures("one_by_one")
def test_a_client_that_does_not_read_holds_nothing_up(running: Running) -> None:
    async def run() -> Told:
        text = write("one", "two", "three").encode()
        response = stream(running, running.service.library.read(Upload(text, "a.txt")))
        await asyncio.wrap_future(after(running))
        assert sources(running) == ["a.txt"]
        frames: Any = response.body_iterator
        return list(read_events(b"".join([f async for f in frames]).decode().splitlines()))

    events = asyncio.run(run())
    assert events[:-1] == steps(3)
    assert events[-1][0] == "end"


@pytest.mark.usefixtures("one_by_one")
def test_an_ingest_goes_on_when_there_is_nobody_left_to_tell(
    running: Running, busy: threading.Event
) -> None:
    """The loop is closed before the first step, as it is when a server is told twice to stop."""

    async def begin() -> None:
        text = write("one", "two").encode()
        stream(running, running.service.library.read(Upload(text, "a.txt")))

    asyncio.run(begin())
    busy.set()
    after(running).result(WAIT_SECONDS)

    assert sources(running) == ["a.txt"]
