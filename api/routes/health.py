"""Whether the process is alive, and whether a question would be answered at once."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response

from api.deps import RunningDep
from api.schemas import HealthResponse, ReadyResponse
from api.version import VERSION

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=HealthResponse)
async def healthz() -> HealthResponse:
    """Say that the process is alive."""
    return HealthResponse(status="ok", version=VERSION)


@router.get("/readyz", response_model=ReadyResponse, responses={503: {"model": ReadyResponse}})
async def readyz(running: RunningDep, response: Response) -> ReadyResponse:
    """Say whether the models are loaded; 503 and what is waited for until then."""
    waiting = running.waiting
    if waiting:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        response.headers["Retry-After"] = "2"
    return ReadyResponse(
        status="loading" if waiting else "ready",
        version=VERSION,
        waiting=waiting,
        runtime=running.service.reader.runtime,
    )
