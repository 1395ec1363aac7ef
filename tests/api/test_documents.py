from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from api.app import FORM_OVERHEAD_BYTES
from index.errors import StorageFullError
from index.library import Library

OpenClient = Callable[..., TestClient]
PATH = "/v1/documents"
JSON = {"Content-Type": "application/json"}
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}


def send(client: TestClient, data: bytes, name: str = "note.txt", **fields: str) -> Any:
    return client.post(PATH, files={"file": (name, data)}, data=fields)


def problem_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["fix"]
    assert problem["instance"].startswith(PATH)
    return problem


def test_a_file_is_created_then_unchanged_then_replaced(client: TestClient) -> None:
    first = send(client, b"The bridge opened in 1931.")
    again = send(client, b"The bridge opened in 1931.")
    other = send(client, b"The bridge opened in 1932.")

    assert [r.status_code for r in (first, again, other)] == [201, 200, 200]
    outcomes = [r.json()["outcome"] for r in (first, again, other)]
    assert outcomes == ["created", "unchanged", "replaced"]
    assert len({r.json()["document"]["id"] for r in (first, again, other)}) == 1
    (listed,) = client.get(PATH).json()["documents"]
    assert listed == other.json()["document"]
    text = client.get(f"{PATH}/{listed['id']}/text").text
    assert text == "The bridge opened in 1932."


def test_text_is_created_then_unchanged_then_replaced(client: TestClient) -> None:
    text = "# Bridges\n\nOne opened in 1931."
    body = {"text": text, "title": "Bridges", "source": "bridges", "markdown": True}
    first = client.post(PATH, json=body)
    again = client.post(PATH, json=body)
    other = client.post(PATH, json=body | {"text": "# Bridges\n\nNone."})

    assert [r.status_code for r in (first, again, other)] == [201, 200, 200]
    assert first.json()["document"]["media_type"] == "text/markdown"
    assert first.json()["document"]["source"] == "bridges"
    assert other.json()["outcome"] == "replaced"


def test_a_source_keeps_its_id_under_another_title(client: TestClient) -> None:
    one = client.post(PATH, json={"text": "One.", "title": "A", "source": "s"}).json()
    two = client.post(PATH, json={"text": "Two.", "title": "B", "source": "s"}).json()

    assert two["outcome"] == "replaced"
    assert two["document"]["id"] == one["document"]["id"]
    assert two["document"]["title"] == "B"


def test_a_form_takes_collection_title_and_source(client: TestClient) -> None:
    sent = send(client, b"Text.", collection="other things", title="A title", source="a-source")
    document = sent.json()["document"]

    assert document["collection"] == "other things"
    assert document["title"] == "A title"
    assert document["source"] == "a-source"


def test_a_path_in_a_file_name_is_left_out(client: TestClient) -> None:
    document = send(client, b"Text.", name="../../etc\\secret.txt").json()["document"]

    assert document["source"] == "secret.txt"


def test_a_document_is_found_by_its_id_and_gone_after_its_deletion(client: TestClient) -> None:
    document = send(client, b"The bridge opened in 1931.").json()["document"]
    path = f"{PATH}/{document['id']}"

    assert client.get(path).json() == document
    assert client.get(document["url"]).status_code == 200
    assert client.delete(path).status_code == 204
    assert client.get(PATH).json() == {"documents": []}
    for response in (client.get(path), client.get(f"{path}/text"), client.delete(path)):
        assert problem_of(response, 404)["type"].endswith(":document-not-found")
    found = client.post("/v1/search", json={"query": "bridge"}).json()
    assert found["passages"] == []


def test_the_list_can_be_of_one_collection(client: TestClient) -> None:
    send(client, b"One.", name="one.txt")
    send(client, b"Two.", name="two.txt", collection="other")
    listed = client.get(PATH, params={"collection": "other"}).json()["documents"]

    assert [d["source"] for d in listed] == ["two.txt"]
    assert len(client.get(PATH).json()["documents"]) == 2


def test_the_default_collection_is_empty_before_it_exists(client: TestClient) -> None:
    assert client.get(PATH, params={"collection": "default"}).json() == {"documents": []}


def test_an_unknown_collection_is_not_an_empty_one(client: TestClient) -> None:
    response = client.get(PATH, params={"collection": "nowhere"})

    assert problem_of(response, 404)["type"].endswith(":collection-not-found")


@pytest.mark.parametrize(
    ("name", "data", "status", "kind"),
    [
        ("a.txt", b"", 422, "empty-document"),
        ("a.txt", b" \r\n\t ", 422, "empty-document"),
        ("a.txt", b"caf\xe9", 422, "undecodable-text"),
        ("a.txt", b"a\x00b", 422, "undecodable-text"),
        ("a.txt", b"\xed\xa0\x80", 422, "undecodable-text"),
        ("a.exe", b"text", 415, "unsupported-format"),
        ("a.pdf", b"text", 415, "unsupported-format"),
        ("a.txt", b"ab " * 1000, 413, "document-too-large"),
        ("a" * 1100 + ".txt", b"text", 422, "invalid-name"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem(
    open_client: OpenClient, name: str, data: bytes, status: int, kind: str
) -> None:
    client = open_client(max_document_bytes=2000)

    assert problem_of(send(client, data, name), status)["type"].endswith(f":{kind}")
    assert client.get(PATH).json() == {"documents": []}


def test_invalid_utf8_is_refused_with_the_place_of_the_bad_byte(client: TestClient) -> None:
    assert "byte 3 (e9)" in problem_of(send(client, b"caf\xe9"), 422)["detail"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "kind"),
    [
        (b"{", JSON, 422, "invalid-request"),
        (b"", JSON, 422, "invalid-request"),
        (b"[1]", JSON, 422, "invalid-request"),
        (b'"text"', JSON, 422, "invalid-request"),
        (b"[" * 100_000, JSON, 422, "invalid-request"),
        (b'{"text": "\xff"}', JSON, 422, "invalid-request"),
        (b'{"title": "no text"}', JSON, 422, "invalid-request"),
        (b'{"text": NaN}', JSON, 422, "invalid-request"),
        (b'{"text": "a", "colour": "red"}', JSON, 422, "invalid-request"),
        (b'{"text": "a", "\\ud800": 1}', JSON, 422, "invalid-request"),
        (b'{"text": "a \\ud800 b"}', JSON, 422, "undecodable-text"),
        (b'{"text": "a", "title": "\\ud800"}', JSON, 422, "invalid-request"),
        (b'{"text": "a", "source": "\\udfff"}', JSON, 422, "invalid-name"),
        (b'{"text": "a", "source": "a\\nb"}', JSON, 422, "invalid-name"),
        (b'{"text": "a", "collection": "\\ud800"}', JSON, 422, "invalid-name"),
        (b'{"text": "a", "collection": "../b"}', JSON, 422, "invalid-name"),
        (b'{"text": ""}', JSON, 422, "empty-document"),
        (b"--b--\r\n", BOUNDARY, 422, "bad-input"),
        (b"no form", BOUNDARY, 400, "bad-request"),
        (b"no form", {"Content-Type": "multipart/form-data"}, 400, "bad-request"),
        (b"text", {"Content-Type": "text/plain"}, 415, "unsupported-format"),
        (b"text", {}, 415, "unsupported-format"),
    ],
)
def test_a_body_that_cannot_be_used_is_a_problem(
    client: TestClient, content: bytes, headers: dict[str, str], status: int, kind: str
) -> None:
    response = client.post(PATH, content=content, headers=headers)

    assert problem_of(response, status)["type"] == f"urn:footnote:problem:{kind}"
    assert client.get(PATH).json() == {"documents": []}


@pytest.mark.parametrize(
    "form",
    [
        {"files": {"document": ("a.txt", b"text")}},
        {"files": {"other": ("a.txt", b"text")}, "data": {"file": "text"}},
        {"files": {"file": ("", b"text")}},
    ],
    ids=["another field", "a field that is no file", "a file without a name"],
)
def test_a_form_without_its_file_says_which_field_is_missing(
    client: TestClient, form: dict[str, Any]
) -> None:
    problem = problem_of(client.post(PATH, **form), 422)

    assert problem["detail"] == "The form has no file."
    assert "`file`" in problem["fix"]


def test_two_files_at_once_are_refused(client: TestClient) -> None:
    files = [("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))]

    assert "Too many files" in problem_of(client.post(PATH, files=files), 400)["detail"]


@pytest.mark.parametrize("with_length", [True, False])
def test_a_body_beyond_the_limit_is_a_413(open_client: OpenClient, *, with_length: bool) -> None:
    client = open_client(max_document_bytes=1000)
    body = b"x" * (FORM_OVERHEAD_BYTES + 1001)
    content = body if with_length else iter([body])
    response = client.post(PATH, content=content, headers=JSON)

    assert problem_of(response, 413)["type"] == "urn:footnote:problem:document-too-large"


def test_a_claimed_gigabyte_is_refused_without_being_read(
    make_app: Callable[..., FastAPI], start_server: Callable[[FastAPI], str]
) -> None:
    """The answer is there although not one byte of the body was sent."""
    address = httpx.URL(start_server(make_app()))
    with socket.create_connection((address.host, address.port or 0), timeout=20.0) as raw:
        raw.sendall(
            b"POST /v1/documents HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000000\r\n\r\n"
        )
        answer = raw.makefile("rb").readline()

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_full_disk_is_a_507(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any, **_options: Any) -> None:
        raise StorageFullError("The disk is full.")

    monkeypatch.setattr(Library, "add", full)
    problem = problem_of(send(client, b"Text."), 507)

    assert problem["type"] == "urn:footnote:problem:storage-full"
    assert problem["fix"] == StorageFullError.fix


@pytest.mark.parametrize("title", ["Über Brücken", "关于桥梁", "😀 مرحبا", "a" * 300])
def test_a_title_of_any_script_comes_back_as_sent(client: TestClient, title: str) -> None:
    by_json = client.post(PATH, json={"text": "Text.", "title": title}).json()["document"]
    by_form = send(client, b"Other.", name=f"{title[:100]}.txt").json()["document"]

    assert by_json["title"] == title
    assert by_form["title"] == title[:100]
    assert by_form["source"] == f"{title[:100]}.txt"


def test_a_title_that_goes_on_and_on_is_refused(client: TestClient) -> None:
    response = client.post(PATH, json={"text": "Text.", "title": "a" * 301})

    assert problem_of(response, 422)["detail"].startswith("title: ")


@pytest.mark.parametrize(
    "text",
    [
        "First line.\r\nSecond line.\r\n\r\nA paragraph about bridges.\r\n",
        "Old Mac.\rSecond line about bridges.\r",
        "\n\n  Leading space about bridges.\n",
        "Bridges 😀 cost €5. 桥梁很贵。 Bridges are dear.\u2028Next\x85line.",
    ],
)
def test_offsets_are_exact_whatever_ends_a_line(client: TestClient, text: str) -> None:
    document = send(client, text.encode()).json()["document"]
    served = client.get(f"{PATH}/{document['id']}/text")
    found = client.post("/v1/search", json={"query": "bridges"}).json()["passages"]

    assert served.content == text.encode()
    assert served.headers["content-type"] == "text/plain; charset=utf-8"
    assert document["characters"] == len(text)
    assert found
    for passage in found:
        assert served.content.decode()[passage["start"] : passage["end"]] == passage["text"]


@hypothesis_settings(deadline=None)
@given(body=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_no_json_object_is_an_internal_error(seeded: TestClient, body: dict[str, str]) -> None:
    response = seeded.post(PATH, content=json.dumps(body), headers=JSON)

    assert response.status_code == 422


def test_texts_without_a_source_never_replace_each_other(client: TestClient) -> None:
    one = client.post("/v1/documents", json={"text": "The first note.", "title": "Note"})
    other = client.post("/v1/documents", json={"text": "The second note.", "title": "Note"})
    assert one.json()["outcome"] == other.json()["outcome"] == "created"
    assert one.json()["document"]["id"] != other.json()["document"]["id"]
