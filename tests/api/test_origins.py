"""What a page of another origin may do: ask, where a widget lets it, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

SITE = "https://site.example"
OTHER = "https://other.example"


@pytest.fixture(scope="module")
def server(make_app: Callable[..., FastAPI], seed: Path) -> Iterator[TestClient]:
    with TestClient(make_app()) as opened:
        sent = opened.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
        sent.raise_for_status()
        yield opened


@pytest.fixture
def widget(server: TestClient) -> str:
    return create(server)


def create(server: TestClient, **values: Any) -> str:
    made = server.post("/v1/widgets", json={"origins": [SITE], **values})
    assert made.status_code == 201
    return str(made.json()["id"])


def preflight(server: TestClient, address: str, origin: str) -> Any:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    return server.options(address, headers=headers)


def test_an_allowed_origin_asks_and_gets_cors_for_exactly_itself(
    server: TestClient, widget: str, question: dict[str, Any]
) -> None:
    address = f"/v1/ask?widget={widget}"
    asked = preflight(server, address, SITE)
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == SITE
    assert "origin" in asked.headers["vary"].lower()

    answered = server.post(address, json=question, headers={"origin": SITE})
    assert answered.status_code == 200
    assert answered.json()["answered"] is True
    assert answered.headers["access-control-allow-origin"] == SITE
    assert "access-control-allow-credentials" not in answered.headers


@pytest.mark.parametrize("origin", [OTHER, "null", "http://site.example", f"{SITE}:8443"])
def test_another_origin_is_refused_before_anything_is_done(
    server: TestClient, widget: str, question: dict[str, Any], origin: str
) -> None:
    address = f"/v1/ask?widget={widget}"
    for refused in (
        preflight(server, address, origin),
        server.post(address, json=question, headers={"origin": origin}),
        server.get(f"/v1/widgets/{widget}?widget={widget}", headers={"origin": origin}),
    ):
        assert refused.status_code == 403
        assert refused.json()["type"].endswith("origin-not-allowed")
        assert "access-control-allow-origin" not in refused.headers


def test_a_widget_without_origins_lets_nobody_in(
    server: TestClient, question: dict[str, Any]
) -> None:
    widget = create(server, origins=[])
    refused = server.post(f"/v1/ask?widget={widget}", json=question, headers={"origin": SITE})
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/documents"),
        ("GET", "/v1/documents"),
        ("DELETE", "/v1/documents/x"),
        ("POST", "/v1/search"),
        ("GET", "/v1/widgets"),
        ("POST", "/v1/widgets"),
        ("DELETE", "/v1/widgets/w_00"),
        ("GET", "/docs"),
    ],
)
def test_a_widget_id_opens_nothing_but_asking(
    server: TestClient, widget: str, method: str, path: str
) -> None:
    for headers in ({"origin": SITE}, {}):
        refused = server.request(method, f"{path}?widget={widget}", headers=headers)
        assert refused.status_code == 403
        assert refused.json()["type"].endswith("widget-may-only-ask")


@pytest.mark.parametrize("path", ["/v1/documents", "/v1/ask", "/v1/widgets", "/v1/search"])
def test_a_foreign_page_without_a_widget_changes_and_asks_nothing(
    server: TestClient, path: str
) -> None:
    before = server.get("/v1/documents").json()
    # A form can be sent across origins without a preflight.
    refused = server.post(path, files={"file": ("a.txt", b"hello")}, headers={"origin": OTHER})
    assert refused.status_code == 403
    assert refused.json()["type"].endswith("origin-not-allowed")
    assert server.get("/v1/documents").json() == before


def test_a_foreign_page_without_a_widget_reads_nothing(server: TestClient) -> None:
    read = server.get("/v1/documents", headers={"origin": OTHER})
    assert "access-control-allow-origin" not in read.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://testserver"},
        {"origin": "https://testserver"},
        {"origin": "https://behind-a-proxy.example", "sec-fetch-site": "same-origin"},
    ],
)
def test_our_own_pages_need_no_widget(
    server: TestClient, question: dict[str, Any], headers: dict[str, str]
) -> None:
    assert server.post("/v1/ask", json=question, headers=headers).status_code == 200


@pytest.mark.parametrize("named", ["w_00000000000000000000", "w_", "", "x' OR 1=1 --", "%00"])
def test_an_unknown_widget_is_said_to_be_one(
    server: TestClient, question: dict[str, Any], named: str
) -> None:
    refused = server.post("/v1/ask", params={"widget": named or "w_"}, json=question)
    assert refused.status_code == 404
    assert refused.json()["type"].endswith("widget-not-found")


def test_a_revoked_widget_asks_nothing(
    server: TestClient, widget: str, question: dict[str, Any]
) -> None:
    server.delete(f"/v1/widgets/{widget}").raise_for_status()
    refused = server.post(f"/v1/ask?widget={widget}", json=question, headers={"origin": SITE})
    assert refused.status_code == 404
    # Any page may read that it is no more, and then show nothing.
    looks = server.get(f"/v1/widgets/{widget}?widget={widget}", headers={"origin": OTHER})
    assert looks.status_code == 404
    assert looks.headers["access-control-allow-origin"] == "*"


def test_a_widget_asks_its_own_collection_only(
    server: TestClient, question: dict[str, Any]
) -> None:
    widget = create(server, collection="another")
    address = f"/v1/ask?widget={widget}"
    refused = server.post(address, json={**question, "collection": "default"})
    assert refused.status_code == 403
    missing = server.post(address, json=question)
    assert missing.json()["type"].endswith("collection-not-found")
    same = server.post(address, json={**question, "collection": "another"})
    assert same.json()["type"].endswith("collection-not-found")


def test_a_visitor_who_asks_too_often_is_told_when_to_come_back(
    server: TestClient, question: dict[str, Any]
) -> None:
    widget, free = create(server, per_minute=2), create(server, per_minute=2)
    answers = [
        server.post(f"/v1/ask?widget={widget}", json=question, headers={"origin": SITE})
        for _ in range(3)
    ]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 61
    assert answers[2].json()["type"].endswith("rate-limited")
    # The page can read why, and another widget has a count of its own.
    assert answers[2].headers["access-control-allow-origin"] == SITE
    assert "Retry-After" in answers[2].headers["access-control-expose-headers"]
    assert server.post(f"/v1/ask?widget={free}", json=question).status_code == 200


def test_looks_are_all_that_a_page_learns(server: TestClient) -> None:
    widget = create(server, looks={"title": "Help", "starters": ["Who?"]})
    looks = server.get(f"/v1/widgets/{widget}?widget={widget}", headers={"origin": SITE})
    assert looks.json()["title"] == "Help"
    assert set(looks.json()) == {
        "title",
        "greeting",
        "starters",
        "accent",
        "position",
        "language",
    }


def test_the_view_can_be_framed_by_the_widgets_origins_and_by_nobody_else(
    server: TestClient, widget: str
) -> None:
    document = server.get("/v1/documents").json()["documents"][0]["id"]
    plain = server.get(f"/documents/{document}/view")
    assert "frame-ancestors 'self';" in plain.headers["content-security-policy"] + ";"
    framed = server.get(f"/documents/{document}/view?widget={widget}")
    assert f"frame-ancestors 'self' {SITE};" in framed.headers["content-security-policy"] + ";"
    elsewhere = create(server, collection="another")
    hidden = server.get(f"/documents/{document}/view?widget={elsewhere}")
    assert hidden.status_code == 404


@pytest.mark.parametrize("path", ["/docs"])
def test_every_page_has_a_policy_that_allows_nothing_inline(server: TestClient, path: str) -> None:
    page = server.get(path)
    policy = page.headers["content-security-policy"]
    assert page.status_code == 200
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script>" not in page.text
    assert "<style" not in page.text
    assert " style=" not in page.text


def test_the_list_shows_the_line_for_a_page(server: TestClient, widget: str) -> None:
    listed = {w["id"]: w for w in server.get("/v1/widgets").json()["widgets"]}
    assert listed[widget]["snippet"] == (
        f'<script async src="http://testserver/widget.js" data-widget="{widget}"></script>'
    )


FOREIGN: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "footnote"},
    "/v1/responses": {"model": "footnote", "input": "how much will Alibaba invest?"},
    "/api/chat": {},
    "/v1/deep-chat": {},
    "/api/v1/prediction/default": {"question": "how much will Alibaba invest?"},
}
SAID = {
    "role": "user",
    "content": "how much will Alibaba invest?",
    "text": "how much will Alibaba invest?",
    "parts": [{"type": "text", "text": "how much will Alibaba invest?"}],
}


def post(server: TestClient, path: str, widget: str, origin: str = SITE, **more: Any) -> Any:
    body = {"messages": [SAID], **FOREIGN[path], **more}
    return server.post(f"{path}?widget={widget}", json=body, headers={"origin": origin})


@pytest.mark.parametrize("path", FOREIGN)
def test_other_projects_clients_ask_by_a_widget_too(
    server: TestClient, widget: str, path: str
) -> None:
    headers = {
        "origin": SITE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, x-stainless-os",
    }
    asked = server.options(f"{path}?widget={widget}", headers=headers)
    assert asked.status_code == 204
    assert "x-stainless-os" in asked.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in asked.headers

    answered = post(server, path, widget)
    assert answered.status_code == 200
    assert "50" in answered.text
    assert answered.headers["access-control-allow-origin"] == SITE


@pytest.mark.parametrize("path", FOREIGN)
def test_no_other_origin_asks_by_it(server: TestClient, widget: str, path: str) -> None:
    refused = post(server, path, widget, OTHER)
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize(
    ("path", "more", "error"),
    [
        ("/v1/chat/completions", {"model": "lamps"}, lambda told: told["error"]["message"]),
        ("/v1/responses", {"model": "lamps"}, lambda told: told["error"]["message"]),
        ("/api/chat", {"collection": "lamps"}, lambda told: told["detail"]),
        ("/v1/deep-chat", {"collection": "lamps"}, lambda told: told["error"]),
    ],
)
def test_a_widget_asks_its_own_collection_whatever_the_client_says(
    server: TestClient, widget: str, path: str, more: dict[str, Any], error: Callable[[Any], str]
) -> None:
    refused = post(server, path, widget, **more)
    assert refused.status_code == 403
    assert "This widget is for the collection 'default'." in error(refused.json())


def test_a_widgets_own_collection_is_what_an_openai_client_gets_as_footnote(
    server: TestClient,
) -> None:
    body = {"text": "Skelling has 12 lamps.", "title": "Lamps", "collection": "lamps"}
    server.post("/v1/documents", json=body).raise_for_status()
    widget = create(server, collection="lamps")
    said = {"role": "user", "content": "How many lamps has Skelling?"}
    answered = post(server, "/v1/chat/completions", widget, messages=[said])
    passages = answered.json()["footnote"]["passages"]
    assert {p["title"] for p in passages} == {"Lamps"}


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/v1/chat/completions", lambda told: told["error"]["message"]),
        ("/v1/deep-chat", lambda told: told["error"]),
        ("/api/v1/prediction/default", lambda told: told["message"]),
        ("/api/chat", lambda told: told["detail"]),
    ],
)
def test_all_clients_of_a_visitor_share_one_limit_and_are_told_in_their_own_words(
    server: TestClient, question: dict[str, Any], path: str, error: Callable[[Any], str]
) -> None:
    widget = create(server, per_minute=1)
    first = server.post(f"/v1/ask?widget={widget}", json=question, headers={"origin": SITE})
    assert first.status_code == 200
    refused = post(server, path, widget)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["access-control-allow-origin"] == SITE
    assert "More than 1 questions in a minute." in error(refused.json())


@pytest.mark.parametrize(
    "path",
    ["/api/v1/chatflows-streaming/default", "/api/v1/public-chatbotConfig/default"],
)
def test_what_flowises_chat_asks_when_it_starts_is_open_too(
    server: TestClient, widget: str, path: str
) -> None:
    headers = {"origin": SITE}
    read = server.get(f"{path}?widget={widget}", headers=headers)
    assert read.status_code == 200
    assert read.headers["access-control-allow-origin"] == SITE
    other = path.replace("default", "lamps")
    assert server.get(f"{other}?widget={widget}", headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/default"])
def test_other_collections_names_stay_unknown(server: TestClient, widget: str, path: str) -> None:
    assert server.get(f"{path}?widget={widget}", headers={"origin": SITE}).status_code == 403
