from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from fastapi import FastAPI

from api.session import (
    OwnSession,
    RemoteError,
    RemoteSession,
    find_server,
    open_session,
    read_events,
)
from index.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    StorageFullError,
    UnsupportedFormatError,
)
from index.library import Library, Upload, announce_address
from index.testing import HashingEmbedder
from qa.settings import Settings
from qa.testing import ScriptedChatModel

QUESTION = "how much will Alibaba invest?"
TIMES = ("created_at", "updated_at")


class Served(Protocol):
    """A server on loopback."""

    home: Path
    address: str


class Odd:
    """An ASGI app that answers everything the same."""

    def __init__(self, status: int, body: bytes, kind: bytes = b"") -> None:
        self.status = status
        self.body = body
        self.headers = [(b"content-type", kind)] if kind else []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


@pytest.fixture
def remote(served: Served) -> Iterator[RemoteSession]:
    """Give a session with a server of an empty library."""
    session = RemoteSession(served.address)
    yield session
    session.close()


@pytest.fixture
def own(offline: ScriptedChatModel, tmp_path: Path) -> Iterator[OwnSession]:
    """Give a session with an empty library of its own."""
    del offline
    home = tmp_path / "own"
    with Library(home, HashingEmbedder(512)) as library:
        yield OwnSession(Settings(home=home), library)


def ignore(_done: int, _total: int) -> None:
    pass


def test_both_sessions_give_the_same(remote: RemoteSession, own: OwnSession, seed: Path) -> None:
    upload = Upload(seed.read_bytes(), seed.name)
    seen: list[list[Any]] = []
    for session in (remote, own):
        tokens: list[str] = []
        ingested = session.ingest(upload, ignore)
        document = {k: v for k, v in ingested["document"].items() if k not in TIMES}
        found = session.search("investor confidence", "default", 3)
        answer = session.ask(QUESTION, "default", tokens.append)
        assert answer.pop("timings")["total"] > 0
        # Nobody can judge what no server holds.
        assert (answer.pop("id") is None) == isinstance(session, OwnSession)
        listed = [d["id"] for d in session.documents("default")["documents"]]
        session.delete(document["id"])
        left = session.documents(None)
        seen.append([ingested["outcome"], document, found, tokens, answer, listed, left])

    assert seen[0] == seen[1]
    assert "".join(seen[0][3]) == seen[0][4]["answer"]


@pytest.mark.usefixtures("one_by_one")
def test_both_sessions_tell_the_same_progress(remote: RemoteSession, own: OwnSession) -> None:
    upload = Upload("\n\n".join(f"{n}. " + "A word. " * 90 for n in range(3)).encode(), "a.txt")
    seen: list[list[tuple[int, int]]] = []
    for session in (remote, own):
        steps: list[tuple[int, int]] = []
        for outcome in ("created", "unchanged"):
            done = session.ingest(upload, lambda *step, steps=steps: steps.append(step))
            assert done["outcome"] == outcome
        seen.append(steps)

    assert seen == [[(0, 3), (1, 3), (2, 3), (3, 3)]] * 2


def test_a_refused_file_keeps_its_words_over_http(remote: RemoteSession, own: OwnSession) -> None:
    upload = Upload(b"text", "a.exe")
    with pytest.raises(UnsupportedFormatError) as here:
        own.ingest(upload, ignore)
    with pytest.raises(RemoteError) as there:
        remote.ingest(upload, ignore)

    assert (str(there.value), there.value.fix) == (str(here.value), here.value.fix)


def test_an_ingest_that_fails_on_the_server_is_raised_with_its_words(
    remote: RemoteSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any, **_options: Any) -> None:
        raise StorageFullError("The disk is full.")

    monkeypatch.setattr(Library, "add", full)
    with pytest.raises(RemoteError, match=r"The disk is full\.") as caught:
        remote.ingest(Upload(b"text", "a.txt"), ignore)
    assert caught.value.fix == StorageFullError.fix


def test_a_file_goes_to_a_server_that_cannot_tell_its_progress(
    start_server: Callable[[Any], str],
) -> None:
    session = RemoteSession(start_server(Odd(201, b'{"outcome": "created"}', b"application/json")))
    done = session.ingest(Upload(b"text", "a.txt"), lambda *_: pytest.fail("it told"))

    assert done == {"outcome": "created"}
    session.close()


def test_an_upload_that_breaks_off_is_an_error(start_server: Callable[[Any], str]) -> None:
    body = b'event: progress\ndata: {"done": 1, "total": 2}\n\n'
    session = RemoteSession(start_server(Odd(200, body, b"text/event-stream")))

    with pytest.raises(RemoteError, match="broke off in the middle of the upload") as caught:
        session.ingest(Upload(b"text", "a.txt"), ignore)
    assert caught.value.fix
    session.close()


def test_errors_keep_their_words_over_http(remote: RemoteSession, own: OwnSession) -> None:
    with pytest.raises(DocumentNotFoundError) as here:
        own.delete("nothing")
    with pytest.raises(RemoteError) as there:
        remote.delete("nothing")

    assert str(there.value) == str(here.value)
    assert there.value.fix == here.value.fix


def test_an_unknown_collection_cannot_be_asked(remote: RemoteSession, own: OwnSession) -> None:
    with pytest.raises(CollectionNotFoundError, match="nowhere"):
        own.ask(QUESTION, "nowhere")
    with pytest.raises(RemoteError, match="nowhere"):
        remote.ask(QUESTION, "nowhere")


def test_an_error_in_mid_stream_is_raised(
    make_app: Callable[..., FastAPI], start_server: Callable[[FastAPI], str], seed: Path
) -> None:
    model = ScriptedChatModel(script=lambda _: RuntimeError("out of memory"))
    session = RemoteSession(start_server(make_app(model)))
    session.ingest(Upload(seed.read_bytes(), seed.name), ignore)

    with pytest.raises(RemoteError, match="broke off") as caught:
        session.ask(QUESTION, "default")
    assert caught.value.fix
    session.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[1]"),
        (200, b'"text"'),
        (404, b"<html>"),
        (500, b"[]"),
        (500, b"{}"),
        (502, b"null"),
    ],
)
def test_another_server_is_an_error_of_ours(
    start_server: Callable[[Any], str], status: int, body: bytes
) -> None:
    session = RemoteSession(start_server(Odd(status, body)))

    with pytest.raises(RemoteError):
        session.documents(None)
    session.close()


def test_a_stream_that_breaks_off_is_an_error(start_server: Callable[[Any], str]) -> None:
    session = RemoteSession(start_server(Odd(200, b"event: start\ndata: {}\n\n")))

    with pytest.raises(RemoteError, match="broke off"):
        session.ask(QUESTION, "default")
    session.close()


def test_events_are_read_with_their_names_and_comments_are_not() -> None:
    lines = [
        ": still here",
        "",
        "event: token",
        'data: {"text": "a"}',
        "",
        "event: end",
        "data: {}",
    ]

    assert list(read_events(iter(lines))) == [("token", {"text": "a"}), ("end", {})]


def test_a_server_is_found_by_what_it_announced(served: Served) -> None:
    assert find_server(served.home) == served.address


def test_a_server_that_is_gone_is_not_found(tmp_path: Path) -> None:
    assert find_server(tmp_path) is None
    announce_address(tmp_path, "http://127.0.0.1:9")
    assert find_server(tmp_path) is None
    (tmp_path / "server.json").write_text(json.dumps({"pid": 1}))
    assert find_server(tmp_path) is None


def test_what_answers_with_an_error_is_no_server_of_ours(
    start_server: Callable[[Any], str], tmp_path: Path
) -> None:
    announce_address(tmp_path, start_server(Odd(404, b"")))

    assert find_server(tmp_path) is None


def test_the_announced_server_is_used_before_the_folder(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTNOTE_HOME", str(served.home))
    with open_session(None, reading=False) as session:
        assert isinstance(session, RemoteSession)
        assert session.documents(None) == {"documents": []}


def test_the_folder_is_opened_and_closed_again(
    offline: ScriptedChatModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del offline
    monkeypatch.setenv("FOOTNOTE_HOME", str(tmp_path))
    for _ in range(2):
        with open_session(None, reading=True) as session:
            assert isinstance(session, OwnSession)


def test_a_line_separator_in_a_quote_does_not_break_the_stream(
    remote: RemoteSession,
) -> None:
    text = "Alibaba will invest\u2028€50 billion ($53.5 billion)\x85in clouds."
    remote.ingest(Upload(text.encode(), "odd.txt"), ignore)
    answer = remote.ask(QUESTION, "default")

    assert answer["passages"][0]["text"] == text


def test_a_connection_that_fails_names_the_cause() -> None:
    session = RemoteSession("http://127.0.0.1:9")

    with pytest.raises(RemoteError, match="did not answer") as caught:
        session.search("a", "default", 1)
    assert isinstance(caught.value.__cause__, httpx.HTTPError)
    session.close()
