"""The peers' outputs -> one Markdown table, with what must be known to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, quantiles
from typing import Any

from protocol import MIB

from qa.evaluation.answers import containment, token_f1
from qa.evaluation.ranking import hit_at

REFUSALS = (
    "cannot answer",
    "cannot be determined",
    "can't answer",
    "could not find",
    "do not have",
    "do not know",
    "does not contain",
    "does not mention",
    "does not provide",
    "does not specify",
    "don't have",
    "don't know",
    "no information",
    "no mention",
    "not contain",
    "not explicitly",
    "not mention",
    "not provide",
    "not specif",
    "not stated",
    "unable to",
)
"""An answer with one of these counts as refused, where a peer has no other way of saying so."""
HITS = 5
COLUMNS = (
    "",
    "ingest, s",
    "peak memory, MiB",
    f"hit@{HITS}",
    "answerable: token F1",
    "answerable: holds a gold answer",
    "unanswerable: refused",
    "citations exact",
    "seconds to an answer, p50 / p90",
    "on disk, MiB",
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """A peer's whole output: its ingest line, and its answers by the question's id."""

    title: str
    ingest: Row
    answers: Mapping[str, Row]


def write_table(results: Sequence[Result], questions: Sequence[Row]) -> str:
    """Give the table."""
    lines = [_line(COLUMNS), _line(["---"] + ["---:"] * (len(COLUMNS) - 1))]
    return "\n".join(lines + [_line(_cells(result, questions)) for result in results])


def write_notes() -> str:
    """Say how the figures were counted."""
    phrases = ", ".join(f"“{phrase}”" for phrase in REFUSALS)
    return (
        f"hit@{HITS}: a chunk among the first {HITS} that the peer found holds a whole gold span; "
        "fewer chunks by default are fewer chances, and larger chunks hold more. Token F1 is "
        "SQuAD's. Refused is what the peer itself marks as refused; where it cannot, an empty "
        f"answer, or one with any of: {phrases}. Peak memory is the peer's own process after the "
        "ingest; the language model runs in one server for all and is not in it. On disk is what "
        "the peer keeps there; 0 is a peer that keeps everything in memory."
    )


def is_refused(row: Row) -> bool:
    """Say whether an answer is a refusal."""
    if row["refused"] is not None:
        return bool(row["refused"])
    text = row["answer"].lower().replace("’", "'").strip()
    return not text or any(phrase in text for phrase in REFUSALS)


def _cells(result: Result, questions: Sequence[Row]) -> list[str]:
    asked = [(question, result.answers[question["id"]]) for question in questions]
    can = [(q, row) for q, row in asked if q["answerable"]]
    seconds = [row["seconds"] for _, row in asked]
    return [
        result.title,
        f"{result.ingest['seconds']:.0f}",
        f"{result.ingest['peak_mib']:.0f}",
        _share([_hit(q, row) for q, row in can if q["evidence"]]),
        _score([token_f1(row["answer"], q["answers"]) for q, row in can]),
        _share([containment(row["answer"], q["answers"]) for q, row in can]),
        _share([is_refused(row) for q, row in asked if not q["answerable"]]),
        _citations([c for _, row in asked for c in row["citations"]]),
        f"{median(seconds):.1f} / {_tenth(seconds):.1f}",
        f"{result.ingest['disk_bytes'] / MIB:.1f}",
    ]


def _hit(question: Row, row: Row) -> float:
    ranked = [
        (p["source"], -1, -1) if p["start"] is None else (p["source"], p["start"], p["end"])
        for p in row["passages"]
    ]
    golds = [(start, end) for start, end in question["evidence"]]
    return hit_at(ranked, question["document"], golds, HITS)


def _tenth(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=10, method="inclusive")[8] if len(seconds) > 1 else seconds[0]


def _citations(citations: Sequence[Row]) -> str:
    if not citations:
        return "none given"
    return f"{sum(c['exact'] for c in citations)}/{len(citations)}"


def _share(values: Sequence[float]) -> str:
    return f"{100 * mean(values):.0f} %" if values else "–"


def _score(values: Sequence[float]) -> str:
    return f"{100 * mean(values):.1f}" if values else "–"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
