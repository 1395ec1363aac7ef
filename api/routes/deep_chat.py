"""For the deep-chat web component: `POST /v1/deep-chat`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.deps import BaseDep, RunningDep, WidgetDep, choose_collection
from api.events import MEDIA_TYPE
from api.formats.deep_chat import DeepChatRequest, DeepChatRoute, DeepChatStream, reply
from api.routes.answering import accepts_stream, stream, whole

router = APIRouter(prefix="/v1", tags=["deep-chat"], route_class=DeepChatRoute)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the request's address and headers say; the component accepts events to ask for them."""

    collection: str | None
    stream: bool


def get_asked(request: Request, collection: str | None = None, *, stream: bool = False) -> Asked:
    """Read the address and the headers."""
    return Asked(collection, stream or accepts_stream(request))


AskedDep = Annotated[Asked, Depends(get_asked)]


@router.post("/deep-chat", responses={200: {"content": {MEDIA_TYPE: {}}}})
async def deep_chat(
    body: DeepChatRequest,
    asked: AskedDep,
    running: RunningDep,
    base: BaseDep,
    chosen: WidgetDep,
) -> Any:
    """Answer the last message of the user, as a stream where the component asks for one."""
    ask = body.to_ask(choose_collection(chosen, asked.collection or body.collection))
    if asked.stream or body.stream:
        return await stream(running, ask, DeepChatStream(base), widget=chosen)
    return reply(await whole(running, ask, chosen), base)
