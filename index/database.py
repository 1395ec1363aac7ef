"""Small SQLite files beside the catalog: opened for each use, by any thread of any process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from index.errors import StorageError

BUSY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Database:
    """A file and the schema that it gets when it is first used."""

    path: Path
    schema: str

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a connection; what was written is committed at the end, or undone on an error.

        Raises `StorageError`.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as db:
                db.row_factory = sqlite3.Row
                db.executescript(self.schema)
                with db:
                    yield db
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"{self.path} cannot be used: {error}.",
                fix="Free some space, restore the file from a backup, or move it away.",
            ) from error
