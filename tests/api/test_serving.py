from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api import serving
from api.serving import PortInUseError, describe_address, run, take_port
from index.errors import LibraryInUseError
from index.library import Library, announce_address, read_address
from index.testing import HashingEmbedder
from qa.settings import Settings


class Served(Protocol):
    """A server on loopback."""

    home: Path
    address: str


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings of a free port and an endpoint that nobody asks."""
    return Settings(home=tmp_path, port=0, base_url="http://127.0.0.1:9/v1", model="none")


@pytest.fixture
def taken() -> Iterator[int]:
    """Give a port that something listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        yield listening.getsockname()[1]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `run` open its library with the hashing embedder, and fetch nothing."""
    monkeypatch.setattr(serving, "fetch_weights", lambda _settings: [])
    monkeypatch.setattr(
        serving, "build_library", lambda s: Library(s.home_path, HashingEmbedder(512))
    )


def test_port_0_takes_any_free_port(settings: Settings) -> None:
    with take_port(settings) as listening:
        host, port = listening.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        assert describe_address(listening) == f"http://127.0.0.1:{port}"
        with socket.create_connection((host, port), timeout=10.0):
            pass


def test_a_taken_port_is_an_error_that_says_what_to_do(tmp_path: Path, taken: int) -> None:
    with pytest.raises(PortInUseError, match=f"Port {taken} is in use") as caught:
        take_port(Settings(home=tmp_path, port=taken))

    assert "--port" in caught.value.fix
    assert "Something else is." in str(caught.value)


def test_a_port_taken_by_footnote_is_an_error_that_names_it(served: Served) -> None:
    port = int(served.address.rsplit(":", 1)[1])

    with pytest.raises(PortInUseError, match=re.escape(served.address)):
        take_port(Settings(home=served.home, port=port))


def test_an_address_that_is_not_here_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PortInUseError, match=re.escape("192.0.2.1:0 cannot be")) as caught:
        take_port(Settings(home=tmp_path, host="192.0.2.1", port=0))

    assert "--host" in caught.value.fix


def test_a_wildcard_address_is_described_as_loopback(tmp_path: Path) -> None:
    with take_port(Settings(home=tmp_path, host="0.0.0.0", port=0)) as listening:  # noqa: S104  what is tested
        assert describe_address(listening).startswith("http://127.0.0.1:")


@pytest.mark.parametrize("host", ["::1", "::"])
def test_an_ipv6_address_is_put_in_brackets(tmp_path: Path, host: str) -> None:
    try:
        listening = take_port(Settings(home=tmp_path, host=host, port=0))
    except PortInUseError:
        pytest.skip("this machine has no IPv6")
    with listening:
        assert describe_address(listening).startswith("http://[::1]:")


def test_a_second_owner_is_told_where_the_first_serves(tmp_path: Path) -> None:
    with Library(tmp_path, HashingEmbedder(512)):
        announce_address(tmp_path, "http://127.0.0.1:1234")
        with pytest.raises(LibraryInUseError, match=re.escape("http://127.0.0.1:1234")) as caught:
            Library(tmp_path, HashingEmbedder(512))
        assert caught.value.fix
    assert read_address(tmp_path) is None


@pytest.mark.usefixtures("fakes")
def test_a_second_server_of_a_folder_does_not_start(served: Served) -> None:
    with pytest.raises(LibraryInUseError, match=re.escape(served.address)):
        run(Settings(home=served.home, port=0), ())


@pytest.mark.usefixtures("fakes")
def test_run_ingests_announces_and_serves(
    settings: Settings,
    seed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[str] = []

    def serve(app: FastAPI, listening: socket.socket) -> None:
        seen.append(describe_address(listening))
        assert read_address(settings.home_path) == seen[0]
        with TestClient(app) as client:
            (document,) = client.get("/v1/documents").json()["documents"]
            assert document["source"] == str(seed.resolve())

    monkeypatch.setattr(serving, "_serve", serve)
    run(settings, (seed,))

    assert f"Footnote is at {seen[0]} " in capsys.readouterr().err.replace("\n", " ")
    assert read_address(settings.home_path) is None
    with Library(settings.home_path, HashingEmbedder(512)) as library:
        assert len(library.documents()) == 1


@pytest.mark.usefixtures("fakes")
def test_a_start_that_fails_leaves_the_folder_free(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "_assemble", fail)
    with pytest.raises(KeyboardInterrupt):
        run(settings, ())

    Library(settings.home_path, HashingEmbedder(512)).close()
    assert read_address(settings.home_path) is None


def test_the_port_is_taken_before_anything_slow_is_done(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow: list[str] = []
    fetch: Callable[[Settings], None] = lambda _settings: slow.append("fetched")  # noqa: E731  a stub of one line
    monkeypatch.setattr(serving, "fetch_weights", fetch)

    with pytest.raises(PortInUseError):
        run(Settings(home=tmp_path, port=taken), ())
    assert slow == []
