"""Public widget ids. An id is not a key: it names a collection and who may ask it from where.

Whoever knows an id can ask that collection's questions from a page of an allowed origin, so many
a minute, and nothing else. The ids live in a file of their own, so that the command line can
create and revoke them while a server runs.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from index.database import Database
from index.errors import BadInputError, FootnoteError, NotFoundError
from index.library import check_collection

FILE_NAME = "widgets.sqlite3"
WIDGET_ID = re.compile(r"w_[0-9a-f]{20}")
COLOR = re.compile(r"#[0-9a-fA-F]{6}")
DEFAULT_PER_MINUTE = 20
MOST_PER_MINUTE = 10_000
MOST_STARTERS = 6
POSITIONS = ("right", "left")
DEFAULT_PORTS = {"http": 80, "https": 443}
SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS widgets (
    id TEXT PRIMARY KEY, collection TEXT NOT NULL, origins TEXT NOT NULL,
    per_minute INTEGER NOT NULL, looks TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
"""


class WidgetNotFoundError(NotFoundError):
    """No widget has this id, or it was revoked."""

    fix = "List the widgets with `footnote widgets list`, or create one."


class OriginNotAllowedError(FootnoteError):
    """A page of another origin asked, and nobody allowed it to."""


class WidgetMayOnlyAskError(FootnoteError):
    """A widget id was used for something else than asking."""

    fix = "Leave `widget` out of the address: this needs no widget id, and none opens it."


class RateLimitedError(FootnoteError):
    """A visitor asked more often than the widget allows; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, fix=f"Ask again in {retry_after} seconds.")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Looks:
    """How a widget greets: all of it is text, but for `accent`, a colour like `#0b57d0`."""

    title: str | None = None
    greeting: str | None = None
    starters: tuple[str, ...] = ()
    accent: str | None = None
    position: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if self.accent is not None and not COLOR.fullmatch(self.accent):
            raise BadInputError(
                f"{self.accent!r} is not a colour.", fix="Write it like #0b57d0: six hex digits."
            )
        if self.position not in (None, *POSITIONS):
            raise BadInputError(
                f"A widget stands at the {' or '.join(POSITIONS)}, not at {self.position!r}."
            )
        if len(self.starters) > MOST_STARTERS:
            raise BadInputError(
                f"A widget has {MOST_STARTERS} starters at most.", fix="Keep the best ones."
            )


@dataclass(frozen=True, slots=True)
class Widget:
    """A public id and what it may do. `per_minute` counts the questions of one visitor."""

    id: str
    collection: str
    origins: tuple[str, ...]
    per_minute: int
    looks: Looks
    created_at: str


@dataclass(frozen=True, slots=True)
class WidgetStore:
    """The widgets of a data folder; safe to use from any thread and process."""

    database: Database

    @classmethod
    def of(cls, home: Path) -> WidgetStore:
        """Give the store of a data folder; its file is made with the first widget."""
        return cls(Database(home / FILE_NAME, SCHEMA))

    def create(
        self,
        *,
        collection: str,
        origins: tuple[str, ...] = (),
        per_minute: int = DEFAULT_PER_MINUTE,
        looks: Looks | None = None,
    ) -> Widget:
        """Make a widget. Without origins no page of another origin may use it.

        Raises `BadInputError` for an origin that is none, and `InvalidNameError`.
        """
        check_collection(collection)
        if not 1 <= per_minute <= MOST_PER_MINUTE:
            raise BadInputError(
                f"A visitor cannot ask {per_minute} questions a minute.",
                fix=f"Allow 1 to {MOST_PER_MINUTE}.",
            )
        widget = Widget(
            id=f"w_{secrets.token_hex(10)}",
            collection=collection,
            origins=tuple(dict.fromkeys(map(read_origin, origins))),
            per_minute=per_minute,
            looks=looks or Looks(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with self.database.transaction() as db:
            db.execute(
                "INSERT INTO widgets VALUES (?, ?, ?, ?, ?, ?)",
                (
                    widget.id,
                    widget.collection,
                    json.dumps(widget.origins),
                    widget.per_minute,
                    json.dumps(asdict(widget.looks)),
                    widget.created_at,
                ),
            )
        return widget

    def list(self) -> list[Widget]:
        """Give all widgets, the oldest first."""
        if not self.database.path.exists():
            return []
        with self.database.transaction() as db:
            rows = db.execute("SELECT * FROM widgets ORDER BY created_at, rowid").fetchall()
        return [_read(row) for row in rows]

    def get(self, widget_id: str) -> Widget:
        """Give a widget. Raises `WidgetNotFoundError`."""
        row = None
        if WIDGET_ID.fullmatch(widget_id) and self.database.path.exists():
            with self.database.transaction() as db:
                row = db.execute("SELECT * FROM widgets WHERE id = ?", (widget_id,)).fetchone()
        if row is None:
            raise WidgetNotFoundError(f"There is no widget {widget_id[:60]!r}.")
        return _read(row)

    def revoke(self, widget_id: str) -> None:
        """Delete a widget; its id is refused from then on. Raises `WidgetNotFoundError`."""
        self.get(widget_id)
        with self.database.transaction() as db:
            db.execute("DELETE FROM widgets WHERE id = ?", (widget_id,))


def read_origin(text: str) -> str:
    """Give an origin as browsers write it (RFC 6454): scheme, host, and a port that is not usual.

    Raises `BadInputError`: for `*` and `null` too, since they would let everybody in.
    """
    wrong = BadInputError(
        f"{text!r} is not an origin.",
        fix="Write scheme, host and port only, like https://example.com or http://localhost:9000.",
    )
    try:
        parts = urlsplit(text.strip().lower())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong from error
    rest = parts.path.rstrip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in DEFAULT_PORTS or not host or rest or "*" in host:
        raise wrong
    shown = f"[{host}]" if ":" in host else host.encode("idna").decode()
    usual = port in (None, DEFAULT_PORTS[parts.scheme])
    return f"{parts.scheme}://{shown}" if usual else f"{parts.scheme}://{shown}:{port}"


def write_snippet(widget: Widget, address: str) -> str:
    """Give the one line that puts a widget into a page; `address` is the server's."""
    return f'<script async src="{address}/widget.js" data-widget="{widget.id}"></script>'


def _read(row: sqlite3.Row) -> Widget:
    looks = json.loads(row["looks"])
    return Widget(
        id=row["id"],
        collection=row["collection"],
        origins=tuple(json.loads(row["origins"])),
        per_minute=row["per_minute"],
        looks=Looks(**{**looks, "starters": tuple(looks["starters"])}),
        created_at=row["created_at"],
    )
