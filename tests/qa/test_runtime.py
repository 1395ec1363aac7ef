"""Which program runs the local model, and that one which does ends with its parent."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from qa.errors import ModelSettingError
from qa.llama import LlamaOptions, LlamaServer
from qa.runtime import BUILT, find_runtime, multiplies_eight_bits, wants_openvino

SECONDS = 20.0
PROGRAM = """#!{python} -S
import http.server, json, os, sys
if "--version" in sys.argv:
    sys.exit(print("version: 1234 (abcdef)", file=sys.stderr))
loading = [503, 503]

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.send_response(loading.pop() if loading else 200)
            self.end_headers()
            return
        told = self.headers.get("Authorization") == "Bearer " + os.environ["LLAMA_API_KEY"]
        self.send_response(200 if told else 401)
        self.end_headers()
        self.wfile.write(json.dumps({{"pid": os.getpid(), "argv": sys.argv[1:]}}).encode())

port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Give a program that is started, asked and ended as a llama-server is."""
    path = tmp_path / BUILT
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(0o755)
    return path


@pytest.fixture
def local(program: Path, tmp_path: Path) -> Iterator[LlamaServer]:
    """Give a server that runs the program; it is closed afterwards."""
    options = LlamaOptions(
        tmp_path / "m.gguf", "small", tmp_path / "log", threads=3, context=2048, program=program
    )
    server = LlamaServer(options)
    yield server
    server.close()


def ask(address: str, key: str) -> dict[str, object]:
    request = urllib.request.Request(f"{address}/v1", headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=SECONDS) as reply:  # noqa: S310  loopback
        told: dict[str, object] = json.load(reply)
        return told


def ask_again(local: LlamaServer) -> dict[str, object]:
    """Ask until it is answered: the old address is known until the old child's end is seen."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return ask(local.address(SECONDS), local.key)
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "no program was started again"
            time.sleep(0.005)


def wait_for_end(pid: object) -> None:
    deadline = time.monotonic() + SECONDS
    while _is_running(pid):
        assert time.monotonic() < deadline, "the program outlived its parent"
        time.sleep(0.005)


def _is_running(pid: object) -> bool:
    try:
        os.kill(int(str(pid)), 0)
        # One that ended and was not waited for is still there, as a zombie.
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_without_a_program_the_installed_package_runs_the_model(tmp_path: Path) -> None:
    runtime = find_runtime(None, tmp_path)
    assert runtime.program is None
    assert runtime.name.startswith("xllamacpp 20")


def test_a_built_program_is_taken_and_says_its_version(program: Path) -> None:
    runtime = find_runtime(None, program.parent)
    assert (runtime.program, runtime.name) == (program, "llama-server 1234")


def test_a_chosen_program_comes_before_a_built_one(program: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "another"
    chosen.write_text(program.read_text())
    chosen.chmod(0o755)
    assert find_runtime(chosen, program.parent).program == chosen


def test_a_chosen_program_may_be_a_name_on_the_path_or_a_place_seen_from_here(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(program.parent.parent)
    near = program.relative_to(program.parent.parent)
    assert find_runtime(near, program.parent / "none").program == program
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_runtime(Path(BUILT), program.parent / "none").program == program


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\nkill -ILL $$\n", "#!/bin/sh\nexit 1\n", "no program"]
)
def test_a_built_program_of_another_processor_is_passed_over_with_a_warning(
    program: Path, script: str, caplog: pytest.LogCaptureFixture
) -> None:
    program.write_text(script)
    assert find_runtime(None, program.parent).program is None
    assert "make native" in caplog.text


def test_a_chosen_program_that_does_not_start_is_an_error_that_says_what_to_set(
    tmp_path: Path,
) -> None:
    with pytest.raises(ModelSettingError, match="FOOTNOTE_LLAMA_SERVER") as raised:
        find_runtime(tmp_path / "none")
    assert "llama-server" in raised.value.fix


def test_a_program_serves_with_the_options_and_only_who_has_the_key(local: LlamaServer) -> None:
    local.start()
    address = local.address(SECONDS)
    told = ask(address, local.key)
    argv = told["argv"]
    assert isinstance(argv, list)
    # Two kinds of prompts, each with a window of its own.
    expected = {"--threads": "3", "--parallel": "2", "--ctx-size": "4096", "--alias": "small"}
    for option, value in expected.items():
        assert argv[argv.index(option) + 1] == value
    assert local.key not in argv
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(address, "another")


def test_a_program_ends_when_the_server_closes(local: LlamaServer) -> None:
    local.start()
    told = ask(local.address(SECONDS), local.key)
    local.close()
    wait_for_end(told["pid"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a program for a killed parent")
def test_a_program_ends_with_a_child_that_is_killed_and_another_is_started(
    local: LlamaServer,
) -> None:
    local.start()
    told = ask(local.address(SECONDS), local.key)
    assert local.pid is not None
    os.kill(local.pid, signal.SIGKILL)
    wait_for_end(told["pid"])
    assert ask_again(local)["pid"] != told["pid"]


def test_a_program_that_dies_is_started_again(local: LlamaServer) -> None:
    local.start()
    told = ask(local.address(SECONDS), local.key)
    os.kill(int(str(told["pid"])), signal.SIGKILL)
    wait_for_end(told["pid"])
    assert ask_again(local)["pid"] != told["pid"]


@pytest.fixture
def processor(tmp_path: Path) -> Path:
    """Give what Linux tells of a processor with VNNI."""
    path = tmp_path / "cpuinfo"
    path.write_text("model name\t: Some Processor\nflags\t\t: fpu avx2 avx512_vnni sse\n\n")
    return path


def test_openvino_runs_the_model_where_eight_bit_integers_are_multiplied(processor: Path) -> None:
    pytest.importorskip("openvino", reason="there is no OpenVINO for this machine")
    assert wants_openvino("auto", None, processor)
    processor.write_text("flags\t\t: fpu avx2 avx512f sse\n")
    assert not wants_openvino("auto", None, processor)
    assert wants_openvino("openvino", None, processor)


def test_a_chosen_program_or_runtime_comes_before_what_the_processor_can(processor: Path) -> None:
    assert not wants_openvino("auto", Path("llama-server"), processor)
    assert not wants_openvino("llama.cpp", None, processor)


def test_a_processor_that_is_not_told_of_has_no_eight_bit_integers(tmp_path: Path) -> None:
    assert not multiplies_eight_bits(tmp_path / "none")
    (tmp_path / "arm").write_text("Features\t: fp asimd\n")
    assert not multiplies_eight_bits(tmp_path / "arm")


def test_without_openvino_it_is_not_taken_and_asking_for_it_is_an_error(
    processor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not wants_openvino("auto", None, processor)
    with pytest.raises(ModelSettingError, match="not installed") as raised:
        wants_openvino("openvino", None, processor)
    assert "leave FOOTNOTE_RUNTIME out" in raised.value.fix
