"""`footnote serve`: take the port, fetch the models, ingest, and serve until told to stop."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.session import OwnSession, find_server
from api.terminal import err, fetch_weights, ingest_files, spinner
from index.errors import FootnoteError
from index.library import DEFAULT_COLLECTION, Library, announce_address
from qa.bootstrap import Service, build_library, build_service
from qa.settings import Settings


class PortInUseError(FootnoteError):
    """Something else listens there."""


def run(settings: Settings, ingest: Sequence[Path]) -> None:
    """Serve until SIGINT or SIGTERM. Raises `FootnoteError` for what stands in the way."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpx2", "sentence_transformers"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    with take_port(settings) as listening:
        fetch_weights(settings)
        with spinner("opening the library"):
            library = build_library(settings)
        try:
            if ingest:
                session = OwnSession(settings, library)
                ingest_files(session.ingest, ingest, DEFAULT_COLLECTION, quiet=False)
            app = _assemble(settings, library)
        except BaseException:  # whatever it was, the data folder must be free for the next start
            library.close()
            raise
        address = describe_address(listening)
        announce_address(library.home, address)
        err.print(f"Footnote is at {address} (the API: {address}/docs). Stop it with Ctrl-C.")
        _serve(app, listening)


def take_port(settings: Settings) -> socket.socket:
    """Bind the port before anything slow is done. Raises `PortInUseError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        # Two processes may bind with SO_REUSEADDR; only one can listen.
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            running = find_server(settings.home_path)
            who = f"Footnote is serving at {running} already" if running else "Something else is"
            raise PortInUseError(
                f"Port {settings.port} is in use. {who}.",
                fix="Use that server, or choose another port with --port or FOOTNOTE_PORT.",
            ) from error
        raise PortInUseError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}.",
            fix="Choose another --host or --port.",
        ) from error
    return listening


def describe_address(listening: socket.socket) -> str:
    """Give the URL of a bound socket; a wildcard address is reached over loopback."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _assemble(settings: Settings, library: Library) -> FastAPI:
    def build(chosen: Settings) -> Service:
        return build_service(chosen, library=library)

    return create_app(settings, build=build)


def _serve(app: FastAPI, listening: socket.socket) -> None:
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listening])
