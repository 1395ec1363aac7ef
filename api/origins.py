"""Who may ask from a page of another origin: the pages that a widget names, and nobody else.

A browser tells where a request comes from (`Origin`, Fetch standard, "HTTP-network-or-cache
fetch"). Reading needs no refusal, since without CORS headers a browser keeps the answer from the
page; writing does, since it would be done all the same. A widget id stands in the address
(`?widget=w_...`), because a preflight carries nothing else of the request.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors
from api.formats import deep_chat, flowise, openai
from api.widgets import (
    OriginNotAllowedError,
    RateLimitedError,
    Widget,
    WidgetMayOnlyAskError,
    WidgetNotFoundError,
    WidgetStore,
)
from index.errors import FootnoteError


@dataclass(frozen=True, slots=True)
class Door:
    """What a widget id opens, and how a client that comes by it is told of a problem."""

    method: str
    path: re.Pattern[str]
    shape: errors.Shape | None = None


QUESTIONS = (
    Door("POST", re.compile(r"/v1/ask")),
    Door("POST", re.compile(r"/v1/(?:chat/completions|responses)"), openai.respond),
    Door("POST", re.compile(r"/api/chat")),
    Door("POST", re.compile(r"/v1/deep-chat"), deep_chat.respond),
    Door("POST", re.compile(r"/api/v1/prediction/[^/]+"), flowise.respond),
)
"""What a widget's visitor may do so many times a minute."""
BESIDE = (
    Door("GET", re.compile(r"/v1/widgets/w_[0-9a-f]+")),
    Door("GET", re.compile(r"/documents/[^/]+/view")),
    Door("POST", re.compile(r"/v1/feedback")),
    Door("GET", re.compile(r"/api/chat/[^/]+/stream")),
    Door("GET", re.compile(r"/api/v1/(?:chatflows-streaming|public-chatbotConfig)/[^/]+")),
)
"""What else a widget id opens."""
HEADER_NAMES = re.compile(r"[\w-]+(?:, ?[\w-]+)*")
SAFE_METHODS = {"GET", "HEAD"}
PREFLIGHT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Origins:
    """Middleware that lets in what a widget allows, and tells the routes which widget asks.

    A route finds it as `request.state.widget`, None for a request without one.
    """

    app: ASGIApp
    widgets: WidgetStore
    limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight or a refusal; pass on the rest."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        foreign = origin if origin and not _is_own(origin, headers) else None
        try:
            widget = self._find(scope, foreign)
            if foreign and widget is None:
                _check_unnamed(scope["method"], foreign)
        except FootnoteError as error:
            refusal = _refuse(error, scope)
            if isinstance(error, WidgetNotFoundError):
                # No site's, so every page may read that; one that still holds its line hides then.
                refusal.headers["Access-Control-Allow-Origin"] = "*"
            await refusal(scope, receive, send)
            return
        scope.setdefault("state", {})["widget"] = widget
        if widget and foreign:
            send = _allowing(send, foreign)
            if scope["method"] == "OPTIONS":
                await _preflight(headers)(scope, receive, send)
                return
        try:
            if widget and _find_door(scope, QUESTIONS):
                await self._count(widget, scope)
        except RateLimitedError as error:
            refusal = _refuse(error, scope)
            refusal.headers["Retry-After"] = str(error.retry_after)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _find(self, scope: Scope, foreign: str | None) -> Widget | None:
        """Give the widget that a request names. Raises where there is none, or it may not."""
        named = parse_qs(scope["query_string"].decode("latin-1")).get("widget")
        if not named:
            return None
        widget = self.widgets.get(named[0])
        if foreign and foreign not in widget.origins:
            raise OriginNotAllowedError(
                f"Pages of {foreign} may not use this widget.",
                fix=f"Create a widget with `footnote widgets create --origin {foreign}`.",
            )
        if scope["method"] != "OPTIONS" and not _find_door(scope, (*QUESTIONS, *BESIDE)):
            raise WidgetMayOnlyAskError(f"A widget may not {scope['method']} {scope['path']}.")
        return widget

    async def _count(self, widget: Widget, scope: Scope) -> None:
        """Count a question of a visitor. Raises `RateLimitedError`."""
        visitor = (scope.get("client") or ("unknown", 0))[0]
        item = RateLimitItemPerMinute(widget.per_minute)
        if not await self.limiter.hit(item, widget.id, visitor):
            stats = await self.limiter.get_window_stats(item, widget.id, visitor)
            wait = max(1, math.ceil(stats.reset_time - time.time()))
            raise RateLimitedError(
                f"More than {widget.per_minute} questions in a minute.", retry_after=wait
            )


def _check_unnamed(method: str, foreign: str) -> None:
    if method not in SAFE_METHODS:
        raise OriginNotAllowedError(
            f"Pages of {foreign} may not do this.",
            fix=f"Name a widget in the address, `?widget=w_...`, that allows {foreign}; "
            "`footnote widgets create` makes one.",
        )


def _is_own(origin: str, headers: Headers) -> bool:
    # Browsers set Sec-Fetch-Site and no page can; it holds behind a proxy that changes Host too.
    if headers.get("sec-fetch-site") == "same-origin":
        return True
    return urlsplit(origin).netloc == headers.get("host", "")


def _find_door(scope: Scope, doors: tuple[Door, ...]) -> Door | None:
    found = (d for d in doors if scope["method"] == d.method and d.path.fullmatch(scope["path"]))
    return next(found, None)


def _refuse(error: FootnoteError, scope: Scope) -> Response:
    """Give a problem as the clients of this path understand it."""
    problem = errors.to_problem(error, scope["path"])
    door = _find_door(scope, QUESTIONS)
    return door.shape(problem) if door and door.shape else errors.respond(problem)


def _preflight(headers: Headers) -> Response:
    # Other projects' clients send headers of their own; none of them means anything here, and
    # without `Access-Control-Allow-Credentials` no cookie comes with them.
    asked = headers.get("access-control-request-headers", "")
    return Response(
        status_code=HTTPStatus.NO_CONTENT,
        headers={
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": asked
            if HEADER_NAMES.fullmatch(asked)
            else "content-type, accept",
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        },
    )


def _allowing(send: Send, origin: str) -> Callable[[MutableMapping[str, Any]], Awaitable[None]]:
    async def allowing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "Retry-After"
            headers.add_vary_header("Origin")
        await send(message)

    return allowing
