"""One table: exception -> status and problem type (RFC 9457). Routes catch nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api import feedback, widgets
from api.schemas import Problem
from index import errors as index_errors
from index.errors import FootnoteError
from qa import errors as qa_errors

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:footnote:problem:"
RETRY_AFTER_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """The status of an error, its short name, and a title that never changes."""

    status: HTTPStatus
    name: str
    title: str


TABLE: dict[type[FootnoteError], Row] = {
    index_errors.BadInputError: Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "bad-input", "What was sent cannot be used"
    ),
    index_errors.EmptyDocumentError: Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "empty-document", "The document is empty"
    ),
    index_errors.DocumentTooLargeError: Row(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "document-too-large", "The document is too large"
    ),
    index_errors.UndecodableTextError: Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "undecodable-text", "The document is not valid text"
    ),
    index_errors.UnsupportedFormatError: Row(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-format", "The format cannot be read"
    ),
    index_errors.InvalidNameError: Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-name", "The name cannot be used"
    ),
    index_errors.NotFoundError: Row(HTTPStatus.NOT_FOUND, "not-found", "There is no such thing"),
    index_errors.DocumentNotFoundError: Row(
        HTTPStatus.NOT_FOUND, "document-not-found", "There is no such document"
    ),
    index_errors.CollectionNotFoundError: Row(
        HTTPStatus.NOT_FOUND, "collection-not-found", "There is no such collection"
    ),
    index_errors.StorageFullError: Row(
        HTTPStatus.INSUFFICIENT_STORAGE, "storage-full", "The disk is full"
    ),
    index_errors.LibraryInUseError: Row(
        HTTPStatus.CONFLICT, "library-in-use", "Another process owns the data folder"
    ),
    index_errors.CatalogUnreadableError: Row(
        HTTPStatus.INTERNAL_SERVER_ERROR, "catalog-unreadable", "The catalog cannot be read"
    ),
    index_errors.EmbedderMismatchError: Row(
        HTTPStatus.CONFLICT, "embedder-mismatch", "The collection has another embedding model"
    ),
    index_errors.StorageError: Row(
        HTTPStatus.INTERNAL_SERVER_ERROR, "storage-failed", "The data folder failed"
    ),
    qa_errors.EmptyQuestionError: Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "empty-question", "The question is empty"
    ),
    qa_errors.QuestionTooLongError: Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "question-too-long", "The question is too long"
    ),
    qa_errors.ModelError: Row(
        HTTPStatus.SERVICE_UNAVAILABLE, "model-failed", "No answer can be made now"
    ),
    qa_errors.WeightsUnavailableError: Row(
        HTTPStatus.SERVICE_UNAVAILABLE, "weights-unavailable", "The model's files are not here"
    ),
    qa_errors.DigestMismatchError: Row(
        HTTPStatus.SERVICE_UNAVAILABLE, "digest-mismatch", "A model's file is not the right one"
    ),
    qa_errors.ModelSettingError: Row(
        HTTPStatus.INTERNAL_SERVER_ERROR, "model-setting", "The model setting names nothing"
    ),
    qa_errors.ModelUnavailableError: Row(
        HTTPStatus.SERVICE_UNAVAILABLE, "model-unavailable", "The language model did not answer"
    ),
    qa_errors.ModelBusyError: Row(
        HTTPStatus.SERVICE_UNAVAILABLE, "model-busy", "Too many questions are waiting"
    ),
    feedback.AnswerNotFoundError: Row(
        HTTPStatus.NOT_FOUND, "answer-not-found", "There is no such answer"
    ),
    widgets.WidgetNotFoundError: Row(
        HTTPStatus.NOT_FOUND, "widget-not-found", "There is no such widget"
    ),
    widgets.OriginNotAllowedError: Row(
        HTTPStatus.FORBIDDEN, "origin-not-allowed", "Pages of this origin may not do this"
    ),
    widgets.WidgetMayOnlyAskError: Row(
        HTTPStatus.FORBIDDEN, "widget-may-only-ask", "A widget may only ask"
    ),
    widgets.RateLimitedError: Row(
        HTTPStatus.TOO_MANY_REQUESTS, "rate-limited", "Too many questions in a short time"
    ),
}
"""A class without a row takes its nearest ancestor's."""

Shape: TypeAlias = Callable[[Problem], JSONResponse]
"""How a foreign client is told of a problem; its routes' class has one as `shape`."""

UNKNOWN = Row(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "Something went wrong")


def row_of(error: FootnoteError) -> Row:
    """Find an error's row."""
    return next((TABLE[k] for k in type(error).__mro__ if k in TABLE), UNKNOWN)


def to_problem(error: FootnoteError, instance: str | None = None) -> Problem:
    """Put an error of the tree into its wire form."""
    row = row_of(error)
    return Problem(
        type=TYPE_PREFIX + row.name,
        title=row.title,
        status=int(row.status),
        detail=str(error),
        fix=error.fix,
        instance=instance,
    )


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Send a problem, with `Retry-After` where trying again helps."""
    return JSONResponse(
        problem.model_dump(),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=retry_after(problem) or headers,
    )


def retry_after(problem: Problem) -> dict[str, str]:
    """Give the header that says when to come back, where that helps."""
    busy = problem.status == HTTPStatus.SERVICE_UNAVAILABLE
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if busy else {}


def too_large(instance: str) -> Problem:
    """Give the problem of a body that was not read to its end, because it has too many bytes."""
    message = "The request has more bytes than this server takes."
    return to_problem(index_errors.DocumentTooLargeError(message), instance)


def unexpected(instance: str | None = None) -> Problem:
    """Give the problem of an error outside the tree; what it was stays in the server's log."""
    return Problem(
        type=TYPE_PREFIX + UNKNOWN.name,
        title=UNKNOWN.title,
        status=int(UNKNOWN.status),
        detail="The server met an error that it did not expect; its log says which.",
        fix="Report it with the log's lines.",
        instance=instance,
    )


def install(app: FastAPI) -> None:
    """Let every error of an app leave as a problem."""
    app.add_exception_handler(FootnoteError, _on_footnote)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unknown)


async def _on_footnote(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FootnoteError)  # noqa: S101  registered for this class
    problem = to_problem(error, request.url.path)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s: %s", problem.type, problem.detail)
    return _send(request, problem)


async def _on_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this class
    lines = [
        f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'}: {e['msg']}"
        for e in error.errors()
    ]
    return _send(
        request,
        Problem(
            type=TYPE_PREFIX + "invalid-request",
            title="The request is not of the right form",
            status=int(HTTPStatus.UNPROCESSABLE_ENTITY),
            detail="; ".join(lines),
            fix="Compare the body with the schema at /docs.",
            instance=request.url.path,
        ),
    )


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this class
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _send(request, too_large(request.url.path))
    fixes = {
        HTTPStatus.NOT_FOUND: "See /docs for the paths that there are.",
        HTTPStatus.METHOD_NOT_ALLOWED: "See /docs for the methods that this path takes.",
    }
    return _send(
        request,
        Problem(
            type=TYPE_PREFIX + status.phrase.lower().replace(" ", "-"),
            title=status.phrase,
            status=int(status),
            detail=str(error.detail),
            fix=fixes.get(status, "See /docs."),
            instance=request.url.path,
        ),
        error.headers,  # a 405 says which methods are allowed
    )


async def _on_unknown(request: Request, error: Exception) -> JSONResponse:
    logger.error("unexpected error in %s %s", request.method, request.url.path, exc_info=error)
    return _send(request, unexpected(request.url.path))


def _send(
    request: Request, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Send a problem as the route's clients understand it."""
    shape: Shape | None = getattr(request.scope.get("route"), "shape", None)
    return respond(problem, headers) if shape is None else shape(problem)
