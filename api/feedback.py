"""What people say of answers, kept with what they were told and on what it stood.

An answer reaches the disk only when somebody judges it; until then the last ones are held in
memory. A file of its own holds them, so that no ingest and no backup of documents touches it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from index.database import Database
from index.errors import DocumentNotFoundError, NotFoundError
from index.library import Library
from qa.types import Answer, Ask

FILE_NAME = "feedback.sqlite3"
MOST_RECENT = 1000
SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS feedback (
    answer_id TEXT PRIMARY KEY, collection TEXT NOT NULL, rating TEXT NOT NULL,
    comment TEXT NOT NULL, given TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
) STRICT;
"""


class AnswerNotFoundError(NotFoundError):
    """No answer has this id, or it was given too long ago to be judged."""

    fix = f"Judge an answer soon: the server holds the last {MOST_RECENT:,}, and those judged."


class Rating(StrEnum):
    """What somebody thinks of an answer."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Quoted:
    """A citation, with its document's stable name in the collection.

    `source` is None where the document was deleted while the answer was being given.
    """

    marker: int
    document_id: str
    source: str | None
    title: str
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as it was given, and to what.

    `question` is what was typed, `looked_up` what was understood of it after `history`, the earlier
    questions. `index_version` names what the collection held (`Library.version`).
    """

    id: str
    collection: str
    widget: str | None
    question: str
    looked_up: str
    history: tuple[str, ...]
    answered: bool
    answer: str
    reason: str | None
    citations: tuple[Quoted, ...]
    model: str
    index_version: str
    given_at: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """A judgement of an answer; there is one for each answer, the last one."""

    given: Given
    rating: Rating
    comment: str
    created_at: str
    updated_at: str


def record(
    ask: Ask,
    answer: Answer,
    *,
    widget: str | None,
    index_version: str,
    find_source: Callable[[str], str | None],
) -> Given:
    """Put down an answer under a new id; `find_source` gives the source of a document's id."""
    return Given(
        id=f"a_{secrets.token_hex(10)}",
        collection=ask.collection,
        widget=widget,
        question=ask.question,
        looked_up=answer.question,
        history=tuple(exchange.question for exchange in ask.history),
        answered=answer.answered,
        answer=answer.text,
        reason=None if answer.refusal is None else answer.refusal.code.value,
        citations=tuple(
            Quoted(
                c.marker,
                c.document_id,
                find_source(c.document_id),
                c.title,
                c.quote,
                c.start,
                c.end,
            )
            for c in answer.citations
        ),
        model=answer.model,
        index_version=index_version,
        given_at=_now(),
    )


@dataclass(frozen=True, slots=True)
class FeedbackStore:
    """The feedback of a data folder; safe to use from any thread and process."""

    database: Database

    @classmethod
    def of(cls, home: Path) -> FeedbackStore:
        """Give the store of a data folder; its file is made with the first judgement."""
        return cls(Database(home / FILE_NAME, SCHEMA))

    def save(self, given: Given, rating: Rating, comment: str) -> Feedback:
        """Keep a judgement; an earlier one of the same answer is replaced."""
        now = _now()
        with self.database.transaction() as db:
            db.execute(
                "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(answer_id) "
                "DO UPDATE SET rating = excluded.rating, comment = excluded.comment, "
                "updated_at = excluded.updated_at",
                (given.id, given.collection, rating, comment, json.dumps(asdict(given)), now, now),
            )
        return self.get(given.id)

    def get(self, answer_id: str) -> Feedback:
        """Give the judgement of an answer. Raises `AnswerNotFoundError`."""
        found = self._select("WHERE answer_id = ?", (answer_id,))
        if not found:
            raise AnswerNotFoundError(f"There is no answer {answer_id[:60]!r} to judge.")
        return found[0]

    def find(
        self,
        *,
        collection: str | None = None,
        rating: Rating | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[Feedback]:
        """Give the judgements, the newest first; `limit` -1 gives all."""
        where, values = _filter(collection, rating)
        end = "ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?"
        return self._select(f"{where} {end}", (*values, limit, offset))

    def count(self, *, collection: str | None = None, rating: Rating | None = None) -> int:
        """Count the judgements that `find` would give without a limit."""
        if not self.database.path.exists():
            return 0
        where, values = _filter(collection, rating)
        with self.database.transaction() as db:
            return int(db.execute(f"SELECT count(*) FROM feedback {where}", values).fetchone()[0])

    def delete(self, answer_id: str) -> None:
        """Forget a judgement and its answer. Raises `AnswerNotFoundError`."""
        self.get(answer_id)
        with self.database.transaction() as db:
            db.execute("DELETE FROM feedback WHERE answer_id = ?", (answer_id,))

    def _select(self, rest: str, values: tuple[Any, ...]) -> list[Feedback]:
        if not self.database.path.exists():
            return []
        with self.database.transaction() as db:
            rows = db.execute(f"SELECT * FROM feedback {rest}", values).fetchall()
        return [_read(row) for row in rows]


def to_question(feedback: Feedback, find_text: Callable[[str], str | None]) -> dict[str, Any]:
    """Give a judged answer as a line of a question set, which `footnote evaluate` reads.

    An answer that was liked is a gold one, and its quotes the evidence, as far as the text that
    `find_text` gives for a document's id still holds them. A refusal that was liked is a question
    that cannot be answered. Of what was disliked nobody knows the gold answer: it has none, and
    stands there to be asked again and looked at.
    """
    given, liked = feedback.given, feedback.rating is Rating.UP
    line: dict[str, Any] = {
        "id": given.id,
        "question": given.question,
        "answerable": given.answered or not liked,
        "answers": [given.answer] if liked and given.answered else [],
        "category": "liked" if liked else "disliked",
        "history": list(given.history),
        "given": given.answer,
        "comment": feedback.comment,
    }
    quotes = [q for q in given.citations if q.source and _still_holds(q, find_text)]
    if liked and quotes:
        first = quotes[0]
        spans = [[q.start, q.end] for q in quotes if q.document_id == first.document_id]
        line |= {"document": first.source, "evidence": spans}
    return line


def write_questions(
    store: FeedbackStore, library: Library, collection: str | None
) -> Iterator[str]:
    """Write judged answers as the lines of a question set, the oldest first."""

    def find_text(document_id: str) -> str | None:
        try:
            return library.document(document_id).text
        except DocumentNotFoundError:
            return None

    for feedback in reversed(store.find(collection=collection)):
        yield json.dumps(to_question(feedback, find_text), ensure_ascii=False) + "\n"


def _still_holds(quoted: Quoted, find_text: Callable[[str], str | None]) -> bool:
    text = find_text(quoted.document_id)
    return text is not None and text[quoted.start : quoted.end] == quoted.quote


def _filter(collection: str | None, rating: Rating | None) -> tuple[str, tuple[str, ...]]:
    chosen = {"collection": collection, "rating": rating}
    used = {name: value for name, value in chosen.items() if value is not None}
    where = " AND ".join(f"{name} = ?" for name in used)
    return (f"WHERE {where}" if where else ""), tuple(used.values())


def _read(row: sqlite3.Row) -> Feedback:
    given = json.loads(row["given"])
    quotes = tuple(Quoted(**quoted) for quoted in given["citations"])
    return Feedback(
        given=Given(**{**given, "citations": quotes, "history": tuple(given["history"])}),
        rating=Rating(row["rating"]),
        comment=row["comment"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
