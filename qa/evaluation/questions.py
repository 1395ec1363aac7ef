"""Files -> question sets and their documents. Every problem names its line.

JSONL, a line `{"id", "question", "answerable", "answers": [...], "document", "evidence": [[start,
end], ...]}`; sets for retrieval have `"relevant": [sources]` instead; `history` holds earlier
questions, `category` a name to group by. CSV with the columns `question,answer`. Documents are
`{"id", "title", "text"}` a line, or a folder of text files.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from index.library import Upload
from index.load import LOADERS
from qa.errors import QuestionSetError
from qa.evaluation.types import Question

Complain = Callable[[str], None]
"""Told of each bad line that is skipped."""


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions in the file's order; `digest` is the SHA-256 of the file."""

    name: str
    digest: str
    questions: tuple[Question, ...]


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    answerable: bool = True
    answers: list[str] = []
    document: str | None = None
    evidence: list[tuple[int, int]] = []
    relevant: list[str] = []
    history: list[str] = []
    category: str | None = None

    @model_validator(mode="after")
    def _spans_are_spans(self) -> _Row:
        for start, end in self.evidence:
            if not 0 <= start < end:
                raise ValueError(f"evidence [{start}, {end}] is no span")
        if self.evidence and self.document is None:
            raise ValueError("evidence without a document")
        return self


def read_questions(
    path: Path, *, complain: Complain | None = None, field: str = "question"
) -> QuestionSet:
    """Read a question set.

    A bad line, or an id that was there before, raises `QuestionSetError`; with `complain` it is
    reported and left out. `field` takes the question from another field, say a rewritten form.
    """
    data = _read(path)
    rows = _csv_rows(data, path) if path.suffix.lower() == ".csv" else _json_rows(data)
    questions: dict[str, Question] = {}
    for number, row in rows:
        try:
            question = _parse(row, number, field, questions)
        except ValueError as error:
            message = f"{path.name}, line {number}: {_say(error)}"
            if complain is None:
                raise QuestionSetError(
                    message, fix="Correct the line, or skip bad lines with --skip-bad-lines."
                ) from error
            complain(message)
            continue
        questions[question.id] = question
    if not questions:
        raise QuestionSetError(
            f"{path.name} has no questions.", fix="Give a JSONL file, one question a line."
        )
    return QuestionSet(path.name, hashlib.sha256(data).hexdigest(), tuple(questions.values()))


def choose(
    questions: Sequence[Question], *, limit: int | None, sample: int | None, seed: int
) -> list[Question]:
    """Take the first `limit`, or `sample` of them at random by `seed`; the order stays."""
    chosen = list(questions)
    if sample is not None and sample < len(chosen):
        draw = random.Random(seed)  # noqa: S311  chance that can be repeated, not secrecy
        places = sorted(draw.sample(range(len(chosen)), sample))
        chosen = [chosen[i] for i in places]
    return chosen[:limit]


def read_documents(path: Path) -> list[Upload]:
    """Read documents, each under its own `source`; the collection is left at the default.

    Raises `QuestionSetError`.
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in LOADERS)
        uploads = [Upload(p.read_bytes(), p.name, source=p.stem) for p in files]
    else:
        uploads = [_document(row, number, path) for number, row in _json_rows(_read(path))]
    if not uploads:
        raise QuestionSetError(f"{path.name} has no documents.", fix="Give a folder or JSONL file.")
    times = Counter(u.source for u in uploads)
    source, count = times.most_common(1)[0]
    if count > 1:
        raise QuestionSetError(
            f"{path.name} has {count} documents with the id {source!r}.",
            fix="Give each document an id of its own.",
        )
    return uploads


def check_places(questions: Sequence[Question], lengths: Mapping[str, int]) -> None:
    """Hold every gold span against its document's length, in code points.

    Raises `QuestionSetError` for a document that is not there or a span that ends after it.
    """
    for question in questions:
        for source in {*question.relevant, *([question.document] if question.document else [])}:
            if source not in lengths:
                raise QuestionSetError(
                    f"Question {question.id!r} names the document {source!r}, which is not there.",
                    fix="Give the documents of this question set with --documents.",
                )
        for start, end in question.evidence:
            if question.document and end > lengths[question.document]:
                raise QuestionSetError(
                    f"Question {question.id!r}: its evidence [{start}, {end}] ends outside "
                    f"{question.document!r}, which has {lengths[question.document]} characters.",
                    fix="Offsets count Unicode code points in the document's text.",
                )


def with_joint_evidence(questions: Sequence[Question]) -> list[Question]:
    """Say of every question that its gold spans belong together."""
    return [replace(q, every_span=True) for q in questions]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise QuestionSetError(
            f"{path} cannot be read: {error.strerror}.", fix="Check the path."
        ) from error


def _json_rows(data: bytes) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:  # JSON's own, or bytes that are not UTF-8
                yield number, error


def _csv_rows(data: bytes, path: Path) -> Iterator[tuple[int, Any]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QuestionSetError(f"{path.name} is not UTF-8.", fix="Save it as UTF-8.") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if "question" not in (reader.fieldnames or ()):
        raise QuestionSetError(
            f"{path.name} has no column `question`.",
            fix="Name the columns in the first line: question,answer.",
        )
    for row in reader:
        answer = (row.get("answer") or "").strip()
        yield (
            reader.line_num,
            {
                "id": (row.get("id") or "").strip() or f"line-{reader.line_num}",
                "question": (row["question"] or "").strip(),
                "answerable": bool(answer),
                "answers": [answer] if answer else [],
                "category": row.get("category") or None,
            },
        )


def _parse(row: Any, number: int, field: str, before: Container[str]) -> Question:
    if isinstance(row, ValueError):
        raise ValueError(f"not JSON ({row})") from row  # noqa: TRY004  the value is an error
    if not isinstance(row, dict):
        raise ValueError("not an object")  # noqa: TRY004  its caller names the line of it
    given = {"id": f"line-{number}", **row}
    if field != "question":
        if not isinstance(row.get(field), str):
            raise ValueError(f"no field {field!r}")
        given["question"] = row[field]
    # As JSON, strict means JSON's own types; as Python a list would be no tuple.
    read = _Row.model_validate_json(json.dumps(given))
    if read.id in before:
        raise ValueError(f"the id {read.id!r} was there before")
    return Question(
        id=read.id,
        text=read.question,
        answerable=read.answerable,
        answers=tuple(read.answers),
        document=read.document,
        evidence=tuple(read.evidence),
        relevant=tuple(read.relevant),
        history=tuple(read.history),
        category=read.category,
    )


def _document(row: Any, number: int, path: Path) -> Upload:
    if (
        not isinstance(row, dict)
        or not isinstance(row.get("text"), str)
        or not isinstance(row.get("id"), str)
    ):
        raise QuestionSetError(
            f"{path.name}, line {number}: no document.",
            fix='A document is a line of {"id", "title", "text"}.',
        )
    title = row.get("title")
    return Upload(
        row["text"].encode(),
        "document.txt",
        source=row["id"],
        title=title if isinstance(title, str) else None,
    )


def _say(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'line'}: {e['msg']}" for e in error.errors()
        )
    return str(error)
