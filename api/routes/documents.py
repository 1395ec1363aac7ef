"""Documents: list, add or replace, read, delete."""

from __future__ import annotations

import asyncio
import hashlib
import json
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from api.deps import LibraryDep, RunningDep
from api.events import MEDIA_TYPE
from api.routes.answering import accepts_stream
from api.routes.ingesting import stream, whole
from api.schemas import (
    DocumentBody,
    DocumentRequest,
    DocumentsResponse,
    IngestedResponse,
    Problem,
)
from index.errors import BadInputError, UnsupportedFormatError
from index.library import DEFAULT_COLLECTION, Library, Upload

router = APIRouter(prefix="/v1/documents", tags=["documents"])
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}
UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "collection": {"type": "string", "default": DEFAULT_COLLECTION},
                        "title": {"type": "string"},
                        "source": {"type": "string"},
                    },
                }
            },
            "application/json": {"schema": DocumentRequest.model_json_schema()},
        },
    }
}


@router.get("", response_model=DocumentsResponse, responses=NOT_FOUND)
def list_documents(library: LibraryDep, collection: str | None = None) -> DocumentsResponse:
    """List the documents, of one collection or of all."""
    records = library.documents(collection)
    return DocumentsResponse(documents=[DocumentBody.of(record) for record in records])


@router.post(
    "",
    response_model=IngestedResponse,
    status_code=HTTPStatus.CREATED,
    openapi_extra=UPLOAD_BODY,
    responses={
        200: {
            "model": IngestedResponse,
            "description": "The source was here already; or, where they are accepted, "
            "server-sent events: progress, then end or error",
            "content": {MEDIA_TYPE: {}},
        },
        413: {"model": Problem},
        415: {"model": Problem},
        422: {"model": Problem},
        507: {"model": Problem},
    },
)
async def add_document(request: Request, response: Response, running: RunningDep) -> Any:
    """Add a document, or replace the one of the same source; when this answers, it is searchable.

    Takes a file (`multipart/form-data`) or text (`application/json`). What cannot be used is
    refused before it waits for other uploads; from then on it is ingested to its end, whether the
    client stays or not.
    """
    library = running.service.library
    upload = await read_upload(request, library)
    loop = asyncio.get_running_loop()
    document = await loop.run_in_executor(running.reading, library.read, upload)
    if accepts_stream(request):
        return stream(running, document)
    ingested = await whole(running, document)
    if ingested.outcome != "created":
        response.status_code = HTTPStatus.OK
    return IngestedResponse.of(ingested)


@router.get("/{document_id}", response_model=DocumentBody, responses=NOT_FOUND)
def get_document(document_id: str, library: LibraryDep) -> DocumentBody:
    """Give what is known of a document."""
    return DocumentBody.of(library.catalog.record(document_id))


@router.get("/{document_id}/text", response_class=PlainTextResponse, responses=NOT_FOUND)
def get_text(document_id: str, library: LibraryDep) -> Response:
    """Give the document's text, which every offset counts in."""
    text = library.document(document_id).text
    # No browser may take a document for a page or a script, whatever stands in it.
    headers = {"X-Content-Type-Options": "nosniff"}
    return Response(text.encode(), media_type="text/plain; charset=utf-8", headers=headers)


@router.delete("/{document_id}", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOUND)
async def delete_document(document_id: str, running: RunningDep) -> None:
    """Delete a document; no answer stands on it from then on."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(running.ingesting, running.service.library.delete, document_id)


def name_source(text: str) -> str:
    """Name a text that came without a source by its content, so that no other one replaces it."""
    return "text-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


async def read_upload(request: Request, library: Library) -> Upload:
    """Read a file from a form, or text from JSON. Raises `BadInputError` and validation errors."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=10) as form:
            return await _read_form(form, library)
    if kind == "application/json":
        return _read_json(await request.body())
    raise UnsupportedFormatError(
        f"A document cannot be sent as {kind or 'a body without a content type'}.",
        fix="Send multipart/form-data with a `file`, or application/json with `text`.",
    )


async def _read_form(form: FormData, library: Library) -> Upload:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise BadInputError(
            "The form has no file.", fix="Send the document as the form's field `file`."
        )
    name = (file.filename or "").replace("\\", "/").rsplit("/", 1)[-1] or "document.txt"
    library.check_size(file.size or 0, name)
    return Upload(
        data=await file.read(),
        name=name,
        collection=_field(form, "collection") or DEFAULT_COLLECTION,
        source=_field(form, "source"),
        title=_field(form, "title"),
    )


def _field(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _read_json(body: bytes) -> Upload:
    try:
        sent = DocumentRequest.model_validate(json.loads(body))
    except ValidationError as error:
        details = [{**e, "loc": ("body", *e["loc"])} for e in error.errors()]
        raise RequestValidationError(details) from error
    except (ValueError, RecursionError) as error:
        raise RequestValidationError(
            [{"loc": ("body",), "msg": f"not JSON ({error})", "type": "json_invalid"}]
        ) from error
    suffix = ".md" if sent.markdown else ".txt"
    name = f"{sent.title or 'document'}{suffix}"
    return Upload(
        data=sent.text.encode("utf-8", "surrogatepass"),
        name=name,
        collection=sent.collection,
        source=sent.source or name_source(sent.text),
        title=sent.title,
    )
