"""Fit the confidence of answers (`qa/confidence.json`), and say what it is worth.

    python benchmarks/fit_confidence.py ask DOCUMENTS.jsonl QUESTIONS.jsonl OUT.jsonl [--limit N]
    python benchmarks/fit_confidence.py fit OUT.jsonl... [--write]

`ask` asks the default models without any threshold, and writes what each answer's confidence is
estimated from; it goes on where it stopped. `fit` fits the logistic model of the features that the
runs have, and leaves the others as they are, by Newton's method with an L2 penalty on the
standardised weights; the figures are cross-validated: an answer is judged by weights that were
fitted without its document. A trained reader is asked what it was not trained on: `held-*.jsonl`
of `benchmarks/reader_examples.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from rich.progress import track

from api.terminal import fetch_weights
from index.library import Library, Upload
from qa.bootstrap import build_library, build_service
from qa.chain import answer
from qa.confidence import FEATURES, WEIGHTS
from qa.evaluation.answers import containment, token_f1, word_count
from qa.evaluation.questions import read_documents, read_questions
from qa.evaluation.types import Question
from qa.settings import Settings
from qa.types import Answer, Ask

PENALTY = 10.0
LONG_WORDS = 15
"""Gold answers longer than this are judged by the sentences cited, not by their words."""
RIGHT_F1 = 0.5
STEPS = tuple(n / 50 for n in range(8, 43))
"""The thresholds whose figures are printed, for a person to choose from."""
ROUNDS = 50

Rows: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """An answer of a run: its features, empty for a refusal; whether it is right; its F1."""

    document: str
    answerable: bool
    features: dict[str, float]
    right: bool
    f1: float


def main() -> None:
    """Ask, or fit."""
    options = read_options(__doc__, WEIGHTS)
    if options.verb == "ask":
        asyncio.run(_ask_all(options))
    else:
        _fit_all(options.runs, write=options.write)


def read_options(about: str, weights: Path) -> argparse.Namespace:
    """Read the command line of a program that asks, and fits `weights` to what was told."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    asking = verbs.add_parser("ask")
    asking.add_argument("documents", type=Path)
    asking.add_argument("questions", type=Path)
    asking.add_argument("out", type=Path)
    asking.add_argument("--limit", type=int)
    fitting = verbs.add_parser("fit")
    fitting.add_argument("runs", type=Path, nargs="+")
    fitting.add_argument("--write", action="store_true", help=f"write {weights.name}")
    return parser.parse_args()


async def _ask_all(options: argparse.Namespace) -> None:
    settings = Settings(risk="open")
    fetch_weights(settings)
    library = build_library(settings)
    collection = f"fit-{options.documents.parent.name}"
    sources = fill(library, options.documents, collection)
    service = build_service(settings, library=library)
    done = {json.loads(line)["id"] for line in read_lines(options.out)}
    questions = read_questions(options.questions).questions[: options.limit]
    try:
        with options.out.open("a", encoding="utf-8") as out:
            for question in track(questions, description="asking"):
                if question.id not in done:
                    told = await answer(service.chain, Ask(question.text, collection, explain=True))
                    out.write(json.dumps(_record(question, told, sources)) + "\n")
                    out.flush()
    finally:
        service.close()


def fill(library: Library, documents: Path, collection: str) -> dict[str, str]:
    """Ingest; give the source of each document's id."""
    for upload in track(read_documents(documents), description="ingesting"):
        library.ingest(Upload(upload.data, upload.name, collection, upload.source, upload.title))
    return {record.id: record.source for record in library.documents(collection)}


def _record(question: Question, told: Answer, sources: dict[str, str]) -> dict[str, Any]:
    cited = [(sources[c.document_id], c.start, c.end) for c in told.citations]
    return {
        "id": question.id,
        "document": question.document or next((sources[e.document_id] for e in told.evidence), ""),
        "answerable": question.answerable,
        "answer": told.text,
        "right": told.answered and _is_right(question, told.text, cited),
        "f1": token_f1(told.text, question.answers),
        "features": dict(told.features),
        "seconds": told.timings.total,
    }


def _is_right(question: Question, text: str, cited: Sequence[tuple[str, int, int]]) -> bool:
    if not question.answerable:
        return False
    if min(map(word_count, question.answers), default=0) > LONG_WORDS:
        return any(
            source == question.document and start < past and end > first
            for source, start, end in cited
            for first, past in question.evidence
        )
    return (
        containment(text, question.answers) == 1.0 or token_f1(text, question.answers) >= RIGHT_F1
    )


def _fit_all(runs: Sequence[Path], *, write: bool) -> None:
    sets = {run.stem: [_read(json.loads(line)) for line in read_lines(run)] for run in runs}
    told = [case for cases in sets.values() for case in cases if case.features]
    # What a risk accepts is a choice, made from these figures by hand; it stays as it is written.
    fitted: dict[str, Any] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    chances: dict[str, Rows] = {}
    for name, columns in FEATURES.items():
        known = np.array([_is_known_by(name, case) for case in told])
        if not known.any():
            continue  # of another kind of reader than the one that was asked
        cases = [case for case, is_one in zip(told, known, strict=True) if is_one]
        right = np.array([case.right for case in cases], dtype=float)
        rows = np.array([[case.features[c] for c in columns] for case in cases])
        bias, weights = fit(rows, right)
        fitted[name] = {
            "about": f"from {len(cases)} answers to {', '.join(sets)}; "
            f"benchmarks/fit_confidence.py, {datetime.now(UTC).date()}",
            "bias": round(bias, 4),
            "weights": {c: round(float(w), 4) for c, w in zip(columns, weights, strict=True)},
        }
        chances[name] = np.full(len(told), np.nan)
        chances[name][known] = hold_out(rows, right, [case.document for case in cases])
        held_out = auc(right, chances[name][known])
        print(f"{name}: {len(cases)} answers, AUC held out {held_out:.3f}")
        for column, weight in fitted[name]["weights"].items():
            print(f"  {column:12} {weight:8.3f}")
    place = {id(case): n for n, case in enumerate(told)}
    for run, cases in sets.items():
        for least in (*STEPS, *fitted["thresholds"].values()):
            print(f"{run}, {least:.2f}: {_describe(cases, place, _conclude(chances), least)}")
    if write:
        WEIGHTS.write_text(json.dumps(fitted, indent=2) + "\n")
        print(f"written: {WEIGHTS}")


def _is_known_by(name: str, case: Case) -> bool:
    """Say whether a case is one of those that a set of weights is for."""
    if "similarity" in case.features:
        return name == "quoted"
    if "stated" in case.features:
        return name == "trained"
    return name in {"checked", "unchecked"}


def hold_out(rows: Rows, right: Rows, documents: Sequence[str]) -> Rows:
    """Give each answer its chance by weights that were fitted without its document."""
    chances = np.zeros(len(right))
    for document in set(documents):
        out = np.array([other == document for other in documents])
        bias, weights = fit(rows[~out], right[~out])
        chances[out] = 1 / (1 + np.exp(-(rows[out] @ weights + bias)))
    return chances


def _conclude(chances: dict[str, Rows]) -> Rows:
    """Give the confidences that decide, of whatever kind of reply."""
    if "trained" not in chances:
        return chances["checked"]
    first = chances["trained"]
    return np.where(np.isnan(first), chances["quoted"], first)


def fit(rows: Rows, right: Rows) -> tuple[float, Rows]:
    """Give the bias and the weights of a logistic regression, for features as they are."""
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    scaled = np.column_stack([np.ones(len(rows)), (rows - middle) / spread])
    penalty = PENALTY * np.eye(scaled.shape[1])
    penalty[0, 0] = 0.0
    weights = np.zeros(scaled.shape[1])
    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(-scaled @ weights))
        slope = scaled.T @ (right - chance) - penalty @ weights
        curve = (scaled * (chance * (1 - chance))[:, None]).T @ scaled + penalty
        weights += np.linalg.solve(curve, slope)
    return float(weights[0] - weights[1:] @ (middle / spread)), weights[1:] / spread


def auc(right: Rows, chances: Rows) -> float:
    """Give the chance that a right answer has more confidence than a wrong one."""
    ahead = np.subtract.outer(chances[right == 1], chances[right == 0])
    return float(((ahead > 0) + 0.5 * (ahead == 0)).mean())


def _describe(cases: Sequence[Case], place: dict[int, int], chances: Rows, least: float) -> str:
    kept = {id(c): _is_kept(c, place, chances, least) for c in cases}
    has = [c for c in cases if c.answerable]
    no = [c for c in cases if not c.answerable]
    given = [c for c in cases if kept[id(c)]]
    f1 = mean(c.f1 if kept[id(c)] else 0.0 for c in has)
    refused = mean(float(not kept[id(c)]) for c in no)
    overall = (f1 * len(has) + refused * len(no)) / len(cases)
    answered = mean(float(kept[id(c)]) for c in has)
    right = mean(float(c.right) for c in given) if given else 1.0
    return (
        f"F1 {100 * overall:.1f}, HasAns {100 * f1:.1f}, refused {100 * refused:.0f} %, "
        f"answered {100 * answered:.0f} % of the answerable, "
        f"of the answers right {100 * right:.0f} %"
    )


def _is_kept(case: Case, place: dict[int, int], chances: Rows, least: float) -> bool:
    return id(case) in place and bool(chances[place[id(case)]] >= least)


def _read(line: dict[str, Any]) -> Case:
    return Case(line["document"], line["answerable"], line["features"], line["right"], line["f1"])


def read_lines(path: Path) -> list[str]:
    """Give a run's lines; none where there is no such file."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
