"""A data folder, opened: its lock, catalog, vector index and embedder, held together.

Everything above this package reads and writes documents through here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from index.catalog import Catalog
from index.errors import (
    DocumentTooLargeError,
    EmptyDocumentError,
    InvalidNameError,
    LibraryInUseError,
)
from index.ingest import Ingested, Progress, ingest, reconcile, remove
from index.load import build_document
from index.search import search
from index.types import Document, DocumentRecord, Embedder, Hit
from index.vectors import VectorIndex

DEFAULT_COLLECTION = "default"
MAX_DOCUMENT_BYTES = 50_000_000
COLLECTION_NAME = re.compile(r"[\w][\w .-]{0,99}")
MAX_SOURCE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in: `source` is its stable name in the collection."""

    data: bytes
    name: str
    collection: str = DEFAULT_COLLECTION
    source: str | None = None
    title: str | None = None


class Library:
    """The owner of a data folder. Safe to use from several threads; one ingest runs at a time.

    Opening takes the folder's exclusive lock and brings the vector index in line with the
    catalog. Raises `LibraryInUseError`, which names the address of the server that has it.
    """

    def __init__(
        self, home: Path, embedder: Embedder, *, max_document_bytes: int = MAX_DOCUMENT_BYTES
    ) -> None:
        self.home = home
        self.embedder = embedder
        self.max_document_bytes = max_document_bytes
        home.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(home / "owner.lock", thread_local=False)  # any thread may close it
        self._ingesting = threading.Lock()
        self._versions: dict[str, tuple[int, str]] = {}
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise _in_use(home) from error
        with ExitStack() as undo:  # whatever fails, the next process must find the folder free
            undo.callback(self._lock.release)
            self.catalog = Catalog(home / "catalog.sqlite3")
            undo.callback(self.catalog.close)
            self.vectors = VectorIndex(home / "vectors")
            undo.callback(self.vectors.close)
            self.repaired = reconcile(catalog=self.catalog, vectors=self.vectors)
            undo.pop_all()

    def close(self) -> None:
        """Release everything; the folder can be opened again at once."""
        withdraw_address(self.home)
        self.vectors.close()
        self.catalog.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ingest(
        self, upload: Upload, *, progress: Progress = lambda _done, _total: None
    ) -> Ingested:
        """Load, chunk, embed and publish one file. Raises what `read` and `add` raise."""
        return self.add(self.read(upload), progress=progress)

    def read(self, upload: Upload) -> Document:
        """Give an upload's document; nothing is stored yet.

        Raises `InvalidNameError`, `DocumentTooLargeError`, and what `load` raises.
        """
        check_collection(upload.collection)
        self.check_size(len(upload.data), upload.name)
        source = upload.source or upload.name
        if not source or len(source) > MAX_SOURCE_CHARACTERS or not source.isprintable():
            raise InvalidNameError(
                "A document's source is 1 to 1000 printable characters.",
                fix="Send a shorter `source`, or a file name.",
            )
        return build_document(
            upload.data,
            name=upload.name,
            collection=upload.collection,
            source=source,
            title=upload.title,
        )

    def add(
        self, document: Document, *, progress: Progress = lambda _done, _total: None
    ) -> Ingested:
        """Chunk, embed and publish a document that was read. Raises what `ingest` raises."""
        with self._ingesting:
            return ingest(
                document,
                catalog=self.catalog,
                vectors=self.vectors,
                embedder=self.embedder,
                progress=progress,
            )

    def check_size(self, size: int, name: str) -> None:
        """Raise for a file of no bytes, or of too many to be read into memory."""
        if size == 0:
            raise EmptyDocumentError(f"{name} has 0 bytes.")
        if size > self.max_document_bytes:
            raise DocumentTooLargeError(
                f"{name} has {size:,} bytes; the limit is {self.max_document_bytes:,}."
            )

    def search(
        self,
        query: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        limit: int = 8,
        beside: Sequence[str] = (),
    ) -> list[Hit]:
        """Give the best passages for a query; `beside` are other wordings of it, looked up too.

        Raises `CollectionNotFoundError`, `EmbedderMismatchError`.

        The default collection always exists; before its first document it finds nothing.
        """
        if collection == DEFAULT_COLLECTION and not self.catalog.has_collection(collection):
            return []
        return search(
            query,
            collection=collection,
            limit=limit,
            catalog=self.catalog,
            vectors=self.vectors,
            embedder=self.embedder,
            beside=beside,
        )

    def documents(self, collection: str | None = None) -> list[DocumentRecord]:
        """List the live documents, by title. Raises `CollectionNotFoundError`."""
        if collection == DEFAULT_COLLECTION and not self.catalog.has_collection(collection):
            return []
        return self.catalog.records(collection)

    def document(self, document_id: str) -> Document:
        """Give a live document with its text. Raises `DocumentNotFoundError`."""
        return self.catalog.document(document_id)

    def version(self, collection: str) -> str:
        """Name what a collection holds: the same documents, read the same way, the same name.

        Sixteen hex digits of a SHA-256 over its documents' ids, contents and recipes.
        """
        changes = self.catalog.changes
        known = self._versions.get(collection)
        if known is None or known[0] != changes:
            live = json.dumps(self.catalog.live_hashes(collection))
            known = changes, hashlib.sha256(live.encode()).hexdigest()[:16]
            self._versions[collection] = known
        return known[1]

    def delete(self, document_id: str) -> None:
        """Delete a document. Raises `DocumentNotFoundError`."""
        with self._ingesting:
            remove(document_id, catalog=self.catalog, vectors=self.vectors)


def check_collection(name: str) -> None:
    """Raise `InvalidNameError` for what cannot be a collection's name."""
    if not COLLECTION_NAME.fullmatch(name):
        raise InvalidNameError(
            f"{name[:120]!r} cannot be a collection's name.",
            fix="Use 1 to 100 letters, digits, spaces, dots, dashes or underscores.",
        )


def announce_address(home: Path, address: str) -> None:
    """Write down where the folder's server listens, for `read_address`."""
    draft = home / "server.json.new"
    draft.write_text(json.dumps({"address": address, "pid": os.getpid()}))
    draft.replace(home / "server.json")


def withdraw_address(home: Path) -> None:
    """Take the server's address back."""
    (home / "server.json").unlink(missing_ok=True)


def read_address(home: Path) -> str | None:
    """Give the address that the folder's owner announced; it may be dead since."""
    try:
        return str(json.loads((home / "server.json").read_text())["address"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _in_use(home: Path) -> LibraryInUseError:
    address = read_address(home)
    where = f" It is the server at {address}." if address else ""
    return LibraryInUseError(
        f"Another process is using the data folder {home}.{where}",
        fix="Ask that server, stop it, or set FOOTNOTE_HOME to another folder.",
    )
