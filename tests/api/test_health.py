from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest
from starlette.testclient import TestClient

from api.deps import Running
from api.version import VERSION
from index.testing import HashingEmbedder
from index.types import Vectors

WAIT_SECONDS = 20.0


class SlowEmbedder(HashingEmbedder):
    """An embedder that loads until it is told to have loaded."""

    def __init__(self) -> None:
        super().__init__(512)
        self.loaded = threading.Event()

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Wait, then embed as ever."""
        assert self.loaded.wait(WAIT_SECONDS)
        return super().embed_queries(texts)


def running_of(client: TestClient) -> Running:
    running = client.app.state.running  # type: ignore[attr-defined]  # a FastAPI app
    assert isinstance(running, Running)
    return running


def test_the_process_is_alive_with_its_version(seeded: TestClient) -> None:
    response = seeded.get("/healthz")

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "version": VERSION, "waiting": []}


def test_the_service_is_ready_once_its_embedder_is_warm(
    open_client: Callable[..., TestClient],
) -> None:
    embedder = SlowEmbedder()
    client = open_client(embedder=embedder)
    try:
        cold = client.get("/readyz")
        alive = client.get("/healthz")
    finally:
        embedder.loaded.set()
    assert client.portal is not None
    client.portal.call(running_of(client).warm.wait)
    warm = client.get("/readyz")

    assert cold.status_code == 503
    waits = {"status": "loading", "version": VERSION, "waiting": ["embedder"], "runtime": None}
    assert cold.json() == waits
    assert int(cold.headers["retry-after"]) > 0
    assert alive.status_code == 200
    assert warm.status_code == 200
    assert warm.json() == {**waits, "status": "ready", "waiting": []}


def test_the_service_waits_for_a_model_that_is_loading(
    open_client: Callable[..., TestClient],
) -> None:
    client = open_client(ready=False)
    assert client.portal is not None
    client.portal.call(running_of(client).warm.wait)
    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["waiting"] == ["model"]


def test_the_service_waits_until_the_model_has_read_what_all_prompts_begin_with(
    open_client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = asyncio.Event()

    async def read(_: object) -> None:
        await reading.wait()

    monkeypatch.setattr("api.app.warm_reader", read)
    client = open_client()
    assert client.portal is not None
    client.portal.call(running_of(client).warm.wait)
    response = client.get("/readyz")
    client.portal.call(reading.set)
    client.portal.call(running_of(client).primed.wait)

    assert response.status_code == 503
    assert response.json()["waiting"] == ["model"]
    assert client.get("/readyz").status_code == 200
