from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api import client as public
from api.client import (
    AsyncFootnote,
    Footnote,
    NotFootnoteError,
    ProblemError,
    RemoteError,
    ServerGoneError,
    StreamCitation,
    StreamEnd,
    StreamEvent,
    StreamRefused,
    StreamStart,
    StreamToken,
)
from index.errors import FootnoteError
from qa.testing import ScriptedChatModel

QUESTION = "how much will Alibaba invest?"
EMPTY = {"documents": []}
EVERYTHING = {"query": "q", "passages": [], **EMPTY}
START = 'event: start\ndata: {"question": "q", "model": "m", "rewritten": false}\n\n'
PIECE = 'event: token\ndata: {"text": "a"}\n\n'
STARTED = StreamStart("q", "m", rewritten=False)
STRANGE = [b"", b"<html>", b"[]", b"{}", b"null", b"\xff", b"[" * 9999]
LOST = [httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError]

Reply = httpx.Response | Exception


@pytest.fixture(scope="module")
def address(make_app: Callable[..., FastAPI], start_server: Callable[[FastAPI], str]) -> str:
    """Give the address of a server; each test keeps to a collection of its own."""
    return start_server(make_app())


@pytest.fixture
def footnote(address: str) -> Iterator[Footnote]:
    """Give a client of the server."""
    with Footnote(address) as client:
        yield client


class Scripted:
    """A server that replies with one after the other, and a client that never really sleeps."""

    def __init__(self, *replies: Reply, attempts: int = 3) -> None:
        self.replies = list(replies)
        self.seen: list[httpx.Request] = []
        self.slept: list[float] = []
        transport = httpx.MockTransport(self.handle)
        self.client = Footnote(
            "http://test", attempts=attempts, transport=transport, sleep=self.slept.append
        )
        self.aclient = AsyncFootnote(
            "http://test", attempts=attempts, transport=transport, sleep=self.sleep
        )

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Reply."""
        self.seen.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def sleep(self, seconds: float) -> None:
        """Note what would be slept."""
        self.slept.append(seconds)

    async def stream(self) -> list[StreamEvent]:
        """Give all events of the asynchronous client."""
        return [event async for event in self.aclient.stream("q")]


def busy(after: str | None = None, status: int = 503) -> httpx.Response:
    headers = {} if after is None else {"Retry-After": after}
    return httpx.Response(status, json={"detail": "Busy.", "fix": "Wait."}, headers=headers)


def found() -> httpx.Response:
    return httpx.Response(200, json=EMPTY)


def streamed(text: str, last: Exception | None = None) -> httpx.Response:
    def pieces() -> Iterator[bytes]:
        yield text.encode()
        if last is not None:
            raise last

    return httpx.Response(200, content=pieces())


def astreamed(text: str, last: Exception | None = None) -> httpx.Response:
    async def pieces() -> Any:
        yield text.encode()
        if last is not None:
            raise last

    return httpx.Response(200, content=pieces())


def add_seed(client: Footnote, seed: Path, collection: str) -> str:
    added = client.add(seed.read_text("utf-8"), title="Seed", source="s", collection=collection)
    return added.document.id


def check_events(events: list[StreamEvent]) -> None:
    assert isinstance(events[0], StreamStart)
    text = "".join(e.text for e in events if isinstance(e, StreamToken))
    cited = [e.citation for e in events if isinstance(e, StreamCitation)]
    last = events[-1]
    assert isinstance(last, StreamEnd)
    assert cited
    assert (last.answer.answer, last.answer.citations) == (text, cited)


def test_what_is_exported_is_there_and_what_is_raised_is_ours() -> None:
    assert all(hasattr(public, name) for name in public.__all__)
    for error in (ProblemError, ServerGoneError, NotFootnoteError):
        assert issubclass(error, RemoteError)
    assert issubclass(RemoteError, FootnoteError)


def test_every_citation_is_a_slice_of_its_text(footnote: Footnote, seed: Path) -> None:
    id_ = add_seed(footnote, seed, "cited")
    odd = "Alibaba will invest\u2028€50 billion ($53.5 billion)\x85in clouds 😀.\r\nSo it says."
    footnote.add(odd, title="Odd", source="odd", collection="cited")
    last = list(footnote.stream(QUESTION, collection="cited"))[-1]
    assert isinstance(last, StreamEnd)
    for answer in (footnote.ask(QUESTION, collection="cited"), last.answer):
        assert answer.citations
        for citation in answer.citations:
            text = footnote.text(citation.document_id)
            assert text[citation.start : citation.end] == citation.quote
        for passage in answer.passages:
            assert footnote.text(passage.document_id)[passage.start : passage.end] == passage.text
    assert {d.id for d in footnote.documents("cited")} > {id_}


def test_documents_are_listed_described_and_deleted(footnote: Footnote, seed: Path) -> None:
    id_ = add_seed(footnote, seed, "listed")
    assert [d.id for d in footnote.documents("listed")] == [id_]
    assert id_ in [d.id for d in footnote.documents()]
    assert footnote.document(id_).title == "Seed"
    assert len(footnote.search("cloud", collection="listed", limit=1).passages) == 1
    footnote.delete(id_)
    assert footnote.documents("listed") == []
    with pytest.raises(ProblemError) as caught:
        footnote.text(id_)
    assert (caught.value.status, caught.value.detail) == (404, str(caught.value))
    assert caught.value.type.endswith("document-not-found")
    assert caught.value.fix


def test_a_file_keeps_its_name_and_text_may_be_markdown(footnote: Footnote, tmp_path: Path) -> None:
    path = tmp_path / "clouds ☁.md"
    path.write_text("# Clouds\n\nThey cost €50.\n", "utf-8")
    added = footnote.add_file(path, collection="files")
    assert (added.outcome, added.document.source) == ("created", path.name)
    assert added.document.media_type == "text/markdown"
    assert footnote.add_file(str(path), collection="files").outcome == "unchanged"
    marked = footnote.add("# Clouds\n\nCheap.", markdown=True, collection="files")
    assert marked.document.media_type == "text/markdown"
    with pytest.raises(FileNotFoundError):
        footnote.add_file(tmp_path / "none.txt")


@pytest.mark.usefixtures("one_by_one")
def test_the_progress_of_an_upload_is_told(
    footnote: Footnote, address: str, tmp_path: Path
) -> None:
    text = "\n\n".join(f"{n}. " + "A word. " * 90 for n in range(2))
    path = tmp_path / "a.txt"
    path.write_text(text)
    seen: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        seen.append((done, total))

    async def go() -> list[str]:
        async with AsyncFootnote(address) as client:
            added = await client.add(text, collection="apart", progress=note)
            filed = await client.add_file(path, collection="apart", progress=note)
        return [added.outcome, filed.outcome]

    added = footnote.add(text, collection="steps", progress=note)
    filed = footnote.add_file(path, collection="steps", progress=note)
    assert [added.outcome, filed.outcome, *asyncio.run(go())] == ["created"] * 4
    assert {d.id for d in footnote.documents("steps")} == {added.document.id, filed.document.id}
    assert seen == [(0, 2), (1, 2), (2, 2)] * 4
    with pytest.raises(ProblemError) as caught:
        footnote.add(" ", progress=note)
    assert (caught.value.status, len(seen)) == (422, 12)


def test_an_upload_to_an_older_server_has_no_progress(seeded: TestClient) -> None:
    document = seeded.get("/v1/documents").json()["documents"][0]
    whole = {"outcome": "created", "document": document}
    server = Scripted(*[httpx.Response(201, json=whole) for _ in range(2)])
    told: list[Any] = []

    added = server.client.add("a", progress=lambda *step: told.append(step))
    same = asyncio.run(server.aclient.add("a", progress=lambda *step: told.append(step)))
    assert added == same
    assert (added.document.id, told) == (document["id"], [])
    assert all("text/event-stream" in r.headers["Accept"] for r in server.seen)


def test_an_upload_that_ends_badly_raises_and_is_not_sent_again() -> None:
    step = 'event: progress\ndata: {"done": 1, "total": 2}\n\n'
    problem = 'event: error\ndata: {"status": 507, "detail": "Full.", "type": "t", "fix": "f"}\n\n'
    events = {"Content-Type": "text/event-stream; charset=utf-8"}
    told: list[Any] = []
    for last, error in (
        (problem, ProblemError),
        ("", ServerGoneError),
        ("event: end\ndata: {}\n\n", NotFootnoteError),
    ):
        text = "event: later\ndata: {}\n\n" + step + last
        replies = [streamed(text), astreamed(text)]
        for reply in replies:
            reply.headers.update(events)
        server = Scripted(*replies)
        with pytest.raises(error):
            server.client.add("a", progress=lambda *step: told.append(step))
        with pytest.raises(error):
            asyncio.run(server.aclient.add("a", progress=lambda *step: told.append(step)))
        assert (len(server.seen), server.slept) == (2, [])
    assert told == [(1, 2)] * 6


def test_an_answer_can_be_streamed(footnote: Footnote, seed: Path) -> None:
    add_seed(footnote, seed, "streamed")
    check_events(list(footnote.stream(QUESTION, collection="streamed")))
    refused = list(footnote.stream("Who is Tencent?", collection="streamed"))[-1]
    assert isinstance(refused, StreamRefused)
    assert refused.answer.reason is not None
    with closing(footnote.stream(QUESTION, collection="streamed")) as events:
        assert isinstance(next(events), StreamStart)
    assert footnote.ready()


def test_an_error_keeps_its_status_in_a_stream(footnote: Footnote) -> None:
    with pytest.raises(ProblemError, match="nowhere") as caught:
        list(footnote.stream(QUESTION, collection="nowhere"))
    assert caught.value.status == 404


def test_a_model_that_breaks_is_the_same_problem_in_both_ways_of_asking(
    make_app: Callable[..., FastAPI], start_server: Callable[[FastAPI], str], seed: Path
) -> None:
    model = ScriptedChatModel(script=lambda _: RuntimeError("out of memory"))
    with Footnote(start_server(make_app(model)), attempts=1) as client:
        client.add_file(seed)
        with pytest.raises(ProblemError, match="broke off") as streamed_:
            list(client.stream(QUESTION))
        with pytest.raises(ProblemError, match="broke off") as whole:
            client.ask(QUESTION)
    assert streamed_.value.status == whole.value.status == 503
    assert streamed_.value.type == whole.value.type


def test_the_asynchronous_client_does_the_same(address: str, seed: Path) -> None:
    text = seed.read_text("utf-8")

    async def go() -> None:
        async with AsyncFootnote(address) as client:
            assert await client.ready()
            added = await client.add(text, source="s", collection="async")
            id_ = added.document.id
            assert (await client.document(id_)).source == "s"
            answer = await client.ask(QUESTION, collection="async")
            for citation in answer.citations:
                assert text[citation.start : citation.end] == citation.quote
            check_events([e async for e in client.stream(QUESTION, collection="async")])
            assert (await client.search("cloud", collection="async")).passages
            assert await client.text(id_) == text
            filed = await client.add_file(seed, collection="async")
            assert {d.id for d in await client.documents("async")} == {id_, filed.document.id}
            await client.delete(id_)
            with pytest.raises(ProblemError):
                await client.text(id_)

    asyncio.run(go())


def test_the_asynchronous_client_works_inside_the_app(seeded: TestClient, seed_id: str) -> None:
    async def go() -> str:
        transport = httpx.ASGITransport(seeded.app)  # type: ignore[arg-type]  # two ASGI types
        async with AsyncFootnote("http://test", transport=transport) as client:
            return await client.text(seed_id)

    assert asyncio.run(go()) == seeded.get(f"/v1/documents/{seed_id}/text").text


def test_the_conversation_goes_along_as_questions_or_as_answers(seeded: TestClient) -> None:
    told = seeded.post("/v1/ask", json={"question": QUESTION}).json()
    server = Scripted(*[httpx.Response(200, json=told) for _ in range(2)])
    first = server.client.ask(QUESTION)
    server.client.ask("In what?", history=["who invests?", first])
    history = json.loads(server.seen[1].content)["history"]
    assert history == ["who invests?", {"question": first.question, "answer": first.answer}]
    sent = seeded.post("/v1/ask", json={"question": QUESTION, "history": history})
    assert sent.status_code == 200


def test_what_no_encoding_can_hold_is_refused_by_the_server(footnote: Footnote) -> None:
    with pytest.raises(ProblemError) as caught:
        footnote.ask("half \ud800")
    assert caught.value.status == 422


def test_a_busy_server_is_asked_again_after_what_it_says() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True)
    server = Scripted(busy("20"), busy(later), busy(past, 429), found(), attempts=4)
    assert server.client.documents() == []
    assert server.slept[0] == 20.0
    assert 30 < server.slept[1] <= 60
    assert server.slept[2] == 0.0


@pytest.mark.parametrize("after", [None, "soon", "-1", ""])
def test_a_busy_server_that_does_not_say_is_given_twice_the_time_each_time(
    after: str | None,
) -> None:
    server = Scripted(*[busy(after) for _ in range(7)], found(), attempts=8)
    assert server.client.documents() == []
    least = [0.5, 1, 2, 4, 8, 8, 8]
    assert all(a <= b <= 1.25 * a for a, b in zip(least, server.slept, strict=True))


def test_a_server_that_stays_busy_gives_its_problem() -> None:
    server = Scripted(busy(), busy(), busy("7"))
    with pytest.raises(ProblemError, match="Busy") as caught:
        server.client.documents()
    assert (caught.value.status, caught.value.fix, len(server.seen)) == (503, "Wait.", 3)
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("after", ["3600", "9" * 400])
def test_nobody_waits_for_an_hour(after: str) -> None:
    server = Scripted(busy(after))
    with pytest.raises(ProblemError):
        server.client.documents()
    assert server.slept == []


@pytest.mark.parametrize("status", [400, 404, 422, 500, 502, 504, 507])
def test_another_status_is_not_tried_again(status: int) -> None:
    server = Scripted(busy("0", status))
    with pytest.raises(ProblemError) as caught:
        server.client.documents()
    assert caught.value.status == status


def test_a_busy_server_is_told_again_even_what_changes_something() -> None:
    server = Scripted(busy("0"), httpx.Response(204))
    server.client.delete("x")
    assert len(server.seen) == 2


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_connection_is_tried_again_for_what_changes_nothing(
    lost: type[httpx.TransportError],
) -> None:
    for call in (Footnote.documents, lambda c: c.search("q"), lambda c: c.text("x")):
        server = Scripted(lost("gone"), httpx.Response(200, json=EVERYTHING))
        call(server.client)
        assert len(server.seen) == 2
    for call in (lambda c: c.delete("x"), lambda c: c.add("a text")):
        server = Scripted(lost("gone"))
        with pytest.raises(ServerGoneError, match="gone") as caught:
            call(server.client)
        assert "footnote serve" in caught.value.fix


def test_a_server_that_takes_too_long_is_not_asked_again() -> None:
    server = Scripted(httpx.ReadTimeout(""))
    with pytest.raises(ServerGoneError, match="ReadTimeout"):
        server.client.documents()


@pytest.mark.parametrize("url", ["nowhere", "http://127.0.0.1:port", "ftp://127.0.0.1"])
def test_an_address_that_is_none_is_an_error_of_ours(url: str) -> None:
    with pytest.raises(ServerGoneError), Footnote(url) as client:
        client.documents()


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"null", b'{"detail": 3}', b"\xff", b"[" * 9999]
)
def test_an_error_that_is_no_problem_still_has_its_status(body: bytes) -> None:
    server = Scripted(httpx.Response(502, content=body))
    with pytest.raises(ProblemError, match="status 502") as caught:
        server.client.documents()
    assert caught.value.status == 502
    assert caught.value.fix


@pytest.mark.parametrize("body", STRANGE)
def test_an_answer_of_another_server_is_an_error_of_ours(body: bytes) -> None:
    server = Scripted(httpx.Response(200, content=body))
    with pytest.raises(NotFootnoteError) as caught:
        server.client.documents()
    assert "URL" in caught.value.fix


def test_a_text_that_is_no_text_is_an_error_of_ours() -> None:
    with pytest.raises(NotFootnoteError, match="UTF-8"):
        Scripted(httpx.Response(200, content=b"\xff")).client.text("x")


def test_what_a_newer_server_adds_is_passed_over(seeded: TestClient) -> None:
    told = seeded.post("/v1/ask", json={"question": QUESTION}).json()
    told["citations"][0]["later"] = told["later"] = told["timings"]["later"] = 1
    answer = Scripted(httpx.Response(200, json=told)).client.ask(QUESTION)
    assert answer.citations[0].quote == told["citations"][0]["quote"]
    later = "event: later\ndata: {}\n\n"
    server = Scripted(streamed(START + later + PIECE))
    with closing(server.client.stream("q")) as events:
        assert [next(events), next(events)] == [STARTED, StreamToken("a")]


def test_not_ready_is_an_answer() -> None:
    loading = {"status": "loading", "version": "1", "waiting": ["model"]}
    server = Scripted(httpx.Response(503, json=loading, headers={"Retry-After": "2"}))
    assert not server.client.ready()
    assert server.slept == []


def test_an_id_cannot_name_another_path() -> None:
    server = Scripted(httpx.Response(204))
    server.client.delete("a/../b?c#d")
    assert server.seen[0].url.raw_path == b"/v1/documents/a%2F..%2Fb%3Fc%23d"


def test_a_prefix_of_the_address_is_kept() -> None:
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return found()

    with Footnote("http://test/footnote/", transport=httpx.MockTransport(handle)) as client:
        client.documents()
    assert seen == ["/footnote/v1/documents"]


def test_comments_line_ends_and_data_on_many_lines_are_read() -> None:
    text = (
        START + ": still here\n\n" + 'event:token\nid: 1\nretry: 2\ndata:{"text":\ndata: "a"}\n\n'
    )
    for body in (text, text.replace("\n", "\r\n"), text.replace("\n", "\r")):
        with closing(Scripted(streamed(body)).client.stream("q")) as events:
            assert [next(events), next(events)] == [STARTED, StreamToken("a")]


@pytest.mark.parametrize(
    "rest",
    ["", PIECE, 'event: token\ndata: {"te', "event: token\ndata: [1]\n\n", "event: end\n\n"],
)
def test_a_stream_without_an_end_means_that_the_server_went_away(rest: str) -> None:
    server = Scripted(streamed(START + rest), astreamed(START + rest))
    with pytest.raises(ServerGoneError, match="broke off"):
        list(server.client.stream("q"))
    with pytest.raises(ServerGoneError, match="broke off"):
        asyncio.run(server.stream())
    assert server.slept == []


def test_a_last_event_that_is_none_of_ours_is_an_error_of_ours() -> None:
    with pytest.raises(NotFootnoteError):
        list(Scripted(streamed("event: end\ndata: {}\n\n")).client.stream("q"))


def test_an_error_in_the_middle_of_a_stream_is_raised_and_not_tried_again() -> None:
    problem = 'event: error\ndata: {"status": 503, "detail": "Gone.", "type": "t", "fix": "f"}\n\n'
    server = Scripted(streamed(START + problem), astreamed(START + problem))
    with pytest.raises(ProblemError, match=r"Gone\.") as caught:
        list(server.client.stream("q"))
    assert (caught.value.status, caught.value.type, caught.value.fix) == (503, "t", "f")
    with pytest.raises(ProblemError, match=r"Gone\."):
        asyncio.run(server.stream())
    assert len(server.seen) == 2


@pytest.mark.parametrize("lost", LOST)
def test_a_stream_begins_again_until_its_first_event_and_not_after(
    seeded: TestClient, lost: type[httpx.TransportError]
) -> None:
    body = {"question": QUESTION, "stream": True}
    whole = seeded.post("/v1/ask", json=body).text
    beginning = ": still here\n\n"
    server = Scripted(
        lost("gone"), busy("1"), streamed(beginning, lost("gone")), streamed(whole), attempts=4
    )
    check_events(list(server.client.stream(QUESTION)))
    assert len(server.seen) == 4

    server = Scripted(
        lost("gone"), busy("1"), astreamed(beginning, lost("gone")), astreamed(whole), attempts=4
    )
    check_events(asyncio.run(server.stream()))
    assert len(server.seen) == 4

    server = Scripted(streamed(START, lost("gone")), astreamed(START, lost("gone")))
    with pytest.raises(ServerGoneError, match="gone"):
        list(server.client.stream("q"))
    with pytest.raises(ServerGoneError, match="gone"):
        asyncio.run(server.stream())
    assert len(server.seen) == 2


def test_leaving_a_stream_closes_its_response() -> None:
    first, second = streamed(START + PIECE), astreamed(START + PIECE)
    server = Scripted(first, second)
    with closing(server.client.stream("q")) as events:
        next(events)
    assert first.is_closed

    async def leave() -> None:
        events = server.aclient.stream("q")
        await anext(events)
        await events.aclose()
        assert second.is_closed

    asyncio.run(leave())
