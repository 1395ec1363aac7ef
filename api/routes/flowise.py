"""For Flowise's embedded chat: `POST /api/v1/prediction/{id}`, and what it asks when it starts."""

from __future__ import annotations

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
from api.formats.flowise import FlowiseRoute, PredictionRequest, PredictionStream, reply
from api.routes.answering import stream, whole

router = APIRouter(prefix="/api/v1", tags=["Flowise"], route_class=FlowiseRoute)


@router.post("/prediction/{collection}", responses={200: {"content": {MEDIA_TYPE: {}}}})
async def predict(
    collection: str,
    body: PredictionRequest,
    running: RunningDep,
    base: BaseDep,
    chosen: WidgetDep,
) -> Any:
    """Answer a question from a collection, as a stream where the client asks for one."""
    ask, chat = body.to_ask(choose_collection(chosen, collection)), body.name_chat()
    if body.streaming:
        # As from Flowise, every error of a stream is an event: its client shows no other.
        form = PredictionStream(base, chat)
        return await stream(running, ask, form, widget=chosen, wait=False)
    return reply(await whole(running, ask, chosen), base, chat)


@router.get("/chatflows-streaming/{collection}")
def can_stream(collection: str, library: LibraryDep, chosen: WidgetDep) -> dict[str, bool]:
    """Say that a collection's answers can be streamed."""
    find_collection(choose_collection(chosen, collection), library)
    return {"isStreaming": True}


@router.get("/public-chatbotConfig/{collection}")
def get_chatbot_config(collection: str, library: LibraryDep, chosen: WidgetDep) -> dict[str, Any]:
    """Give the chat's settings: none, so that the page's own hold."""
    find_collection(choose_collection(chosen, collection), library)
    return {}
