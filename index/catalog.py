"""The source of truth: documents, versions, passages, vectors, keyword indexes, in one SQLite file.

Chroma can be lost and is rebuilt from here; nothing else holds state. A document is replaced in
two steps: its new version is staged, invisible, in as many transactions as it takes, and published
by one. What is acknowledged was committed with `synchronous=FULL`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from index.errors import (
    CatalogUnreadableError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    EmbedderMismatchError,
    StorageError,
    StorageFullError,
)
from index.schema import SCHEMA_VERSION, UPGRADES, create_words, words_table
from index.tokens import space_out
from index.types import Document, DocumentRecord, Embedded, Passage, Section, Span, Vectors

Outline: TypeAlias = tuple[str, tuple[tuple[int, int], ...]]
FULL_MESSAGES = ("database or disk is full", "disk I/O error")


class Catalog:
    """The catalog in one file; create, open and use it from any thread of one process.

    Every thread reads over its own connection; writers take turns. `changes` counts how often what
    is live was changed since it was opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: dict[threading.Thread, sqlite3.Connection] = {}
        self._connecting = threading.Lock()
        self._writing = threading.RLock()
        self.changes = 0
        try:
            self._migrate()
        except sqlite3.DatabaseError as error:
            self.close()
            raise CatalogUnreadableError(
                f"{path} cannot be read: {error}.",
                fix="Restore it from a backup, or move it away and ingest the documents again.",
            ) from error
        except BaseException:  # whatever it was, no connection may stay open
            self.close()
            raise

    def close(self) -> None:
        """Close every thread's connection; the write-ahead log is folded in."""
        with self._connecting:
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    # Collections

    def ensure_collection(self, name: str, *, embedder: str, dimension: int) -> None:
        """Create a collection, or check that its vectors came from this embedder.

        Raises `EmbedderMismatchError`.
        """
        with self._transaction() as db:
            db.execute(
                "INSERT INTO collections(name, embedder, dimension, created_at) "
                "VALUES (?, ?, ?, ?) ON CONFLICT(name) DO NOTHING",
                (name, embedder, dimension, _now()),
            )
            number, known = db.execute(
                "SELECT number, embedder FROM collections WHERE name = ?", (name,)
            ).fetchone()
            if not db.execute(
                "SELECT 1 FROM sqlite_master WHERE name = ?", (words_table(number),)
            ).fetchone():
                create_words(db, number)
        _check_embedder(name, known, embedder)

    def check_embedder(self, name: str, embedder: str) -> None:
        """Raise `EmbedderMismatchError` where a collection's vectors are not this embedder's."""
        for collection, known, _ in self.collections():
            if collection == name:
                _check_embedder(name, known, embedder)

    def collections(self) -> list[tuple[str, str, int]]:
        """List (name, embedder, dimension) of every collection, by name."""
        return list(
            self._db().execute("SELECT name, embedder, dimension FROM collections ORDER BY name")
        )

    def has_collection(self, name: str) -> bool:
        """Say whether a collection was ever ingested into."""
        return any(name == known for known, _, _ in self.collections())

    def collection_number(self, name: str) -> int:
        """Give a collection's number. Raises `CollectionNotFoundError`."""
        row = (
            self._db().execute("SELECT number FROM collections WHERE name = ?", (name,)).fetchone()
        )
        if row is None:
            known = ", ".join(repr(n) for n, _, _ in self.collections()) or "none yet"
            raise CollectionNotFoundError(f"There is no collection {name!r} (known: {known}).")
        return int(row[0])

    # Writing

    def is_live(self, document: Document, recipe: str) -> bool:
        """Say whether this very content, made into passages by this recipe, is published."""
        row = self._db().execute(
            "SELECT content_hash, recipe, title FROM versions JOIN documents ON number = "
            "live_version WHERE documents.id = ?",
            (document.id,),
        )
        found: tuple[str, str, str] | None = row.fetchone()
        return found == (document.content_hash, recipe, document.title)

    def stage(self, document: Document, recipe: str) -> int:
        """Begin a version, or go on with the one an interrupted ingest left; give its number.

        Versions of the document that are neither live nor this one are dropped.
        """
        with self._transaction() as db:
            collection = self.collection_number(document.collection)
            db.execute(
                "INSERT INTO documents(id, collection, source, created_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT(id) DO NOTHING",
                (document.id, collection, document.source, _now()),
            )
            found = db.execute(
                "SELECT versions.number FROM versions JOIN documents ON documents.id = document_id "
                "WHERE document_id = ? AND content_hash = ? AND recipe = ? AND title = ? "
                "AND live_version IS NOT versions.number",
                (document.id, document.content_hash, recipe, document.title),
            ).fetchone()
            version = int(found[0]) if found else _insert_version(db, document, recipe)
            db.execute(
                "DELETE FROM versions WHERE document_id = ? AND number != ? AND number IS NOT "
                "(SELECT live_version FROM documents WHERE id = ?)",
                (document.id, version, document.id),
            )
        return version

    def staged(self, version: int) -> set[str]:
        """List the ids of the passages that a staged version already has."""
        rows = self._db().execute("SELECT id FROM passages WHERE version = ?", (version,))
        return {row[0] for row in rows}

    def add_passages(
        self, version: int, passages: Sequence[Passage], embedded: Sequence[Embedded]
    ) -> None:
        """Add passages to a staged version, in one transaction."""
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO passages(id, version, first, past, text, section, page, sentences, "
                "vector, sentence_vectors) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (_passage_row(version, p, e) for p, e in zip(passages, embedded, strict=True)),
            )

    def reusable(self, document: Document, recipe: str) -> dict[Outline, Embedded]:
        """Give the vectors of the document's live passages made by the same recipe.

        Their key is the text and where its sentences are: what stands before a passage, or a
        change of format, can divide the same words otherwise.
        """
        rows = self._db().execute(
            _PASSAGES.format(where="AND documents.id = ? AND recipe = ?"),
            (self.collection_number(document.collection), document.id, recipe),
        )
        return {outline(passage): embedded for passage, embedded in map(_read_passage, rows)}

    def publish(self, version: int) -> list[str]:
        """Make a staged version the live one, at once and wholly; drop the version before it.

        Gives the ids of the passages that are live no more.
        """
        with self._transaction() as db:
            document_id, collection, old = db.execute(
                "SELECT documents.id, collection, live_version FROM documents JOIN versions "
                "ON document_id = documents.id WHERE versions.number = ?",
                (version,),
            ).fetchone()
            gone = _retire(db, collection, old)
            db.execute("UPDATE documents SET live_version = ? WHERE id = ?", (version, document_id))
            words = words_table(collection)
            db.execute(
                f"INSERT INTO {words}(rowid, text) SELECT number, space_out(text) FROM passages "
                "WHERE version = ?",
                (version,),
            )
        self.changes += 1
        return gone

    def delete(self, document_id: str) -> tuple[str, list[str]]:
        """Delete a document; give its collection and the ids of its passages.

        Raises `DocumentNotFoundError`.
        """
        record = self.record(document_id)
        with self._transaction() as db:
            collection, live = db.execute(
                "SELECT collection, live_version FROM documents WHERE id = ?", (document_id,)
            ).fetchone()
            gone = _retire(db, collection, live)
            db.execute("DELETE FROM documents WHERE id = ?", (document_id,))
        self.changes += 1
        return record.collection, gone

    # Reading

    def records(self, collection: str | None = None) -> list[DocumentRecord]:
        """List the live documents, by title; of one collection if it is named."""
        if collection is not None:
            self.collection_number(collection)
        where = "" if collection is None else "AND collections.name = ?"
        values = () if collection is None else (collection,)
        rows = self._db().execute(_RECORDS.format(where=where), values)
        return [DocumentRecord(*row) for row in rows]

    def record(self, document_id: str) -> DocumentRecord:
        """Give a live document's record. Raises `DocumentNotFoundError`."""
        row = (
            self._db()
            .execute(_RECORDS.format(where="AND documents.id = ?"), (document_id,))
            .fetchone()
        )
        if row is None:
            raise DocumentNotFoundError(f"There is no document {document_id!r}.")
        return DocumentRecord(*row)

    def sizes(self) -> list[tuple[str, int, int]]:
        """List (name, live documents, live passages) of every collection, by name."""
        rows = self._db().execute(
            "SELECT name, count(DISTINCT documents.id), count(passages.number) FROM collections "
            "LEFT JOIN documents ON collection = collections.number AND live_version NOT NULL "
            "LEFT JOIN passages ON version = live_version GROUP BY name ORDER BY name"
        )
        return list(rows)

    def live_hashes(self, collection: str) -> list[tuple[str, str, str]]:
        """List (id, content hash, recipe) of every live document, by id."""
        rows = self._db().execute(
            "SELECT documents.id, content_hash, recipe FROM documents "
            "JOIN versions ON versions.number = live_version "
            "JOIN collections ON collections.number = collection "
            "WHERE collections.name = ? ORDER BY documents.id",
            (collection,),
        )
        return list(rows)

    def document(self, document_id: str) -> Document:
        """Give a live document with its text. Raises `DocumentNotFoundError`."""
        row = (
            self._db()
            .execute(
                "SELECT documents.id, collections.name, source, title, text, media_type, "
                "content_hash, structure FROM documents "
                "JOIN versions ON versions.number = live_version "
                "JOIN collections ON collections.number = collection WHERE documents.id = ?",
                (document_id,),
            )
            .fetchone()
        )
        if row is None:
            raise DocumentNotFoundError(f"There is no document {document_id!r}.")
        id_, collection, source, title, text, media_type, content_hash, written = row
        structure = json.loads(written)
        return Document(
            id=id_,
            collection=collection,
            source=source,
            title=title,
            text=text,
            media_type=media_type,
            content_hash=content_hash,
            sections=tuple(Section(*s) for s in structure["sections"]),
            breaks=tuple(structure["breaks"]),
            pages=tuple(structure["pages"]),
        )

    def live_passages(
        self, collection: str, ids: Sequence[str]
    ) -> dict[str, tuple[Passage, Embedded]]:
        """Give those of the passages that are live in the collection, by id."""
        marks = ", ".join("?" * len(ids))
        rows = self._db().execute(
            _PASSAGES.format(where=f"AND passages.id IN ({marks})"),
            (self.collection_number(collection), *ids),
        )
        return {row[0]: _read_passage(row) for row in rows}

    def match_words(self, collection: str, words: Sequence[str], *, limit: int) -> list[str]:
        """Give the ids of passages that hold any of the words, best BM25 first."""
        number = self.collection_number(collection)
        if not words:
            return []
        table = words_table(number)
        # The inner query walks only the keyword index; a join inside would touch every match.
        rows = self._db().execute(
            f"SELECT passages.id FROM (SELECT rowid, rank FROM {table} WHERE {table} MATCH ? "
            "ORDER BY rank LIMIT ?) AS found JOIN passages ON number = found.rowid "
            "ORDER BY found.rank",
            (" OR ".join(f'"{word}"' for word in words), limit),
        )
        return [row[0] for row in rows]

    def live_ids(self, collection: str) -> set[str]:
        """List the ids of every live passage of a collection."""
        rows = self._db().execute(
            "SELECT passages.id FROM documents JOIN passages ON version = live_version "
            "WHERE collection = ?",
            (self.collection_number(collection),),
        )
        return {row[0] for row in rows}

    def vectors(
        self, collection: str, ids: Iterable[str], *, batch: int
    ) -> Iterator[tuple[list[str], Vectors]]:
        """Read the vectors of live passages, a batch at a time."""
        wanted = sorted(ids)
        for start in range(0, len(wanted), batch):
            found = self.live_passages(collection, wanted[start : start + batch])
            if found:
                yield list(found), np.stack([e.vector for _, e in found.values()])

    def staged_vectors(self, version: int, *, batch: int) -> Iterator[tuple[list[str], Vectors]]:
        """Read the vectors of one version, live or not, a batch at a time."""
        rows = self._db().execute("SELECT id, vector FROM passages WHERE version = ?", (version,))
        while found := rows.fetchmany(batch):
            yield [r[0] for r in found], np.stack([np.frombuffer(r[1], "<f4") for r in found])

    # Connections

    def _db(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._local.connection = connection
            with self._connecting:
                self._close_connections_of_dead_threads()
                self._connections[threading.current_thread()] = connection
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.create_function("space_out", 1, space_out, deterministic=True)
        return connection

    def _close_connections_of_dead_threads(self) -> None:
        # A server's pool ends idle threads and starts others, for as long as it runs.
        for thread in [t for t in self._connections if not t.is_alive()]:
            self._connections.pop(thread).close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._db()
        with self._writing:
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                _roll_back(db)
                raise _translate(error, self._path) from error
            except BaseException:  # whatever it was, nothing of it may stay behind
                _roll_back(db)
                raise

    def _migrate(self) -> None:
        db = self._db()
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version in UPGRADES:
            with self._transaction():
                UPGRADES[version](db)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise CatalogUnreadableError(
                f"{self._path} has schema {version}; this version of Footnote reads "
                f"{SCHEMA_VERSION}.",
                fix="Run the version of Footnote that wrote it, or ingest into a new folder "
                "(FOOTNOTE_HOME).",
            )


_RECORDS = """
SELECT documents.id, collections.name, source, title, media_type, content_hash,
    length(text), (SELECT count(*) FROM passages WHERE version = live_version),
    documents.created_at, versions.created_at
FROM documents JOIN versions ON versions.number = live_version
JOIN collections ON collections.number = collection
WHERE true {where} ORDER BY title, documents.id
"""
_PASSAGES = """
SELECT passages.id, document_id, first, past, passages.text, title, section, page, sentences,
    vector, sentence_vectors
FROM passages JOIN documents ON live_version = version
JOIN versions ON versions.number = version
WHERE collection = ? {where}
"""


def outline(passage: Passage) -> Outline:
    """Give all of a passage that its vectors depend on: its text, and its sentences in it."""
    start = passage.start
    return passage.text, tuple((s.start - start, s.end - start) for s in passage.sentences)


def _check_embedder(collection: str, known: str, embedder: str) -> None:
    if known != embedder:
        raise EmbedderMismatchError(
            f"The collection {collection!r} was embedded with {known!r}, not with {embedder!r}.",
            fix="Set FOOTNOTE_EMBEDDER back, or use another collection.",
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _insert_version(db: sqlite3.Connection, document: Document, recipe: str) -> int:
    structure = {
        "sections": [(s.start, s.title) for s in document.sections],
        "breaks": document.breaks,
        "pages": document.pages,
    }
    row = (
        document.id,
        document.content_hash,
        recipe,
        document.title,
        document.media_type,
        document.text,
        json.dumps(structure),
        _now(),
    )
    cursor = db.execute(
        "INSERT INTO versions(document_id, content_hash, recipe, title, media_type, text, "
        "structure, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    return int(cursor.lastrowid or 0)


def _retire(db: sqlite3.Connection, collection: int, version: int | None) -> list[str]:
    words = words_table(collection)
    db.execute(
        f"INSERT INTO {words}({words}, rowid, text) "
        "SELECT 'delete', number, space_out(text) FROM passages WHERE version = ?",
        (version,),
    )
    gone = db.execute("SELECT id FROM passages WHERE version = ?", (version,)).fetchall()
    db.execute("DELETE FROM versions WHERE number = ?", (version,))
    return [row[0] for row in gone]


def _passage_row(version: int, passage: Passage, embedded: Embedded) -> tuple[Any, ...]:
    return (
        passage.id,
        version,
        passage.start,
        passage.end,
        passage.text,
        passage.section,
        passage.page,
        json.dumps([(s.start, s.end) for s in passage.sentences], separators=(",", ":")),
        embedded.vector.astype("<f4").tobytes(),
        # Sentence vectors only rank sentences of one passage among others: half precision does.
        embedded.sentences.astype("<f2").tobytes(),
    )


def _read_passage(row: tuple[Any, ...]) -> tuple[Passage, Embedded]:
    id_, document_id, first, past, text, title, section, page, sentences, *vectors = row
    passage = Passage(
        id=id_,
        document_id=document_id,
        start=first,
        end=past,
        text=text,
        title=title,
        section=section,
        page=page,
        sentences=tuple(Span(*s) for s in json.loads(sentences)),
    )
    return passage, _read_embedded(len(passage.sentences), *vectors)


def _read_embedded(count: int, vector: bytes, sentence_vectors: bytes) -> Embedded:
    rows = np.frombuffer(sentence_vectors, dtype="<f2").astype(np.float32)
    return Embedded(np.frombuffer(vector, dtype="<f4"), rows.reshape(count, -1))


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def _translate(error: sqlite3.OperationalError, path: Path) -> StorageError:
    if any(message in str(error) for message in FULL_MESSAGES):
        return StorageFullError(f"There is no room left to write {path} ({error}).")
    return StorageError(
        f"{path} cannot be written: {error}.", fix="Check the data folder's disk and permissions."
    )


def check_integrity(path: Path) -> str:
    """Give SQLite's own verdict on a catalog file: "ok", or the first thing wrong."""
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("PRAGMA quick_check").fetchone()[0])
