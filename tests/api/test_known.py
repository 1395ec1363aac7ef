"""An answer that is known: given at once, and only while nothing that it depends on has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from langchain_core.messages import BaseMessage
from starlette.testclient import TestClient

from qa.testing import ScriptedChatModel

REPLY = "\u20ac50 billion ($53.5 billion)"
QUESTION = "how much will Alibaba invest?"


class Counting:
    """A script that counts how often it is read."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _messages: list[BaseMessage]) -> str:
        """Count, and reply."""
        self.count += 1
        return REPLY


@pytest.fixture
def script() -> Counting:
    return Counting()


@pytest.fixture
def server(make_app: Callable[..., FastAPI], seed: Path, script: Counting) -> Iterator[TestClient]:
    with TestClient(make_app(ScriptedChatModel(script=script))) as opened:
        sent = opened.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
        sent.raise_for_status()
        yield opened


def ask(server: TestClient, question: str = QUESTION, **more: Any) -> dict[str, Any]:
    answered = server.post("/v1/ask", json={"question": question, **more})
    assert answered.status_code == 200
    body: dict[str, Any] = answered.json()
    return body


def events(server: TestClient) -> list[tuple[str, Any]]:
    text = server.post("/v1/ask", json={"question": QUESTION, "stream": True}).text
    frames = [frame.split("\n") for frame in text.strip().split("\n\n")]
    return [(name[7:], json.loads(data[6:])) for name, data in frames]


def same(answer: dict[str, Any]) -> dict[str, Any]:
    """Leave out what differs each time."""
    return {k: v for k, v in answer.items() if k not in {"id", "cached", "timings"}}


def test_the_same_question_is_answered_without_the_model(
    server: TestClient, script: Counting
) -> None:
    first, second = ask(server), ask(server, f"  {QUESTION.replace(' ', '  ')} ")

    assert script.count == 1
    assert (first["cached"], second["cached"]) == (False, True)
    assert same(first) == same(second)
    assert second["timings"]["retrieve"] == second["timings"]["read"] == 0
    assert first["id"] != second["id"]


def test_a_known_answer_can_be_judged(server: TestClient) -> None:
    ask(server)
    body = {"answer_id": ask(server)["id"], "rating": "up"}
    assert server.post("/v1/feedback", json=body).status_code == 204


def test_a_refusal_is_known_too(server: TestClient) -> None:
    question = "How much will Tencent invest?"
    first, second = ask(server, question), ask(server, question)
    assert second["cached"]
    assert second["timings"]["first_token"] is None
    assert same(first) == same(second)


def test_a_known_answer_streams_as_a_new_one_does(server: TestClient, script: Counting) -> None:
    first, second = events(server), events(server)

    assert script.count == 1
    assert [n for n, _ in second] == ["start", "token", "citation", "end"]
    assert {n for n, _ in first} == {n for n, _ in second}
    text = "".join(data["text"] for name, data in second if name == "token")
    assert text == second[-1][1]["answer"] == REPLY
    assert first[0] == second[0]
    assert same(first[-1][1]) == same(second[-1][1])


def test_a_fresh_answer_can_be_asked_for(server: TestClient, script: Counting) -> None:
    ask(server)
    assert ask(server, fresh=True)["cached"] is False
    assert script.count == 2


def test_an_explanation_comes_only_where_it_was_asked_for(server: TestClient) -> None:
    assert ask(server)["explanation"] is None
    explained = ask(server, explain=True)
    assert not explained["cached"]
    assert "held" in explained["explanation"]
    assert ask(server, explain=True)["explanation"] == explained["explanation"]


@pytest.mark.parametrize("risk", ["reckless", -0.1, 1.1])
def test_a_risk_that_is_none_is_refused(server: TestClient, risk: Any) -> None:
    refused = server.post("/v1/ask", json={"question": QUESTION, "risk": risk})
    assert refused.status_code == 422


@pytest.mark.parametrize("risk", ["strict", "balanced", "open", 0, 0.3, 1])
def test_another_risk_is_another_question(server: TestClient, risk: Any) -> None:
    ask(server)
    assert ask(server, risk=risk)["cached"] is False


def test_a_change_of_the_documents_makes_it_unknown(
    server: TestClient, script: Counting, seed: Path
) -> None:
    ask(server)
    made = server.post("/v1/documents", json={"text": "A lamp.", "source": "lamp"}).json()
    assert ask(server)["cached"] is False
    changed = {"file": (seed.name, seed.read_bytes() + b"More.")}
    server.post("/v1/documents", files=changed).raise_for_status()
    assert ask(server)["cached"] is False
    assert script.count == 3
    # Taken back, all is as it was.
    server.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
    server.delete(f"/v1/documents/{made['document']['id']}").raise_for_status()
    assert ask(server)["cached"] is True


def test_another_history_or_collection_is_another_question(
    server: TestClient, script: Counting
) -> None:
    ask(server)
    ask(server, history=["Who is Jack Ma?"])
    assert script.count == 3  # one of them rewrites the follow-up
    body = {"text": "Alibaba will invest \u20ac50 billion ($53.5 billion).", "collection": "other"}
    server.post("/v1/documents", json=body).raise_for_status()
    assert ask(server, collection="other")["cached"] is False


def test_an_error_is_not_known(make_app: Callable[..., FastAPI], seed: Path) -> None:
    replies: list[Any] = [RuntimeError("out of memory"), REPLY]
    model = ScriptedChatModel(script=lambda _: replies.pop(0))
    with TestClient(make_app(model)) as server:
        server.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
        assert server.post("/v1/ask", json={"question": QUESTION}).status_code == 503
        assert ask(server)["answer"] == REPLY
