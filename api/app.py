"""The application: a service in, HTTP out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api import errors
from api.deps import Running
from api.feedback import FeedbackStore
from api.origins import Origins
from api.pages import page
from api.routes import (
    ask,
    collections,
    deep_chat,
    documents,
    feedback,
    flowise,
    health,
    openai,
    vercel,
    view,
    widgets,
)
from api.version import VERSION
from api.widgets import WidgetStore
from index.errors import FootnoteError
from qa.bootstrap import Service, build_service, warm_embedder, warm_reader
from qa.settings import Settings

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
SWAGGER = Path(fastapi_offline.__file__).parent / "static"
FORM_OVERHEAD_BYTES = 1_000_000
COMPRESS_FROM_BYTES = 1_000
DESCRIPTION = (
    "Questions about your documents, answered with citations that are verbatim spans of their "
    "sources: `GET /v1/documents/{id}/text`, sliced `[start:end]`, is the quote, always."
)


def create_app(
    settings: Settings | None = None, *, build: Callable[[Settings], Service] = build_service
) -> FastAPI:
    """Make the app; its service is built when it starts, and closed when it stops.

    `build` may give a service with other collaborators, or one that is open already.
    """
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        running = Running(await asyncio.to_thread(build, chosen))
        app.state.running = running
        warming = asyncio.create_task(_warm(running))
        yield
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        running.reading.shutdown(cancel_futures=True)
        running.ingesting.shutdown(cancel_futures=True)
        await asyncio.to_thread(running.service.close)

    app = FastAPI(
        title="Footnote",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    most = chosen.max_document_bytes + FORM_OVERHEAD_BYTES
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=most)
    app.add_middleware(ClaimedLength, most=most)
    app.state.widgets = WidgetStore.of(chosen.home_path)
    app.add_middleware(Origins, widgets=app.state.widgets)
    # Event streams are left alone: each event leaves as it is written.
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESS_FROM_BYTES, compresslevel=6)
    errors.install(app)
    app.state.feedback = FeedbackStore.of(chosen.home_path)
    for routes in (
        ask,
        documents,
        collections,
        view,
        feedback,
        widgets,
        health,
        openai,
        vercel,
        deep_chat,
        flowise,
    ):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.mount("/docs/assets", StaticFiles(directory=SWAGGER), name="docs")
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.add_api_route("/", _console, include_in_schema=False)
    app.add_api_route("/widget.js", _widget, include_in_schema=False)
    return app


class ClaimedLength:
    """Refuses a body by the length that it claims, as a problem and before any of it is read.

    Starlette's own limit, which counts what arrives, would write this refusal as plain text.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413, or pass the request on."""
        claimed = Headers(scope=scope).get("content-length", "") if scope["type"] == "http" else ""
        if claimed.isdecimal() and int(claimed) > self.most:
            await errors.respond(errors.too_large(scope["path"]))(scope, receive, send)
        else:
            await self.app(scope, receive, send)


async def _docs() -> HTMLResponse:
    # The usual page loads its script from a CDN and has another one inside; this one needs neither.
    return page(
        (STATIC / "docs.html").read_text(encoding="utf-8"),
        allow=("connect-src 'self'", "img-src 'self' data:"),
    )


async def _console() -> HTMLResponse:
    return page(
        (STATIC / "console.html").read_text(encoding="utf-8"),
        allow=("connect-src 'self'", "frame-src 'self'", "img-src 'self'"),
    )


async def _widget() -> FileResponse:
    return FileResponse(
        STATIC / "widget.js",
        media_type="text/javascript; charset=utf-8",
        headers={
            "Cache-Control": "public, max-age=300",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _warm(running: Running) -> None:
    """Load what the first question would wait for, in the background."""
    try:
        await asyncio.to_thread(warm_embedder, running.service)
        running.warm.set()
        try:
            await warm_reader(running.service)
        finally:
            running.primed.set()
    except FootnoteError as error:
        # Not fatal: /readyz says what is missing, and a question says why it cannot be answered.
        logger.error("%s %s", error, error.fix)  # noqa: TRY400  the message is the whole story
