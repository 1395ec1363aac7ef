"""load -> chunk -> embed -> stage -> publish: resumable, idempotent, with progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from index.catalog import Catalog, Outline, outline
from index.chunk import CHUNKER_VERSION, PASSAGE_CHARACTERS, chunk
from index.types import Document, DocumentRecord, Embedded, Embedder, Passage
from index.vectors import VectorIndex

BATCH = 128
"""Passages embedded and staged in one step: what a killed ingest can lose."""

Progress = Callable[[int, int], None]
"""Called with (passages done, passages in all)."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one document."""

    record: DocumentRecord
    outcome: Literal["created", "replaced", "unchanged"]


def ingest(  # noqa: PLR0913  the collaborators, by name, are half of them
    document: Document,
    *,
    catalog: Catalog,
    vectors: VectorIndex,
    embedder: Embedder,
    size: int = PASSAGE_CHARACTERS,
    progress: Progress = lambda _done, _total: None,
) -> Ingested:
    """Make a document searchable; when this returns, it is on disk and live.

    The same content again writes nothing. A new version is searchable as a whole or not at all,
    and the old one until then. Raises `EmbedderMismatchError`, `StorageFullError`, `StorageError`.
    """
    recipe = f"chunker {CHUNKER_VERSION}, size {size}, {embedder.name}"
    if catalog.is_live(document, recipe):
        return Ingested(catalog.record(document.id), "unchanged")
    catalog.ensure_collection(
        document.collection, embedder=embedder.name, dimension=embedder.dimension
    )
    passages = chunk(document, size=size)
    version = catalog.stage(document, recipe)
    staged = catalog.staged(version)
    known = catalog.reusable(document, recipe)
    missing = [p for p in passages if p.id not in staged]
    progress(len(passages) - len(missing), len(passages))
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        catalog.add_passages(version, batch, _embed(batch, known, embedder))
        progress(len(passages) - len(missing) + start + len(batch), len(passages))
    _index(document.collection, version, catalog, vectors)
    replaced = catalog.publish(version)
    vectors.delete(document.collection, [i for i in replaced if i not in {p.id for p in passages}])
    return Ingested(catalog.record(document.id), "replaced" if replaced else "created")


def remove(document_id: str, *, catalog: Catalog, vectors: VectorIndex) -> None:
    """Delete a document: from the catalog first, which is what search believes."""
    collection, gone = catalog.delete(document_id)
    vectors.delete(collection, gone)


def reconcile(*, catalog: Catalog, vectors: VectorIndex) -> int:
    """Bring the vector index in line with the catalog; give how many rows were put right.

    Nothing is embedded again: the catalog holds the vectors.
    """
    changed = 0
    for collection, _, _ in catalog.collections():
        live, indexed = catalog.live_ids(collection), vectors.ids(collection)
        stray = sorted(indexed - live)
        vectors.delete(collection, stray)
        missing = live - indexed
        for ids, rows in catalog.vectors(collection, missing, batch=BATCH):
            vectors.upsert(collection, ids, rows)
        changed += len(stray) + len(missing)
    return changed


def _embed(
    passages: list[Passage], known: dict[Outline, Embedded], embedder: Embedder
) -> list[Embedded]:
    fresh = [p for p in passages if outline(p) not in known]
    made = dict(zip(map(outline, fresh), embedder.embed_passages(fresh), strict=True))
    return [known.get(outline(p)) or made[outline(p)] for p in passages]


def _index(collection: str, version: int, catalog: Catalog, vectors: VectorIndex) -> None:
    for ids, rows in catalog.staged_vectors(version, batch=BATCH):
        vectors.upsert(collection, ids, np.asarray(rows))
