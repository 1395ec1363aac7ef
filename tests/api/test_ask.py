from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from starlette.testclient import TestClient

from api.session import read_events
from qa.testing import ScriptedChatModel, always

Events = list[tuple[str, dict[str, Any]]]
JSON = {"Content-Type": "application/json"}
STREAM = {"Accept": "text/event-stream"}
WAIT_SECONDS = 20.0


def events_of(text: str) -> Events:
    return list(read_events(iter(text.split("\n"))))


class WaitingModel(ScriptedChatModel):
    """A model that says one word and then nothing, until it is let go on or its reader leaves."""

    entered: Any
    left: Any
    go_on: Any = None

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        chunks = super()._astream(messages, stop, **kwargs)
        yield await anext(chunks)
        self.entered.set()
        try:
            await (self.go_on or asyncio.Event()).wait()
        finally:
            self.left.set()
        async for chunk in chunks:
            yield chunk


def test_the_seed_question_is_answered_with_a_verbatim_citation(
    seeded: TestClient, question: dict[str, Any]
) -> None:
    answer = seeded.post("/v1/ask", json=question).json()

    assert answer["answered"] is True
    assert answer["reason"] is None
    assert "50 billion" in answer["answer"]
    assert answer["citations"]
    for citation in answer["citations"]:
        text = seeded.get(f"/v1/documents/{citation['document_id']}/text").text
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        assert "€50 billion" in citation["quote"]
        place = f"{citation['start']}-{citation['end']}"
        assert citation["url"] == f"/documents/{citation['document_id']}/view#{place}"
        assert seeded.get(citation["url"]).status_code == 200


def test_passages_and_evidence_are_verbatim_too(
    seeded: TestClient, question: dict[str, Any], seed_id: str
) -> None:
    answer = seeded.post("/v1/ask", json=question).json()
    text = seeded.get(f"/v1/documents/{seed_id}/text").text

    for passage in answer["passages"]:
        assert text[passage["start"] : passage["end"]] == passage["text"]
    assert all(0 <= e["start"] < e["end"] <= len(text) for e in answer["evidence"])


def test_a_stranger_is_refused_with_a_reason_and_the_nearest_passages(seeded: TestClient) -> None:
    body = {"question": "how much will Microsoft invest?"}
    answer = seeded.post("/v1/ask", json=body).json()

    assert answer["answered"] is False
    assert answer["answer"] == ""
    assert answer["citations"] == []
    assert answer["reason"]["code"] == "name_not_in_evidence"
    assert answer["reason"]["terms"] == ["Microsoft"]
    assert answer["passages"]


def test_without_documents_the_answer_is_a_refusal_and_no_error(client: TestClient) -> None:
    answer = client.post("/v1/ask", json={"question": "is anything here?"})

    assert answer.status_code == 200
    assert answer.json()["reason"]["code"] == "nothing_indexed"


@pytest.mark.parametrize(
    ("extra", "headers"), [({"stream": True}, {}), ({}, STREAM)], ids=["field", "header"]
)
def test_a_stream_begins_with_start_and_ends_with_the_answer(
    seeded: TestClient, question: dict[str, Any], extra: dict[str, Any], headers: dict[str, str]
) -> None:
    response = seeded.post("/v1/ask", json=question | extra, headers=headers)
    names = [name for name, _ in events_of(response.text)]

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    tokens, citations = names.count("token"), names.count("citation")
    assert tokens >= 1
    assert citations >= 1
    assert names == ["start"] + ["token"] * tokens + ["citation"] * citations + ["end"]


def test_the_streamed_events_add_up_to_the_answer(
    seeded: TestClient, question: dict[str, Any]
) -> None:
    events = events_of(seeded.post("/v1/ask", json=question, headers=STREAM).text)
    start, end = events[0][1], events[-1][1]

    assert start == question | {"model": "scripted", "rewritten": False}
    assert "".join(data["text"] for name, data in events if name == "token") == end["answer"]
    assert [data for name, data in events if name == "citation"] == end["citations"]
    assert end["timings"]["first_token"] is not None


def test_a_refused_stream_ends_with_refused(seeded: TestClient) -> None:
    body = {"question": "how much will Microsoft invest?", "stream": True}
    events = events_of(seeded.post("/v1/ask", json=body).text)

    assert [name for name, _ in events] == ["start", "refused"]
    assert events[-1][1]["reason"]["code"] == "name_not_in_evidence"
    assert events[-1][1]["passages"]


def test_what_turns_out_unsupported_is_withdrawn_by_refused(
    open_client: Callable[..., TestClient], seed: Any, question: dict[str, Any]
) -> None:
    client = open_client(ScriptedChatModel(script=always("99 billion dollars")))
    client.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
    events = events_of(client.post("/v1/ask", json=question, headers=STREAM).text)

    assert events[0][0] == "start"
    assert events[-1][0] == "refused"
    assert not events[-1][1]["answer"]


@pytest.fixture
def failing(open_client: Callable[..., TestClient], seed: Any) -> TestClient:
    """Give a client whose model fails in the middle of its answer."""
    client = open_client(ScriptedChatModel(script=lambda _: RuntimeError("out of memory")))
    client.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
    return client


def test_a_model_that_fails_in_mid_stream_gives_an_error_event(
    failing: TestClient, question: dict[str, Any]
) -> None:
    response = failing.post("/v1/ask", json=question, headers=STREAM)
    events = events_of(response.text)

    assert response.status_code == 200
    assert events[0][0] == "start"
    name, problem = events[-1]
    assert name == "error"
    assert problem["type"] == "urn:footnote:problem:model-unavailable"
    assert problem["status"] == 503
    assert problem["fix"]


def test_without_a_stream_a_model_that_fails_is_a_503(
    failing: TestClient, question: dict[str, Any]
) -> None:
    response = failing.post("/v1/ask", json=question)

    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:footnote:problem:model-unavailable"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"question": ""}, 422, "empty-question"),
        ({"question": " \n?! "}, 422, "empty-question"),
        ({"question": "why " * 2500}, 422, "question-too-long"),
        ({}, 422, "invalid-request"),
        ({"question": None}, 422, "invalid-request"),
        ({"question": "why?", "colour": "red"}, 422, "invalid-request"),
        ({"question": "why?", "history": [3]}, 422, "invalid-request"),
        ({"question": "why?", "history": ["what?"] * 101}, 422, "invalid-request"),
        ({"question": "why \ud800?"}, 422, "invalid-request"),
        ({"question": "why?", "history": ["\udfff"]}, 422, "invalid-request"),
        ({"question": "why?", "collection": "nowhere"}, 404, "collection-not-found"),
        ({"question": "why?", "collection": "../etc"}, 422, "invalid-name"),
        ({"question": "why?", "collection": ""}, 422, "invalid-name"),
        ({"question": "why?", "collection": "\ud800"}, 422, "invalid-name"),
    ],
)
def test_bad_input_has_its_own_status_before_any_stream(
    seeded: TestClient, body: dict[str, Any], status: int, kind: str, *, stream: bool
) -> None:
    content = json.dumps(body | {"stream": stream})
    response = seeded.post("/v1/ask", content=content, headers=JSON)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"urn:footnote:problem:{kind}"
    assert response.json()["fix"]


def test_ten_thousand_characters_are_counted_in_the_refusal(seeded: TestClient) -> None:
    problem = seeded.post("/v1/ask", json={"question": "a" * 10_000}).json()

    assert "10,000" in problem["detail"]
    assert "2,000" in problem["detail"]


@pytest.mark.parametrize("body", [b"{", b'{"question": "\xff"}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_a_problem(seeded: TestClient, body: bytes) -> None:
    response = seeded.post("/v1/ask", content=body, headers=JSON)

    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "history",
    [
        ["how much will Alibaba invest?"],
        [{"question": "how much will Alibaba invest?", "answer": "€50 billion"}],
        ["how much will Alibaba invest?", {"question": "in what?"}],
    ],
    ids=["strings", "objects", "both"],
)
def test_a_follow_up_is_rewritten_with_its_history(
    open_client: Callable[..., TestClient], seed: Any, history: list[Any]
) -> None:
    def script(shown: str) -> str:
        return "How much will Alibaba invest?" if "Last question" in shown else "€50 billion"

    model = ScriptedChatModel(script=script)
    client = open_client(model)
    client.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
    body = {"question": "and how much is it?", "history": history, "stream": True}
    events = events_of(client.post("/v1/ask", json=body).text)

    start = events[0][1]
    assert start["question"] == "How much will Alibaba invest?"
    assert start["rewritten"] is True
    assert events[-1][0] == "end"
    assert "how much will Alibaba invest?" in model.asked[0]


def test_a_busy_model_is_a_503_that_says_when_to_come_back(
    make_app: Callable[..., FastAPI], seed: Any, question: dict[str, Any]
) -> None:
    async def ask_twice() -> tuple[httpx.Response, httpx.Response]:
        model = WaitingModel(
            script=always("€50 billion"),
            entered=asyncio.Event(),
            left=asyncio.Event(),
            go_on=asyncio.Event(),
        )
        app = make_app(model, slots=1, queue=0)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            await client.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
            first = asyncio.create_task(client.post("/v1/ask", json=question))
            await asyncio.wait_for(model.entered.wait(), WAIT_SECONDS)
            second = await client.post("/v1/ask", json=question)
            model.go_on.set()
            return await first, second

    first, second = asyncio.run(ask_twice())

    assert first.status_code == 200
    assert first.json()["answered"] is True
    assert second.status_code == 503
    assert int(second.headers["retry-after"]) > 0
    assert second.json()["type"] == "urn:footnote:problem:model-busy"


def test_a_client_that_leaves_takes_the_model_with_it(
    make_app: Callable[..., FastAPI],
    start_server: Callable[[FastAPI], str],
    seed: Any,
    question: dict[str, Any],
) -> None:
    """The model's stream is closed and its only slot is free again."""
    waiting = WaitingModel(
        script=always("€50 billion"), entered=threading.Event(), left=threading.Event()
    )
    address = start_server(make_app(waiting, slots=1, queue=0))
    with httpx.Client(base_url=address, timeout=WAIT_SECONDS) as client:
        client.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
        for _ in range(2):
            waiting.entered.clear()
            waiting.left.clear()
            with client.stream("POST", "/v1/ask", json=question, headers=STREAM) as response:
                lines = response.iter_lines()
                assert next(lines) == "event: start"
                assert waiting.entered.wait(WAIT_SECONDS)
                assert not waiting.left.is_set()
            assert waiting.left.wait(WAIT_SECONDS)


def test_search_gives_verbatim_passages_without_a_model(seeded: TestClient, seed_id: str) -> None:
    found = seeded.post("/v1/search", json={"query": "investor confidence", "limit": 2}).json()
    text = seeded.get(f"/v1/documents/{seed_id}/text").text

    assert found["query"] == "investor confidence"
    assert 1 <= len(found["passages"]) <= 2
    for passage in found["passages"]:
        assert text[passage["start"] : passage["end"]] == passage["text"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"query": " "}, 422),
        ({"query": "a" * 10_000}, 422),
        ({"query": "a", "limit": 0}, 422),
        ({"query": "a", "limit": 51}, 422),
        ({"query": "\ud800 a"}, 422),
        ({"query": "a", "collection": "nowhere"}, 404),
        ({"query": "a", "collection": ".."}, 422),
        ({}, 422),
    ],
)
def test_a_bad_search_is_a_problem(seeded: TestClient, body: dict[str, Any], status: int) -> None:
    response = seeded.post("/v1/search", content=json.dumps(body), headers=JSON)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


def test_search_takes_the_syntax_of_the_word_index_as_words(seeded: TestClient) -> None:
    body = {"query": '" OR (NEAR* Alibaba) AND - ^:'}

    assert seeded.post("/v1/search", json=body).status_code == 200
