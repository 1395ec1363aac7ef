"""What routes need: the service, once it is there."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from api.feedback import MOST_RECENT, Given
from api.held import Held
from api.known import MOST_KNOWN, Key
from api.widgets import Widget, WidgetMayOnlyAskError
from index.library import DEFAULT_COLLECTION, Library, check_collection
from qa.bootstrap import Service
from qa.types import Answer


@dataclass(slots=True)
class Running:
    """The service of a running app, its threads that read and ingest uploads, and its answers.

    Reading has its own, so that what cannot be used is refused while another upload is ingested;
    it is one, so that uploads keep their order, and only one large document is taken apart at once.
    `recent` are the last answers that were given, to be judged; `known` those that need no asking
    again. `warm` is set when the embedding model is loaded, `primed` when the local language model
    has read what all its prompts begin with (or could not: then its own state says so).
    """

    service: Service
    ingesting: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="ingest")
    )
    recent: Held[str, Given] = field(default_factory=lambda: Held(MOST_RECENT))
    known: Held[Key, Answer] = field(default_factory=lambda: Held(MOST_KNOWN))
    reading: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="read")
    )
    warm: asyncio.Event = field(default_factory=asyncio.Event)
    primed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def waiting(self) -> list[str]:
        """What a question would still wait for."""
        missing = [] if self.warm.is_set() else ["embedder"]
        # The first reading comes after the embedder; until then only the model's own state counts.
        unread = self.warm.is_set() and not self.primed.is_set()
        return missing if self.service.reader.ready and not unread else [*missing, "model"]


def get_running(request: Request) -> Running:
    """Give what the app's lifespan built."""
    return cast("Running", request.app.state.running)


def get_library(running: Annotated[Running, Depends(get_running)]) -> Library:
    """Give the open library."""
    return running.service.library


def get_widget(request: Request) -> Widget | None:
    """Give the widget that asks, None for a request that names none."""
    return cast("Widget | None", getattr(request.state, "widget", None))


def choose_collection(widget: Widget | None, asked: str | None) -> str:
    """Give the collection to ask: a widget's own, or what was asked for.

    Raises `WidgetMayOnlyAskError` where a widget asks for another.
    """
    if widget is not None and asked not in (None, widget.collection):
        raise WidgetMayOnlyAskError(
            f"This widget is for the collection {widget.collection!r}.",
            fix="Leave the collection out, or create a widget for the other one.",
        )
    if widget is not None:
        return widget.collection
    return DEFAULT_COLLECTION if asked is None else asked


def get_base(request: Request, running: Annotated[Running, Depends(get_running)]) -> str:
    """Give the URL that this service's own links begin with, without a slash at its end."""
    return running.service.settings.public_url or str(request.base_url).rstrip("/")


def find_collection(name: str, library: Library) -> str:
    """Give a collection's name if there is such a one; the default one always is.

    Raises `InvalidNameError`, `CollectionNotFoundError`.
    """
    check_collection(name)
    if name != DEFAULT_COLLECTION:
        library.catalog.collection_number(name)
    return name


RunningDep = Annotated[Running, Depends(get_running)]
LibraryDep = Annotated[Library, Depends(get_library)]
WidgetDep = Annotated[Widget | None, Depends(get_widget)]
BaseDep = Annotated[str, Depends(get_base)]
