"""Feedback: judge an answer, list what was judged, take it along as a question set."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from api.deps import LibraryDep, RunningDep, WidgetDep
from api.feedback import AnswerNotFoundError, FeedbackStore, Given, Rating, write_questions
from api.schemas import FeedbackRequest, FeedbackResponse, Problem

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}
JSON_LINES = "application/x-ndjson"


def get_feedback(request: Request) -> FeedbackStore:
    """Give the data folder's feedback."""
    return cast("FeedbackStore", request.app.state.feedback)


StoreDep = Annotated[FeedbackStore, Depends(get_feedback)]


@router.post("", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOUND)
def judge(
    body: FeedbackRequest,
    running: RunningDep,
    store: StoreDep,
    chosen: WidgetDep,
    widget: Annotated[str | None, Query(description="The widget that asked.")] = None,
) -> None:
    """Say what you think of an answer; it is kept with the answer, its citations and its model.

    A widget can judge what it was answered, and nothing else.
    """
    del widget  # the middleware has read it; here it is for the schema
    given: Given = running.recent.get(body.answer_id) or store.get(body.answer_id).given
    if chosen is not None and given.widget != chosen.id:
        raise AnswerNotFoundError(f"This widget was given no answer {body.answer_id[:60]!r}.")
    store.save(given, body.rating, body.comment.strip())


@router.get("", response_model=FeedbackResponse)
def list_feedback(
    store: StoreDep,
    collection: str | None = None,
    rating: Rating | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> FeedbackResponse:
    """List judged answers, the newest first."""
    return FeedbackResponse.of(
        store.find(collection=collection, rating=rating, limit=limit, offset=offset),
        total=store.count(collection=collection, rating=rating),
    )


@router.get(
    "/questions",
    response_class=StreamingResponse,
    responses={200: {"content": {JSON_LINES: {}}}},
)
def export_questions(
    store: StoreDep, library: LibraryDep, collection: str | None = None
) -> StreamingResponse:
    """Give judged answers as a question set, a JSON object a line, for `footnote evaluate`."""
    lines = write_questions(store, library, collection)
    headers = {"Content-Disposition": 'attachment; filename="feedback.jsonl"'}
    return StreamingResponse(lines, media_type=JSON_LINES, headers=headers)


@router.delete("/{answer_id}", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOUND)
def delete_feedback(answer_id: str, store: StoreDep) -> None:
    """Forget a judgement, and the answer with it."""
    store.delete(answer_id)
