"""What the tests over HTTP share: the app around a scripted model, in memory and on loopback."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from api.serving import describe_address, take_port
from index.library import Library
from index.testing import HashingEmbedder
from index.types import Embedder
from qa.bootstrap import Service, build_service
from qa.models import PlainReader
from qa.settings import Settings
from qa.testing import ScriptedChatModel, always
from qa.types import SMALL

SEED = Path(__file__).parents[1] / "seeds" / "alibaba-ai-investment.txt"
REPLY = "€50 billion ($53.5 billion)"
WAIT_SECONDS = 20.0

MakeApp = Callable[..., FastAPI]
OpenClient = Callable[..., TestClient]
StartServer = Callable[[FastAPI], str]


@pytest.fixture(scope="session")
def no_settings_from_outside() -> Iterator[None]:
    """Hide settings and proxies of the environment, for the folders that ask for it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("FOOTNOTE_")]:
            patch.delenv(name)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        yield


@pytest.fixture(scope="session")
def seed() -> Path:
    """Give the path of the seed document."""
    return SEED


@pytest.fixture(scope="session")
def question() -> dict[str, Any]:
    """Give a body that asks what the seed document answers."""
    return {"question": "how much will Alibaba invest?"}


@pytest.fixture(scope="session")
def make_app(tmp_path_factory: pytest.TempPathFactory) -> MakeApp:
    """Give what makes an app; its library is opened when the app starts."""

    def make(
        model: ScriptedChatModel | None = None,
        *,
        embedder: Embedder | None = None,
        ready: bool = True,
        **values: Any,
    ) -> FastAPI:
        home = values.pop("home", None) or tmp_path_factory.mktemp("home")
        settings = Settings(home=home, **values)
        chat = model or ScriptedChatModel(script=always(REPLY))

        def build(chosen: Settings) -> Service:
            library = Library(
                home,
                embedder or HashingEmbedder(512),
                max_document_bytes=chosen.max_document_bytes,
            )
            reader = PlainReader("scripted", chat, profile=SMALL, ready=ready)
            return build_service(chosen, library=library, reader=reader)

        return create_app(settings, build=build)

    return make


@pytest.fixture
def open_client(make_app: MakeApp) -> Iterator[OpenClient]:
    """Give what opens a client of a new app; it is closed after the test."""
    with ExitStack() as stack:

        def opened(*arguments: Any, show_errors: bool = True, **values: Any) -> TestClient:
            app = make_app(*arguments, **values)
            return stack.enter_context(TestClient(app, raise_server_exceptions=show_errors))

        yield opened


@pytest.fixture
def client(open_client: OpenClient) -> TestClient:
    """Give a client of an app without documents."""
    return open_client()


@pytest.fixture(scope="session")
def seeded(make_app: MakeApp) -> Iterator[TestClient]:
    """Give a client of an app that holds the seed document; nobody may change it."""
    with TestClient(make_app()) as opened:
        upload(opened, SEED)
        yield opened


def upload(client: TestClient, path: Path) -> None:
    """Ingest a file over HTTP."""
    sent = client.post("/v1/documents", files={"file": (path.name, path.read_bytes())})
    sent.raise_for_status()


@pytest.fixture(scope="session")
def seed_id(seeded: TestClient) -> str:
    """Give the seed document's id."""
    return str(seeded.get("/v1/documents").json()["documents"][0]["id"])


class NoticedServer(uvicorn.Server):
    """A server that says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.up.set()


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Give what serves an app on a free loopback port; it is stopped after the module."""
    running: list[tuple[NoticedServer, threading.Thread, socket.socket]] = []

    def start(app: FastAPI) -> str:
        settings = Settings(home=tmp_path_factory.mktemp("port"), port=0)
        listening = take_port(settings)
        config = uvicorn.Config(app, log_level="critical", ws="none", lifespan="on")
        server = NoticedServer(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        running.append((server, thread, listening))
        thread.start()
        assert server.up.wait(WAIT_SECONDS)
        return describe_address(listening)

    yield start
    for server, _, _ in running:
        server.should_exit = True
    for _, thread, listening in running:
        thread.join(WAIT_SECONDS)
        listening.close()
