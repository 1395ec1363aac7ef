"""What the tests of `api` share: the app around a scripted model, in memory and on loopback."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from api.serving import describe_address, take_port
from index.library import Library, announce_address
from index.testing import HashingEmbedder
from index.types import Embedder
from qa.bootstrap import Service, build_service
from qa.models import PlainReader
from qa.settings import Settings
from qa.testing import ScriptedChatModel, always
from qa.types import SMALL

SEED = Path(__file__).parents[2] / "seeds" / "alibaba-ai-investment.txt"
REPLY = "€50 billion ($53.5 billion)"
WAIT_SECONDS = 20.0

MakeApp = Callable[..., FastAPI]
OpenClient = Callable[..., TestClient]
StartServer = Callable[[FastAPI], str]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
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


@dataclass(frozen=True, slots=True)
class Served:
    """A server of a data folder on loopback, and where it says so."""

    home: Path
    address: str


@pytest.fixture
def served(make_app: MakeApp, start_server: StartServer, tmp_path: Path) -> Served:
    """Give a new server that announced its address in its data folder."""
    home = tmp_path / "home"
    address = start_server(make_app(home=home))
    announce_address(home, address)
    return Served(home, address)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


RunCommand = Callable[..., Ran]


@pytest.fixture
def run_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> RunCommand:
    """Give what runs a command in this process, as its console script would."""
    monkeypatch.setenv("COLUMNS", "240")

    def run(*arguments: str | Path, home: Path = tmp_path / "nobody's") -> Ran:
        from api.cli import main  # noqa: PLC0415  a test of its own says what importing it costs

        monkeypatch.setenv("FOOTNOTE_HOME", str(home))
        monkeypatch.setattr("sys.argv", ["footnote", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return Ran(int(left.value.code or 0), out, err)

    return run


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> ScriptedChatModel:
    """Let commands open the data folder with the shipped fakes; give the chat model."""
    model = ScriptedChatModel(script=always(REPLY))

    def open_library(settings: Settings) -> Library:
        return Library(settings.home_path, HashingEmbedder(512))

    def serve_questions(settings: Settings, *, library: Library) -> Service:
        reader = PlainReader("scripted", model, profile=SMALL)
        return build_service(settings, library=library, reader=reader)

    def fetch_nothing(_settings: Settings, *, language_model: bool = True) -> Sequence[Path]:
        del language_model
        return []

    monkeypatch.setattr("api.terminal.fetch_weights", fetch_nothing)
    monkeypatch.setattr("api.session.build_library", open_library)
    monkeypatch.setattr("api.session.build_service", serve_questions)
    return model
