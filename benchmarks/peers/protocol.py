"""What every peer does alike: read its arguments, ingest, answer, and write a line for each.

    python PEER.py --documents D.jsonl --questions Q.jsonl --base-url URL --api-key KEY \
        --model NAME --embedder FOLDER --work FOLDER --out OUT.jsonl

OUT begins with a line of kind "ingest" (seconds, chunks, the process's peak memory, bytes kept on
disk), then has one of kind "answer" for each question, written as soon as it is given. Questions
that OUT already answers are not asked again, so that a run goes on where it stopped.

Only the standard library is used here: a peer's interpreter has no package of this project.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

ANSWER_TOKENS = 512
CONTEXT_TOKENS = 8192
TIMEOUT_SECONDS = 600.0
TEMPERATURE = 0.0
"""The same for all peers, so that a run can be repeated and a runaway answer ends."""
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A document as the file has it; offsets count code points of its `text`."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk that was found, best first in its list; None where its offsets are not known."""

    source: str
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation; `exact` says whether the source has the quoted text at these offsets."""

    source: str
    start: int
    end: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Given:
    """What a peer answers: `refused` is None where it has no way of saying so but in words."""

    answer: str
    passages: Sequence[Place]
    citations: Sequence[Cited] = ()
    refused: bool | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """A peer's arguments; `work` is an empty folder for whatever it keeps."""

    documents: Path
    questions: Path
    base_url: str
    api_key: str
    model: str
    embedder: Path
    work: Path
    out: Path


class Peer(Protocol):
    """Something that answers questions over documents."""

    def ingest(self, documents: Sequence[Source]) -> int:
        """Keep the documents; give the number of chunks."""

    def ask(self, question: str) -> Given:
        """Answer a question."""


@dataclass(slots=True)
class Offsets:
    """Where chunks begin, for splitters that do not say: each is looked for after the one before.

    A chunk is not found where the splitter changed its text.
    """

    text: str
    _after: int = field(default=0)

    def find(self, chunk: str) -> tuple[int, int] | None:
        """Give the range of the next chunk."""
        start = self.text.find(chunk, self._after)
        if start < 0:
            start = self.text.find(chunk)
        if start < 0:
            return None
        self._after = start + 1
        return start, start + len(chunk)


def run(build: Callable[[Options], Peer]) -> None:
    """Ingest and answer everything; what `build` loads counts as ingest, imports do not."""
    options = _parse()
    before = _keep_whole(options.out)
    done = {row["id"] for row in before if row["kind"] == "answer"}
    with options.out.open("a", encoding="utf-8") as out:
        peer, row = _ingest(build, options)
        if not any(r["kind"] == "ingest" for r in before):
            _write(out, row)
        for question in read_rows(options.questions):
            if question["id"] not in done:
                _write(out, _answer(peer, question))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]


def read_output(path: Path) -> list[dict[str, Any]]:
    """Read a peer's output without failed answers and without a line that was cut off."""
    rows = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").split("\n"):
            try:
                row = json.loads(line)
            except ValueError:  # the process was killed while it wrote; also the empty last line
                continue
            if not row.get("error"):
                rows.append(row)
    return rows


def _keep_whole(path: Path) -> list[dict[str, Any]]:
    rows = read_output(path)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows


def _parse() -> Options:
    parser = argparse.ArgumentParser()
    for name in ("documents", "questions", "embedder", "work", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("base-url", "api-key", "model"):
        parser.add_argument(f"--{name}", required=True)
    return Options(**vars(parser.parse_args()))


def _ingest(build: Callable[[Options], Peer], options: Options) -> tuple[Peer, dict[str, Any]]:
    rows = read_rows(options.documents)
    documents = [Source(r["id"], r.get("title") or r["id"], r["text"]) for r in rows]
    options.work.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    peer = build(options)
    chunks = peer.ingest(documents)
    return peer, {
        "kind": "ingest",
        "seconds": round(time.perf_counter() - began, 3),
        "chunks": chunks,
        "peak_mib": round(_peak_mib(), 1),
        "disk_bytes": sum(p.stat().st_size for p in options.work.rglob("*") if p.is_file()),
    }


def _answer(peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
    began = time.perf_counter()
    error = None
    try:
        given = peer.ask(question["question"])
    except Exception as problem:  # noqa: BLE001  every peer raises its own; the table counts them
        given, error = Given("", ()), f"{type(problem).__name__}: {problem}"
    row = {"kind": "answer", "id": question["id"], "seconds": time.perf_counter() - began}
    return row | asdict(given) | {"error": error}


def _write(out: Any, row: dict[str, Any]) -> None:
    out.write(json.dumps(row) + "\n")
    out.flush()


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak / 1024  # bytes there, KiB here
