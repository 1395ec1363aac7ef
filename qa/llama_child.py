"""The local language model, in a process of its own: `python -m qa.llama_child` with its options.

It serves the OpenAI protocol on a free loopback port, writes its address as one line of JSON, and
ends when its standard input does: when its parent dies, however that happens, so does it. With
`--program` it is a `llama-server` that serves, which ends with this process.
"""

from __future__ import annotations

import argparse
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TextIO

API_KEY_VARIABLE = "FOOTNOTE_CHILD_KEY"
PAUSE = 0.1
"""Seconds between two looks whether a program has loaded its model."""
OK = 200
PR_SET_PDEATHSIG = 1
"""From Linux's prctl.h: the signal that a process gets when its parent ends."""


def main() -> None:
    """Load the model, serve, and wait for the parent's end."""
    options = _parse()
    # The pipe to the parent carries one line; whatever a library prints goes to the log instead.
    parent = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if options.program is None:
        _serve(options, parent)
    else:
        _run(options, parent)


def _serve(options: argparse.Namespace, parent: TextIO) -> None:
    import xllamacpp  # type: ignore[import-untyped]  # noqa: PLC0415  a bad option need not wait

    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.model
    parameters.model_alias = {options.alias}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [os.environ[API_KEY_VARIABLE]]
    parameters.n_parallel = options.slots
    parameters.n_ctx = options.context * options.slots
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.threads
    parameters.endpoint_slots = False
    parameters.cache_ram_mib = options.cache_mib
    if options.adapter is not None:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(options.adapter, 1.0)]
        parameters.lora_init_without_apply = True
    server = xllamacpp.Server(parameters)
    _announce(server.listening_address, parent)
    sys.stdin.buffer.read()
    # The server's threads hold nothing worth saving, and its destructor waits for open requests.
    os._exit(0)


def _run(options: argparse.Namespace, parent: TextIO) -> None:
    address = f"http://127.0.0.1:{_free_port()}"
    program = subprocess.Popen(  # noqa: S603  what the parent was set to run
        _command(options, address),
        env={**os.environ, "LLAMA_API_KEY": os.environ[API_KEY_VARIABLE]},
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_parent,  # noqa: PLW1509  no thread was started yet
    )
    threading.Thread(target=_end_with_input, args=(program,), daemon=True).start()
    while program.poll() is None and not _is_healthy(address):
        time.sleep(PAUSE)
    if program.poll() is None:
        _announce(address, parent)
    os._exit(program.wait() % 256)


def _command(options: argparse.Namespace, address: str) -> list[str]:
    host, _, port = address.removeprefix("http://").partition(":")
    return [
        *(options.program, "--model", options.model, "--alias", options.alias),
        *("--host", host, "--port", port, "--no-slots"),
        *("--threads", str(options.threads), "--threads-batch", str(options.threads)),
        *("--ctx-size", str(options.context * options.slots), "--parallel", str(options.slots)),
        *("--cache-ram", str(options.cache_mib)),
        *(("--lora", options.adapter, "--lora-init-without-apply") if options.adapter else ()),
    ]


def _announce(address: str, parent: TextIO) -> None:
    with parent:
        parent.write(json.dumps({"address": address}) + "\n")


def _free_port() -> int:
    # Somebody may take it before the program does; then that ends, and is started again.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_healthy(address: str) -> bool:
    # Not urllib: it would ask a proxy of the environment for a loopback address.
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=PAUSE * 10)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == OK  # 503 while it loads
    except (OSError, http.client.HTTPException):
        return False  # not listening yet
    finally:
        connection.close()


def _end_with_input(program: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    program.kill()


def _end_with_parent() -> None:
    # Where this process is killed it cannot end the program; Linux does it in its stead.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m qa.llama_child")
    parser.add_argument("--model", required=True, help="path of a GGUF file")
    parser.add_argument("--alias", required=True, help="the name that the server gives the model")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--context", type=int, required=True, help="tokens of each slot")
    parser.add_argument("--program", help="a llama-server to run instead of xllamacpp")
    parser.add_argument("--adapter", help="path of a LoRA adapter in GGUF")
    parser.add_argument("--slots", type=int, default=2, help="one for each kind of prompt")
    parser.add_argument("--cache-mib", type=int, default=512, help="memory for past prompts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
