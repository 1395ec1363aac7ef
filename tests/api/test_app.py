from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.version import VERSION
from index.library import Library
from index.testing import HashingEmbedder
from qa.errors import ModelUnavailableError

ROUTES = {
    "/v1/widgets": {"get", "post"},
    "/v1/widgets/{widget_id}": {"get", "delete"},
    "/v1/feedback": {"get", "post"},
    "/v1/feedback/questions": {"get"},
    "/v1/feedback/{answer_id}": {"delete"},
    "/v1/ask": {"post"},
    "/v1/search": {"post"},
    "/v1/collections": {"get"},
    "/v1/documents": {"get", "post"},
    "/v1/documents/{document_id}": {"get", "delete"},
    "/v1/documents/{document_id}/text": {"get"},
    "/documents/{document_id}/view": {"get"},
    "/v1/chat/completions": {"post"},
    "/v1/responses": {"post"},
    "/v1/models": {"get"},
    "/v1/models/{model}": {"get"},
    "/api/chat": {"post"},
    "/api/chat/{chat_id}/stream": {"get"},
    "/v1/deep-chat": {"post"},
    "/api/v1/prediction/{collection}": {"post"},
    "/api/v1/chatflows-streaming/{collection}": {"get"},
    "/api/v1/public-chatbotConfig/{collection}": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
}


@pytest.fixture(scope="session")
def schema(seeded: TestClient) -> dict[str, Any]:
    """Give the published OpenAPI document."""
    found: dict[str, Any] = seeded.get("/openapi.json").json()
    return found


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def resolve(schema: dict[str, Any], reference: str) -> Any:
    found: Any = schema
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_route_is_published_and_no_other(schema: dict[str, Any]) -> None:
    assert {path: set(methods) for path, methods in schema["paths"].items()} == ROUTES


def test_the_openapi_document_holds_together(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.")
    assert schema["info"]["title"] == "Footnote"
    assert schema["info"]["version"] == VERSION
    references = [value for key, value in walk(schema) if key == "$ref"]
    assert references
    for reference in references:
        assert reference.startswith("#/")
        assert resolve(schema, reference)
    operations = [o for methods in schema["paths"].values() for o in methods.values()]
    names = [o["operationId"] for o in operations]
    assert len(set(names)) == len(names)
    assert all(o["responses"] and o["summary"] for o in operations)


def test_every_schema_of_the_openapi_document_is_json_schema(schema: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="comes with chromadb")
    for body in schema["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(body)


def test_every_path_parameter_is_declared(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        named = set(re.findall(r"{(\w+)}", path))
        for operation in methods.values():
            declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert declared == named


def test_an_upload_is_published_as_form_and_as_json(schema: dict[str, Any]) -> None:
    content = schema["paths"]["/v1/documents"]["post"]["requestBody"]["content"]

    assert set(content) == {"multipart/form-data", "application/json"}
    assert set(content["application/json"]["schema"]["required"]) == {"text"}


def test_the_docs_need_no_network(seeded: TestClient) -> None:
    page = seeded.get("/docs").text
    linked = re.findall(r"""(?:href|src)=["']([^"']+)""", page)

    assert "://" not in page
    assert linked
    for path in [*linked, "/openapi.json"]:
        assert path.startswith("/")
        assert seeded.get(path).status_code == 200


def test_home_is_the_console_and_needs_no_network(seeded: TestClient) -> None:
    response = seeded.get("/", follow_redirects=False)
    linked = re.findall(r"""(?:href|src)=["'](/[^"']+)""", response.text)

    assert response.status_code == 200
    assert "unsafe" not in response.headers["content-security-policy"]
    assert not re.search(r"""(?:href|src)=["'](?:https?:)?//""", response.text)
    assert {"/widget.js", "/static/console.js", "/static/console.css", "/docs"} <= set(linked)
    for path in linked:
        assert seeded.get(path).status_code == 200


def test_stopping_the_app_frees_the_data_folder(
    make_app: Callable[..., FastAPI], tmp_path: Any
) -> None:
    with TestClient(make_app(home=tmp_path)) as client:
        client.post("/v1/documents", json={"text": "Text.", "title": "Kept"})
    with Library(tmp_path, HashingEmbedder(512)) as library:
        assert [record.title for record in library.documents()] == ["Kept"]
    with TestClient(make_app(home=tmp_path)) as client:
        assert len(client.get("/v1/documents").json()["documents"]) == 1


def test_a_model_that_cannot_be_warmed_is_logged_and_not_fatal(
    make_app: Callable[..., FastAPI],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_service: Any) -> None:
        raise ModelUnavailableError("It is not there.", fix="Fetch it.")

    monkeypatch.setattr("api.app.warm_embedder", fail)
    with TestClient(make_app()) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json()["waiting"] == ["embedder"]
        running = client.app.state.running  # type: ignore[attr-defined]  # a FastAPI app
        assert not running.warm.is_set()
    assert "It is not there. Fetch it." in caplog.text


def test_texts_are_compressed_and_event_streams_are_not(seeded: TestClient) -> None:
    accepting = {"accept-encoding": "gzip"}
    script = seeded.get("/widget.js", headers=accepting)
    assert script.headers["content-encoding"] == "gzip"
    assert int(script.headers["content-length"]) < len(script.content) / 2
    asked = {"question": "how much will Alibaba invest?", "stream": True}
    assert "content-encoding" not in seeded.post("/v1/ask", json=asked, headers=accepting).headers
