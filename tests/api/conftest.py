"""What the tests of `api` share beside `tests/conftest.py`: commands, servers, a held embedder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI

from index.library import Library, announce_address
from index.testing import HashingEmbedder
from index.types import Embedded, Passage
from qa.bootstrap import Service, build_service
from qa.models import PlainReader
from qa.settings import Settings
from qa.testing import ScriptedChatModel, always
from qa.types import SMALL

REPLY = "€50 billion ($53.5 billion)"
WAIT_SECONDS = 20.0

MakeApp = Callable[..., FastAPI]
StartServer = Callable[[FastAPI], str]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside(no_settings_from_outside: None) -> None:
    """No test here sees settings or proxies of the environment."""


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


class HeldEmbedder(HashingEmbedder):
    """An embedder that stops before a passage with the word `hold`, until `go` is set."""

    def __init__(self) -> None:
        super().__init__(512)
        self.go = threading.Event()
        self.texts: list[str] = []

    def embed_passages(self, passages: Sequence[Passage]) -> list[Embedded]:
        """Embed passages, and note them in their order."""
        if any("hold" in p.text for p in passages):
            assert self.go.wait(WAIT_SECONDS)
        self.texts += [p.text for p in passages]
        return super().embed_passages(passages)


@pytest.fixture
def held() -> Iterator[HeldEmbedder]:
    """Give an embedder that can be held; it is let go after the test, whatever came."""
    embedder = HeldEmbedder()
    yield embedder
    embedder.go.set()


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each passage be a step of its own."""
    monkeypatch.setattr("index.ingest.BATCH", 1)
