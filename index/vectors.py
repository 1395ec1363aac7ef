"""The vector index: the only importer of chromadb. It can always be rebuilt from the catalog.

Chroma rewrites its HNSW files in place, so a process killed at the wrong moment leaves a folder
that may not open, or may crash who opens it. A marker file says whether the last owner closed it;
where it did not, a child process tries the folder first, and a bad one is thrown away whole.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import StorageError, StorageFullError
from index.types import Vectors

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

BATCH = 200
"""Rows of one write: 5,000 would block every query for seconds."""
PROBE_SECONDS = 120.0


class VectorIndex:
    """Chroma in one folder, embedded in this process; one owner at a time.

    Opening it may throw a broken store away: compare `ids` with the catalog afterwards.
    Distances become cosine similarities here and nowhere else.
    """

    def __init__(self, folder: Path) -> None:
        self._store = folder / "store"
        self._marker = folder / "open"
        folder.mkdir(parents=True, exist_ok=True)
        if self._marker.exists() and not survives_probe(self._store):
            shutil.rmtree(self._store, ignore_errors=True)
        self._marker.touch()
        self._client = _open(self._store)
        self._collections: dict[str, Collection] = {}

    def close(self) -> None:
        """Release the folder and remember that it was left in order."""
        self._client.close()
        self._marker.unlink(missing_ok=True)

    def upsert(self, collection: str, ids: Sequence[str], vectors: Vectors) -> None:
        """Write vectors of shape (len(ids), dimension), a batch at a time."""
        target = self._collection(collection)
        for start in range(0, len(ids), BATCH):
            rows = slice(start, start + BATCH)
            with _translated():
                target.upsert(ids=list(ids[rows]), embeddings=vectors[rows])

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete rows; ids that are not there are passed over."""
        target = self._collection(collection)
        for start in range(0, len(ids), BATCH):
            with _translated():
                target.delete(ids=list(ids[start : start + BATCH]))

    def query(self, collection: str, vector: Vectors, *, limit: int) -> list[tuple[str, float]]:
        """Give (id, cosine similarity) of the nearest rows, nearest first."""
        with _translated():
            found = self._collection(collection).query(
                query_embeddings=vector.reshape(1, -1), n_results=limit, include=["distances"]
            )
        distances = (found["distances"] or [[]])[0]
        return [(id_, 1.0 - d) for id_, d in zip(found["ids"][0], distances, strict=True)]

    def ids(self, collection: str) -> set[str]:
        """List every id of a collection."""
        with _translated():
            return set(self._collection(collection).get(include=[])["ids"])

    def _collection(self, name: str) -> Collection:
        if name not in self._collections:
            with _translated():
                self._collections[name] = self._client.get_or_create_collection(
                    _chroma_name(name),
                    embedding_function=None,
                    configuration={"hnsw": {"space": "cosine"}},
                )
        return self._collections[name]


def survives_probe(store: Path) -> bool:
    """Open a store and read all of it in a child process; a crash there costs nothing here."""
    if not store.exists():
        return True
    command = [sys.executable, "-m", "index.probe", str(store)]
    root = str(Path(__file__).parent.parent)
    try:
        done = subprocess.run(  # noqa: S603  our own interpreter and module
            command, cwd=root, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def open_client(store: Path) -> Any:
    """Open Chroma on a folder, with its telemetry off."""
    import chromadb  # noqa: PLC0415  a second, and the command line must start at once
    from chromadb.config import Settings  # noqa: PLC0415

    return chromadb.PersistentClient(str(store), settings=Settings(anonymized_telemetry=False))


def _open(store: Path) -> Any:
    with _translated():
        return open_client(store)


def _chroma_name(collection: str) -> str:
    # Chroma's names are short and ASCII; ours need not be.
    return "c-" + hashlib.sha256(collection.encode()).hexdigest()[:40]


@contextmanager
def _translated() -> Iterator[None]:
    from chromadb.errors import ChromaError  # noqa: PLC0415

    try:
        yield
    except ChromaError as error:
        text = str(error)
        if "full" in text or "No space" in text or "os error 28" in text:
            raise StorageFullError(
                f"There is no room left for the vector index ({text})."
            ) from error
        raise StorageError(
            f"The vector index failed: {text}.",
            fix="Start Footnote again: it rebuilds the vector index from the catalog.",
        ) from error
