from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.client import (
    AsyncFootnote,
    Footnote,
    ProblemError,
    ServerGoneError,
    StreamCitation,
    StreamEnd,
    StreamEvent,
    StreamRefused,
    StreamStart,
    StreamToken,
)

QUESTION = "how much will Alibaba invest?"
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(scope="module")
def address(make_app: Callable[..., FastAPI], start_server: Callable[[FastAPI], str]) -> str:
    """Give the address of a server; each test keeps to a collection of its own."""
    return start_server(make_app())


def add_seed(client: Footnote, seed: Any, collection: str) -> str:
    added = client.add(seed.read_text("utf-8"), title="Seed", source="s", collection=collection)
    return added.document.id


def test_a_citation_of_the_client_is_a_slice_of_its_text(address: str, seed: Any) -> None:
    with Footnote(address) as client:
        id_ = add_seed(client, seed, "cited")
        answer = client.ask(QUESTION, collection="cited")
        assert answer.answered
        (citation,) = answer.citations
        assert citation.document_id == id_
        assert client.text(id_)[citation.start : citation.end] == citation.quote


def test_documents_are_listed_searched_and_deleted(address: str, seed: Any) -> None:
    with Footnote(address) as client:
        id_ = add_seed(client, seed, "listed")
        assert [d.id for d in client.documents("listed")] == [id_]
        assert client.search("cloud", collection="listed", limit=2).passages
        client.delete(id_)
        assert client.documents("listed") == []
        with pytest.raises(ProblemError) as caught:
            client.text(id_)
    assert caught.value.status == 404
    assert caught.value.type.endswith("document-not-found")
    assert caught.value.fix


def check_events(events: list[StreamEvent]) -> None:
    assert isinstance(events[0], StreamStart)
    text = "".join(e.text for e in events if isinstance(e, StreamToken))
    cited = [e.citation for e in events if isinstance(e, StreamCitation)]
    last = events[-1]
    assert isinstance(last, StreamEnd)
    assert (last.answer.answer, last.answer.citations) == (text, cited)


def test_an_answer_can_be_streamed(address: str, seed: Any) -> None:
    with Footnote(address) as client:
        add_seed(client, seed, "streamed")
        check_events(list(client.stream(QUESTION, collection="streamed")))
        refused = list(client.stream("Who is Tencent?", collection="streamed"))[-1]
    assert isinstance(refused, StreamRefused)
    assert refused.answer.reason is not None


def test_the_asynchronous_client_does_the_same(address: str, seed: Any) -> None:
    async def go() -> None:
        async with AsyncFootnote(address) as client:
            text = seed.read_text("utf-8")
            added = await client.add(text, source="s", collection="async")
            assert (await client.ask(QUESTION, collection="async")).answered
            events = [e async for e in client.stream(QUESTION, collection="async")]
            check_events(events)
            assert (await client.search("cloud", collection="async")).passages
            assert await client.text(added.document.id) == text
            assert len(await client.documents("async")) == 1
            await client.delete(added.document.id)
            with pytest.raises(ProblemError):
                await client.text(added.document.id)

    asyncio.run(go())


def scripted(*replies: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """Give a handler that replies with one after the other, and the requests that it saw."""
    waiting, seen = list(replies), []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        reply = waiting.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return handle, seen


def busy(after: str | None = None) -> httpx.Response:
    headers = {} if after is None else {"retry-after": after}
    return httpx.Response(503, json={"detail": "Busy.", "fix": "Wait."}, headers=headers)


EMPTY = {"documents": []}


def open_scripted(handler: Handler, attempts: int = 3) -> tuple[Footnote, list[float]]:
    slept: list[float] = []
    transport = httpx.MockTransport(handler)
    return Footnote(
        "http://test", attempts=attempts, transport=transport, sleep=slept.append
    ), slept


def test_a_busy_server_is_asked_again_after_what_it_says() -> None:
    handler, seen = scripted(busy("3"), busy(), httpx.Response(200, json=EMPTY))
    client, slept = open_scripted(handler)
    assert client.documents() == []
    assert slept == [3.0, 1.0]
    assert len(seen) == 3


def test_a_server_that_stays_busy_gives_its_problem() -> None:
    handler, seen = scripted(busy(), busy(), busy())
    client, _ = open_scripted(handler)
    with pytest.raises(ProblemError, match="Busy") as caught:
        client.documents()
    assert (caught.value.status, caught.value.fix, len(seen)) == (503, "Wait.", 3)


def test_a_lost_connection_is_tried_again_unless_it_may_have_changed_something() -> None:
    lost = httpx.ConnectError("refused")
    handler, seen = scripted(lost, httpx.Response(200, json=EMPTY))
    client, _ = open_scripted(handler)
    assert client.documents() == []
    handler, seen = scripted(lost, httpx.Response(204))
    client, _ = open_scripted(handler)
    with pytest.raises(ServerGoneError, match="refused"):
        client.delete("x")
    assert len(seen) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_an_error_that_is_no_problem_still_has_its_status(body: bytes) -> None:
    handler, _ = scripted(httpx.Response(502, content=body))
    client, _ = open_scripted(handler)
    with pytest.raises(ProblemError, match="status 502"):
        client.documents()


def events(*frames: str) -> httpx.Response:
    return httpx.Response(200, content="\n\n".join(frames).encode() + b"\n\n")


START = 'event: start\ndata: {"question": "q", "model": "m", "rewritten": false}'


def test_a_stream_without_an_end_means_that_the_server_went_away() -> None:
    handler, _ = scripted(events(START, ": still here", 'event: token\ndata: {"text": "a"}'))
    client, _ = open_scripted(handler)
    seen = []
    with pytest.raises(ServerGoneError, match="in the middle"):
        seen.extend(client.stream("q"))
    handler, _ = scripted(events(START, 'event: token\ndata:{"text":\ndata: "a"}'))
    client, _ = open_scripted(handler)
    stream = client.stream("q")
    assert [next(stream), next(stream)] == [StreamStart("q", "m", False), StreamToken("a")]
    stream.close()  # type: ignore[attr-defined]  # it is a generator


def test_an_error_in_the_middle_of_a_stream_is_raised() -> None:
    problem = 'event: error\ndata: {"status": 503, "detail": "Gone.", "type": "t", "fix": "f"}'
    handler, _ = scripted(events(START, "event: later\ndata: {}", problem))
    client, _ = open_scripted(handler)
    with pytest.raises(ProblemError, match=r"Gone\.") as caught:
        list(client.stream("q"))
    assert (caught.value.status, caught.value.type) == (503, "t")
