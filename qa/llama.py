"""The local model's child process: started, watched, started again, and ended with its parent."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from qa.errors import ModelUnavailableError
from qa.llama_child import API_KEY_VARIABLE

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds between a child's death and the next one's start, doubling while they die young."""
HEALTHY_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """How to run a GGUF file: `context` in tokens, `log` the file of the child's own messages.

    `program` is a `llama-server` to run it with, None for the installed `xllamacpp`. `adapter` is
    a LoRA adapter in GGUF, for the requests that ask for it.
    """

    model: Path
    alias: str
    log: Path
    threads: int | None = None
    context: int = 4096
    program: Path | None = None
    adapter: Path | None = None


class LlamaServer:
    """A llama.cpp server on loopback, behind a key that only this process knows."""

    def __init__(self, options: LlamaOptions) -> None:
        self._options = options
        self.key = secrets.token_urlsafe(32)
        self._state = _State()
        self._changed = threading.Condition()
        self._watcher = threading.Thread(target=self._watch, name="llama-watch", daemon=True)

    def start(self) -> None:
        """Begin to load the model; returns at once."""
        self._watcher.start()

    def close(self) -> None:
        """End the child and wait for it."""
        with self._changed:
            self._state.closing = True
            child = self._state.child
            self._changed.notify_all()
        if child is not None:
            _end(child)
        if self._watcher.is_alive():
            self._watcher.join()

    def address(self, timeout: float) -> str:
        """Give the base URL, waiting up to `timeout` seconds while the model loads.

        Raises `ModelUnavailableError`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._state.address or self._state.closing, timeout)
            if self._state.address:
                return self._state.address
        raise ModelUnavailableError(
            f"The local model is not running{self._state.describe()}.",
            fix=f"Ask again in a few seconds; if it stays so, look into {self._options.log}.",
        )

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and its process alive."""
        return self._state.address is not None

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        child = self._state.child
        return None if child is None or child.poll() is not None else child.pid

    def _watch(self) -> None:
        pause = FIRST_PAUSE
        while not self._is_closing():
            began = time.monotonic()
            code = self._try_once()
            if self._is_closing():
                return
            lived = time.monotonic() - began
            pause = FIRST_PAUSE if lived > HEALTHY_AFTER else min(pause * 2, LONGEST_PAUSE)
            logger.warning("The local model's process ended (%s); starting it again.", code)
            with self._changed:
                self._state.last_code = code
                self._changed.wait_for(lambda: self._state.closing, pause)

    def _try_once(self) -> int | str:
        try:
            return self._run_once()
        except (OSError, ValueError, KeyError) as error:  # no process, no log, or no address
            child = self._state.child
            if child is not None:
                _end(child)
            return f"{type(error).__name__}: {error}"

    def _is_closing(self) -> bool:
        return self._state.closing

    def _run_once(self) -> int:
        with self._options.log.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603  our own interpreter and module
                self._command(),
                cwd=Path(__file__).parent.parent,
                env={**os.environ, API_KEY_VARIABLE: self.key},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        with self._changed:
            self._state.child = child
            closing = self._state.closing
        if closing:
            _end(child)
        assert child.stdout is not None  # noqa: S101  a pipe was asked for
        line = child.stdout.readline()
        if line:
            with self._changed:
                self._state.address = str(json.loads(line)["address"])
                self._changed.notify_all()
        code = child.wait()
        with self._changed:
            self._state.address = None
        child.stdout.close()
        if child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
        return code

    def _command(self) -> list[str]:
        options = self._options
        threads = options.threads or os.cpu_count() or 1
        return [
            *(sys.executable, "-m", "qa.llama_child"),
            *("--model", str(options.model), "--alias", options.alias),
            *("--threads", str(threads), "--context", str(options.context)),
            *(("--program", str(options.program)) if options.program else ()),
            *(("--adapter", str(options.adapter)) if options.adapter else ()),
        ]


@dataclass(slots=True)
class _State:
    child: subprocess.Popen[bytes] | None = None
    address: str | None = None
    last_code: int | str | None = None
    closing: bool = field(default=False)

    def describe(self) -> str:
        return "" if self.last_code is None else f" (its process ended with {self.last_code})"


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
