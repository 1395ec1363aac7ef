"""The catalog's tables, and how a folder of an older schema is brought up to this one.

The connection knows `space_out` (`index.tokens`) as a function: what is indexed for the search by
words is `space_out(text)`, and what is deleted from that index must be the very same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE collections (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    embedder TEXT NOT NULL, dimension INTEGER NOT NULL, created_at TEXT NOT NULL
) STRICT;
CREATE TABLE documents (
    id TEXT PRIMARY KEY, collection INTEGER NOT NULL REFERENCES collections(number),
    source TEXT NOT NULL, live_version INTEGER, created_at TEXT NOT NULL
) STRICT;
CREATE INDEX documents_by_collection ON documents(collection);
CREATE TABLE versions (
    number INTEGER PRIMARY KEY,
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    content_hash TEXT NOT NULL, recipe TEXT NOT NULL,
    title TEXT NOT NULL, media_type TEXT NOT NULL, text TEXT NOT NULL, structure TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX versions_by_document ON versions(document_id);
CREATE TABLE passages (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL,
    version INTEGER NOT NULL REFERENCES versions(number) ON DELETE CASCADE,
    first INTEGER NOT NULL, past INTEGER NOT NULL, text TEXT NOT NULL,
    section TEXT, page INTEGER, sentences TEXT NOT NULL,
    vector BLOB NOT NULL, sentence_vectors BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX passages_by_version ON passages(version, id);
CREATE INDEX passages_by_id ON passages(id);
"""
FTS = (
    "CREATE VIRTUAL TABLE {table} USING fts5(text, content='passages', content_rowid='number', "
    "tokenize='porter unicode61 remove_diacritics 2')"
)


def words_table(collection: int) -> str:
    """Name the keyword index of a collection."""
    return f"words_{collection}"


def create_words(db: sqlite3.Connection, collection: int) -> None:
    """Create the keyword index of a collection, empty."""
    db.execute(FTS.format(table=words_table(collection)))


def _create(db: sqlite3.Connection) -> None:
    for statement in filter(str.strip, SCHEMA.split(";")):
        db.execute(statement)


def _index_words_anew(db: sqlite3.Connection) -> None:
    """Read every live passage into its collection's keyword index again."""
    for (number,) in db.execute("SELECT number FROM collections").fetchall():
        words = words_table(number)
        db.execute(f"DROP TABLE IF EXISTS {words}")
        create_words(db, number)
        db.execute(
            f"INSERT INTO {words}(rowid, text) SELECT passages.number, space_out(text) "
            "FROM passages JOIN documents ON live_version = version WHERE collection = ?",
            (number,),
        )


UPGRADES: Mapping[int, Callable[[sqlite3.Connection], None]] = {0: _create, 1: _index_words_anew}
"""What makes this schema of an older one; 0 is a new file."""
