"""For OpenAI's clients: `POST /v1/chat/completions`, `POST /v1/responses`, `GET /v1/models`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter

from api.deps import (
    BaseDep,
    LibraryDep,
    RunningDep,
    WidgetDep,
    choose_collection,
    find_collection,
)
from api.events import MEDIA_TYPE
from api.formats.openai import (
    ALIAS,
    ChatCompletion,
    ChatRequest,
    ChatStream,
    Head,
    Model,
    Models,
    OpenAIRoute,
    complete,
)
from api.formats.openai_responses import Response, ResponsesRequest, ResponseStream
from api.routes.answering import stream, whole
from api.widgets import Widget
from index.library import DEFAULT_COLLECTION, Library

router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=OpenAIRoute)
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON, or server-sent events where `stream` is true",
        "content": {MEDIA_TYPE: {}},
    }
}


@router.post("/chat/completions", response_model=ChatCompletion, responses=STREAMED)
async def create_chat_completion(
    body: ChatRequest, running: RunningDep, base: BaseDep, chosen: WidgetDep
) -> Any:
    """Answer the last message of the user with verified citations as `annotations`.

    `model` is a collection. System and developer messages, tools and sampling are ignored.
    """
    collection = _choose(body.model, running.service.library, chosen)
    ask, head = body.to_ask(collection), Head(body.model, base)
    if body.stream:
        options = body.stream_options
        usage = options is not None and bool(options.include_usage)
        return await stream(running, ask, ChatStream(head, usage=usage), widget=chosen)
    return complete(await whole(running, ask, chosen), head)


@router.post("/responses", responses=STREAMED)
async def create_response(
    body: ResponsesRequest, running: RunningDep, base: BaseDep, chosen: WidgetDep
) -> Any:
    """Answer the last message of the user with verified citations as `annotations`.

    `model` is a collection. `instructions`, tools and sampling are ignored; nothing is stored.
    """
    collection = _choose(body.model, running.service.library, chosen)
    ask, response = body.to_ask(collection), Response(body.model, base)
    if body.stream:
        return await stream(running, ask, ResponseStream(response), widget=chosen)
    return response.complete(await whole(running, ask, chosen))


@router.get("/models", response_model=Models)
def list_models(library: LibraryDep) -> Models:
    """List the collections as models."""
    names = {DEFAULT_COLLECTION, *(name for name, _, _ in library.catalog.collections())}
    return Models(data=[_describe(name, name, library) for name in sorted(names)])


@router.get("/models/{model}", response_model=Model)
def get_model(model: str, library: LibraryDep) -> Model:
    """Give a collection as a model."""
    return _describe(model, _choose(model, library), library)


def _choose(model: str, library: Library, widget: Widget | None = None) -> str:
    """Give the collection that a model's name means; a collection outweighs the alias.

    Asked by a widget, the alias means the widget's own.
    """
    if widget is not None:
        return choose_collection(widget, None if model == ALIAS else model)
    if model == ALIAS and not library.catalog.has_collection(model):
        return DEFAULT_COLLECTION
    return find_collection(model, library)


def _describe(model: str, collection: str, library: Library) -> Model:
    days = [datetime.fromisoformat(r.created_at) for r in library.documents(collection)]
    return Model(id=model, created=int(min(days).timestamp()) if days else 0)
