"""Questions: `POST /v1/ask`, as JSON or as a stream, and `POST /v1/search`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from api.deps import RunningDep, WidgetDep, choose_collection
from api.events import MEDIA_TYPE
from api.routes.answering import accepts_stream, stream, whole
from api.schemas import (
    AnswerResponse,
    AskRequest,
    PassageBody,
    Problem,
    SearchRequest,
    SearchResponse,
)
from index.library import check_collection
from qa.chain import check_length

router = APIRouter(prefix="/v1", tags=["questions"])
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        404: "There is no such collection",
        422: "The question is empty, too long, or not of the right form",
        503: "The model is busy or not there; try again",
    }.items()
}


@router.post(
    "/ask",
    response_model=AnswerResponse,
    responses={
        **PROBLEMS,
        200: {
            "description": "JSON, or server-sent events where `stream` is true or accepted: "
            "start, token, citation, then end, refused or error",
            "content": {MEDIA_TYPE: {}},
        },
    },
)
async def ask(
    body: AskRequest,
    request: Request,
    running: RunningDep,
    chosen: WidgetDep,
    widget: Annotated[str | None, Query(description="The public id that asks.")] = None,
) -> Any:
    """Answer a question with verified citations, or refuse with a reason and nearest passages."""
    del widget  # the middleware has read it; here it is for the schema
    asked = body.collection if "collection" in body.model_fields_set else None
    question = body.to_ask(choose_collection(chosen, asked))
    if body.stream or accepts_stream(request):
        return await stream(running, question, widget=chosen)
    return AnswerResponse.of(await whole(running, question, chosen))


@router.post("/search", response_model=SearchResponse, responses=PROBLEMS)
async def search(body: SearchRequest, running: RunningDep) -> SearchResponse:
    """Give the best passages for a query, without a language model."""
    check_collection(body.collection)
    service = running.service
    query = check_length(body.query, service.settings.max_question_characters)
    loop = asyncio.get_running_loop()
    hits = await loop.run_in_executor(
        service.searching,
        lambda: service.library.search(query, collection=body.collection, limit=body.limit),
    )
    return SearchResponse(query=query, passages=[PassageBody.of(hit) for hit in hits])
