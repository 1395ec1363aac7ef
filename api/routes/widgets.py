"""Widgets: create, list, revoke; and how one looks, for the pages that show it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request

from api.schemas import LooksBody, Problem, WidgetBody, WidgetRequest, WidgetsResponse
from api.widgets import WidgetStore, write_snippet

router = APIRouter(prefix="/v1/widgets", tags=["widgets"])
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}


def get_widgets(request: Request) -> WidgetStore:
    """Give the data folder's widgets."""
    return cast("WidgetStore", request.app.state.widgets)


WidgetsDep = Annotated[WidgetStore, Depends(get_widgets)]


@router.get("", response_model=WidgetsResponse)
def list_widgets(request: Request, widgets: WidgetsDep) -> WidgetsResponse:
    """List the widgets, each with the line that puts it into a page."""
    address = str(request.base_url).rstrip("/")
    return WidgetsResponse(
        widgets=[WidgetBody.of(w, write_snippet(w, address)) for w in widgets.list()]
    )


@router.post(
    "",
    response_model=WidgetBody,
    status_code=HTTPStatus.CREATED,
    responses={422: {"model": Problem}},
)
def create_widget(body: WidgetRequest, request: Request, widgets: WidgetsDep) -> WidgetBody:
    """Create a widget for pages of the origins given."""
    widget = widgets.create(
        collection=body.collection,
        origins=tuple(body.origins),
        per_minute=body.per_minute,
        looks=body.looks.to_looks(),
    )
    return WidgetBody.of(widget, write_snippet(widget, str(request.base_url).rstrip("/")))


@router.get("/{widget_id}", response_model=LooksBody, responses=NOT_FOUND)
def get_looks(widget_id: str, widgets: WidgetsDep) -> LooksBody:
    """Say how a widget looks; this is all that its pages learn of it."""
    return LooksBody.of(widgets.get(widget_id).looks)


@router.delete("/{widget_id}", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOUND)
def revoke_widget(widget_id: str, widgets: WidgetsDep) -> None:
    """Revoke a widget; its pages can ask nothing from then on."""
    widgets.revoke(widget_id)
