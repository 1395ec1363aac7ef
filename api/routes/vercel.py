"""For the Vercel AI SDK's `useChat`: `POST /api/chat`, the path that it asks by default."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response

from api.deps import BaseDep, RunningDep, WidgetDep, choose_collection
from api.events import MEDIA_TYPE
from api.formats.vercel import HEADERS, ChatRequest, UIMessageStream
from api.routes.answering import stream

router = APIRouter(prefix="/api/chat", tags=["Vercel AI SDK"])


@router.post("", responses={200: {"content": {MEDIA_TYPE: {}}}})
async def chat(
    body: ChatRequest,
    running: RunningDep,
    base: BaseDep,
    chosen: WidgetDep,
    collection: str | None = None,
) -> Any:
    """Answer the last message of the user as a UI message stream."""
    ask = body.to_ask(choose_collection(chosen, collection or body.collection))
    return await stream(running, ask, UIMessageStream(base), widget=chosen, headers=HEADERS)


@router.get("/{chat_id}/stream", status_code=HTTPStatus.NO_CONTENT, response_class=Response)
def resume_chat(chat_id: str) -> None:
    """Say that there is no stream to take up again, as `useChat` asks with `resume`."""
    del chat_id
