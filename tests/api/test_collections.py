from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient


def sizes(client: TestClient) -> dict[str, tuple[int, int]]:
    found: list[dict[str, Any]] = client.get("/v1/collections").json()["collections"]
    assert [c["name"] for c in found] == sorted(c["name"] for c in found)
    return {c["name"]: (c["documents"], c["passages"]) for c in found}


def add(client: TestClient, collection: str, source: str, text: str) -> str:
    body = {"text": text, "source": source, "collection": collection}
    return str(client.post("/v1/documents", json=body).json()["document"]["id"])


def test_the_default_collection_is_always_there(client: TestClient) -> None:
    assert sizes(client) == {"default": (0, 0)}


def test_collections_tell_how_much_they_hold_now(client: TestClient) -> None:
    long = "A lamp is red and stands in the hall of the house by the sea. " * 60
    first = add(client, "lamps", "a", "One lamp.")
    add(client, "lamps", "b", long)
    add(client, "cats", "c", "A cat.")
    passages = client.get("/v1/documents", params={"collection": "lamps"}).json()["documents"]

    held = sizes(client)
    assert held["cats"] == (1, 1)
    assert held["lamps"] == (2, sum(d["passages"] for d in passages))
    assert held["lamps"][1] > 2

    add(client, "lamps", "b", "Short now.")
    assert sizes(client)["lamps"] == (2, 2)
    client.delete(f"/v1/documents/{first}").raise_for_status()
    assert sizes(client)["lamps"] == (1, 1)
