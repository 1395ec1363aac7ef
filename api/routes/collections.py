"""Collections: `GET /v1/collections`."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import LibraryDep
from api.schemas import CollectionBody, CollectionsResponse
from index.library import DEFAULT_COLLECTION

router = APIRouter(prefix="/v1/collections", tags=["documents"])


@router.get("", response_model=CollectionsResponse)
def list_collections(library: LibraryDep) -> CollectionsResponse:
    """List the collections, by name, with how much each holds."""
    sizes = {DEFAULT_COLLECTION: (0, 0)}
    sizes |= {name: (documents, passages) for name, documents, passages in library.catalog.sizes()}
    return CollectionsResponse(
        collections=[
            CollectionBody(name=name, documents=documents, passages=passages)
            for name, (documents, passages) in sorted(sizes.items())
        ]
    )
