import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qa.errors import ModelUnavailableError
from qa.llama import LlamaOptions, LlamaServer

SERVES = """
import json, os, sys
assert len(os.environ["FOOTNOTE_CHILD_KEY"]) > 30
print("loading", file=sys.stderr, flush=True)
print(json.dumps({"address": f"http://127.0.0.1:{os.getpid()}"}), flush=True)
sys.stdin.buffer.read()
"""
DIES = "import sys; print('no such model', file=sys.stderr); sys.exit(7)"
DEAF = "import time\nwhile True: time.sleep(60)"
SECONDS = 15.0

Servers = Callable[[str], LlamaServer]


class StandIn(LlamaServer):
    """A server whose child runs a script of the test's own."""

    def __init__(self, options: LlamaOptions, script: Path) -> None:
        super().__init__(options)
        self.script = script

    def _command(self) -> list[str]:
        return [sys.executable, "-S", str(self.script)]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """Give a function that makes a server whose child runs a script; all are closed afterwards."""
    monkeypatch.setattr("qa.llama.FIRST_PAUSE", 0.01)
    made: list[LlamaServer] = []

    def make(script: str) -> LlamaServer:
        path = tmp_path / f"child{len(made)}.py"
        path.write_text(script)
        options = LlamaOptions(tmp_path / "model.gguf", "alias", tmp_path / "model.log")
        made.append(StandIn(options, path))
        return made[-1]

    yield make
    for one in made:
        one.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def address_of(pid: int | None) -> str:
    """Give the address that the script announces from a process."""
    return f"http://127.0.0.1:{pid}"


def test_a_child_that_serves_gives_its_address(server: Servers, tmp_path: Path) -> None:
    local = server(SERVES)
    assert (local.ready, local.pid) == (False, None)
    local.start()
    assert local.address(SECONDS) == address_of(local.pid)
    assert local.ready
    assert "loading" in (tmp_path / "model.log").read_text()


def test_closing_ends_the_child_and_takes_the_address_back(server: Servers) -> None:
    local = server(SERVES)
    local.start()
    local.address(SECONDS)
    pid = local.pid
    assert pid is not None
    local.close()
    assert not is_alive(pid)
    assert local.pid is None
    assert not local.ready
    with pytest.raises(ModelUnavailableError):
        local.address(SECONDS)


def test_closing_twice_or_before_the_start_does_nothing(server: Servers) -> None:
    local = server(SERVES)
    local.close()
    local.close()
    with pytest.raises(ModelUnavailableError):
        local.address(SECONDS)


def test_a_killed_child_is_started_again_at_its_new_address(server: Servers) -> None:
    local = server(SERVES)
    local.start()
    local.address(SECONDS)
    for _ in range(2):
        killed = local.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: local.pid not in {None, killed} and local.ready)  # noqa: B023  used at once
        assert local.address(SECONDS) == address_of(local.pid)
        assert not is_alive(killed)


def test_a_child_that_dies_at_once_leaves_an_error_that_says_where_to_look(
    server: Servers, tmp_path: Path
) -> None:
    local = server(DIES)
    local.start()
    log = tmp_path / "model.log"
    wait_until(lambda: log.exists() and log.read_text().count("no such model") > 1)
    with pytest.raises(ModelUnavailableError, match="ended with 7") as raised:
        local.address(0.05)
    assert str(log) in raised.value.fix
    assert not local.ready


def test_one_who_waits_for_the_address_is_told_at_once_when_the_server_closes(
    server: Servers,
) -> None:
    local = server(DEAF.replace("60", "0.01").replace("while True", "for _ in range(10)"))
    local.start()
    wait_until(lambda: local.pid is not None)
    local.close()
    began = time.monotonic()
    with pytest.raises(ModelUnavailableError):
        local.address(SECONDS)
    assert time.monotonic() - began < SECONDS / 3


def test_two_servers_have_keys_of_their_own(server: Servers) -> None:
    assert server(SERVES).key != server(SERVES).key


def test_the_child_is_told_the_model_and_its_options(tmp_path: Path) -> None:
    options = LlamaOptions(tmp_path / "m.gguf", "small", tmp_path / "log", threads=3, context=2048)
    command = LlamaServer(options)._command()  # noqa: SLF001  what is run is what matters
    assert command[:3] == [sys.executable, "-m", "qa.llama_child"]
    pairs = dict(zip(command[3::2], command[4::2], strict=True))
    assert pairs == {
        "--model": str(tmp_path / "m.gguf"),
        "--alias": "small",
        "--threads": "3",
        "--context": "2048",
    }


def test_the_child_is_told_the_program_where_there_is_one(tmp_path: Path) -> None:
    options = LlamaOptions(
        tmp_path / "m.gguf", "small", tmp_path / "log", program=tmp_path / "llama-server"
    )
    command = LlamaServer(options)._command()  # noqa: SLF001  what is run is what matters
    assert command[-2:] == ["--program", str(tmp_path / "llama-server")]


def test_the_key_is_not_on_the_child_s_command_line(tmp_path: Path) -> None:
    local = LlamaServer(LlamaOptions(tmp_path / "m.gguf", "small", tmp_path / "log"))
    assert local.key not in " ".join(local._command())  # noqa: SLF001  what is run is what matters
