"""For the deep-chat web component: `POST /v1/deep-chat`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.deps import BaseDep, RunningDep
from api.events import MEDIA_TYPE
from api.formats.deep_chat import DeepChatRequest, DeepChatRoute, DeepChatStream, reply
from api.routes.answering import accepts_stream, stream, whole

router = APIRouter(prefix="/v1", tags=["deep-chat"], route_class=DeepChatRoute)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the request's address and headers say; the component accepts events to ask for them."""

    collection: str | None
    stream: bool


def get_chosen(request: Request, collection: str | None = None, *, stream: bool = False) -> Chosen:
    """Read the address and the headers."""
    return Chosen(collection, stream or accepts_stream(request))


ChosenDep = Annotated[Chosen, Depends(get_chosen)]


@router.post("/deep-chat", responses={200: {"content": {MEDIA_TYPE: {}}}})
async def deep_chat(
    body: DeepChatRequest, chosen: ChosenDep, running: RunningDep, base: BaseDep
) -> Any:
    """Answer the last message of the user, as a stream where the component asks for one."""
    ask = body.to_ask(chosen.collection)
    if chosen.stream or body.stream:
        return await stream(running, ask, DeepChatStream(base))
    return reply(await whole(running, ask), base)
