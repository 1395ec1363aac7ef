"""Runs on disk: one JSONL file, a header and a line an answer, each on the disk when it is given.

What was written before a kill is there after it: a line is synchronised before the next question is
asked, and a line that was cut off is dropped when the run is taken up again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from pydantic import TypeAdapter, ValidationError

from qa.errors import RunError
from qa.evaluation.types import Header, Record, Run

FORMAT = 1
_HEADER = TypeAdapter(Header)
_RECORD = TypeAdapter(Record)


class RunWriter:
    """A run's file, open for appending; `done` are the ids of the questions that it has."""

    def __init__(self, file: BinaryIO, records: tuple[Record, ...]) -> None:
        self._file = file
        self.records = list(records)

    @classmethod
    def create(cls, path: Path, header: Header) -> Self:
        """Begin a run. Raises `RunError` where the file is there already."""
        if path.exists():
            raise RunError(
                f"{path} is there already.",
                fix="Go on with it with --resume, or write to another file with --out.",
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("xb")
        except OSError as error:
            raise _unwritable(path, error) from error
        writer = cls(file, ())
        writer._write({"format": FORMAT, "header": _HEADER.dump_python(header, mode="json")})
        return writer

    @classmethod
    def resume(cls, path: Path, header: Header) -> Self:
        """Take up a run where it stopped, or begin it where there is none.

        Raises `RunError` where the file holds a run of other questions or other settings.
        """
        if not path.exists() or path.stat().st_size == 0:
            path.unlink(missing_ok=True)
            return cls.create(path, header)
        run, length = _parse(path)
        ours = (header.questions_digest, header.details)
        theirs = (run.header.questions_digest, run.header.details)
        if ours != theirs:
            raise RunError(
                f"{path} is a run with other questions or settings: {_differences(header, run)}.",
                fix="Resume with the settings that it was begun with, or write to another file.",
            )
        try:
            file = path.open("r+b")
            file.truncate(length)
            file.seek(length)
        except OSError as error:
            raise _unwritable(path, error) from error
        return cls(file, run.records)

    @property
    def done(self) -> set[str]:
        """The ids of the questions that were answered."""
        return {r.question.id for r in self.records}

    def add(self, record: Record) -> None:
        """Write a record; it is on the disk when this returns."""
        self._write({"record": _RECORD.dump_python(record, mode="json")})
        self.records.append(record)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def _write(self, line: dict[str, Any]) -> None:
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        # A lone surrogate is a code point of a source and no UTF-8; JSON can still spell it.
        try:
            encoded = data.encode()
        except UnicodeEncodeError:
            encoded = json.dumps(line, separators=(",", ":")).encode()
        self._file.write(encoded + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_run(path: Path) -> Run:
    """Read a run; a last line that was cut off is left out. Raises `RunError`."""
    return _parse(path)[0]


def _parse(path: Path) -> tuple[Run, int]:
    """Give a file's run, and how many bytes of it are whole lines."""
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise RunError(message, fix="Check the path.") from error
    end = data.rfind(b"\n") + 1
    lines = data[:end].splitlines()
    if not lines:
        raise _no_run(path, 1)
    try:
        first = json.loads(lines[0])
        header = _HEADER.validate_python(first["header"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise _no_run(path, 1) from error
    if first.get("format") != FORMAT:
        raise RunError(
            f"{path} has the format {first.get('format')!r}; this version reads {FORMAT}.",
            fix="Read it with the version of Footnote that wrote it, or a later one.",
        )
    records: dict[str, Record] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            record = _RECORD.validate_python(json.loads(line)["record"])
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise _no_run(path, number) from error
        records[record.question.id] = record
    return Run(header, tuple(records.values())), end


def _differences(header: Header, run: Run) -> str:
    if header.questions_digest != run.header.questions_digest:
        return f"it answers {run.header.questions}, not {header.questions}"
    keys = sorted({*header.details, *run.header.details})
    changed = [
        f"{k} was {run.header.details.get(k)!r} and is {header.details.get(k)!r}"
        for k in keys
        if run.header.details.get(k) != header.details.get(k)
    ]
    return "; ".join(changed)


def _no_run(path: Path, line: int) -> RunError:
    return RunError(
        f"{path}, line {line}: not a run of `footnote evaluate`.",
        fix="Give a file that `footnote evaluate` wrote.",
    )


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(f"{path} cannot be written: {error.strerror}.", fix="Choose another --out.")
