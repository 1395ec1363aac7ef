"""The routes for foreign clients, as far as HTTP goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from qa.settings import Settings

QUESTION = "how much will Alibaba invest?"
USER = {"role": "user", "content": QUESTION}
PARTS = {"role": "user", "parts": [{"type": "text", "text": QUESTION}]}
JSON = {"Content-Type": "application/json"}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "default", "messages": [USER]},
    "/v1/responses": {"model": "default", "input": QUESTION},
    "/api/chat": {"messages": [PARTS]},
    "/v1/deep-chat": {"messages": [{"role": "user", "text": QUESTION}]},
    "/api/v1/prediction/default": {"question": QUESTION},
}


@pytest.mark.parametrize("path", BODIES)
def test_unknown_fields_are_ignored(seeded: TestClient, path: str) -> None:
    response = seeded.post(path, json=BODIES[path] | {"temperature": 0, "id": "x", "tools": []})

    assert response.status_code == 200
    assert "50 billion" in response.text


@pytest.mark.parametrize("path", BODIES)
def test_half_a_surrogate_pair_is_refused(seeded: TestClient, path: str) -> None:
    content = json.dumps(BODIES[path]).replace(QUESTION, "\\ud800 why?")
    response = seeded.post(path, content=content, headers=JSON)

    assert response.status_code in {400, 422}


@pytest.mark.parametrize("path", BODIES)
def test_links_begin_with_the_public_address(
    open_client: Callable[..., TestClient], seed: Any, path: str
) -> None:
    client = open_client(public_url="https://docs.example/footnote/")
    client.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})

    text = client.post(path, json=BODIES[path]).text
    assert '"https://docs.example/footnote/documents/' in text
    assert '"/documents/' not in text


@pytest.mark.parametrize("path", BODIES)
def test_streams_are_not_buffered_on_their_way(seeded: TestClient, path: str) -> None:
    body = BODIES[path] | {"stream": True, "streaming": True}
    response = seeded.post(path, json=body)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize(
    ("path", "body", "status", "keys"),
    [
        ("/v1/chat/completions", {"model": "default"}, 400, {"error"}),
        ("/v1/chat/completions", {"model": "../etc", "messages": [USER]}, 404, {"error"}),
        ("/v1/responses", {"model": "default", "input": 3}, 400, {"error"}),
        ("/v1/deep-chat", {"messages": []}, 422, {"error"}),
        ("/v1/deep-chat", {}, 422, {"error"}),
        (
            "/api/v1/prediction/nowhere",
            {"question": "a"},
            404,
            {"statusCode", "success", "message"},
        ),
        ("/api/v1/prediction/default", {}, 422, {"statusCode", "success", "message"}),
    ],
)
def test_errors_have_the_shape_that_the_client_reads(
    seeded: TestClient, path: str, body: dict[str, Any], status: int, keys: set[str]
) -> None:
    response = seeded.post(path, json=body)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == keys


def test_an_unexpected_error_has_the_clients_shape_too(
    open_client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_arguments: Any) -> None:
        raise LookupError("a bug of the server")

    monkeypatch.setattr("api.routes.openai.whole", fail)
    client = open_client(show_errors=False)
    response = client.post("/v1/chat/completions", json=BODIES["/v1/chat/completions"])

    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert "a bug" not in response.text


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "assistant", "parts": []}],
        [{"role": "user", "parts": []}],
        [{"role": "user", "parts": [{"type": "file", "url": "data:,x"}]}],
    ],
)
def test_a_chat_without_a_readable_question_is_a_problem(
    seeded: TestClient, messages: list[Any]
) -> None:
    response = seeded.post("/api/chat", json={"messages": messages})

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


def test_deep_chat_streams_where_the_address_says_so(seeded: TestClient) -> None:
    response = seeded.post("/v1/deep-chat?stream=true", json=BODIES["/v1/deep-chat"])

    assert response.headers["content-type"].startswith("text/event-stream")


def test_flowise_is_told_before_it_asks(seeded: TestClient) -> None:
    assert seeded.get("/api/v1/chatflows-streaming/default").json() == {"isStreaming": True}
    assert seeded.get("/api/v1/public-chatbotConfig/default").json() == {}
    missing = seeded.get("/api/v1/chatflows-streaming/nowhere")
    assert missing.status_code == 404
    assert "nowhere" in missing.json()["message"]


def test_a_flowise_chat_keeps_its_id(seeded: TestClient) -> None:
    body = BODIES["/api/v1/prediction/default"]
    kept = seeded.post("/api/v1/prediction/default", json=body | {"chatId": "c1"}).json()
    given = seeded.post("/api/v1/prediction/default", json=body).json()

    assert kept["chatId"] == "c1"
    assert given["chatId"]
    assert kept["question"] == QUESTION
    assert kept["sourceDocuments"][0]["metadata"]["source"].startswith("http://testserver/")


def test_a_collection_named_as_the_alias_outweighs_it(
    open_client: Callable[..., TestClient],
) -> None:
    client = open_client()
    client.post("/v1/documents", json={"text": "Text.", "collection": "footnote", "title": "T"})

    assert client.get("/v1/models/footnote").json()["created"] > 0
    assert client.get("/v1/models/default").json()["created"] == 0


@pytest.mark.parametrize(
    "url", ["docs.example", "ftp://a", "https://", "http://a/?b=c", "http://["]
)
def test_a_public_address_must_be_one(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(public_url=url)
