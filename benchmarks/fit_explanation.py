"""Fit which sentences of a passage explain (`qa/explanation.json`), and say what it is worth.

    python benchmarks/fit_explanation.py ask DOCUMENTS.jsonl QUESTIONS.jsonl OUT.jsonl
    python benchmarks/fit_explanation.py fit OUT.jsonl... [--write]

`ask` asks the default models the answerable questions; where the reader replies with numbers of
sentences, it writes the sentences of the passages that those are from: the features of
`qa.explanation`, and whether each is a gold one. `fit` fits the logistic model, and prints for some
thresholds the mean share of the sentences chosen that are gold, and of the gold ones (spans of the
set) that are chosen; cross-validated, a question is judged by weights that were fitted without its
document. The threshold is chosen from these figures by hand, and stays as it is written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from fit_confidence import auc, fill, fit, hold_out, read_lines
from rich.progress import track

from api.terminal import fetch_weights
from index.library import Library
from qa.bootstrap import build_library, build_reader, build_verifier
from qa.conclusion import Turn, draft, passages_cited
from qa.evaluation.questions import read_questions
from qa.evaluation.types import Question
from qa.evidence import narrow, renumber, select, whole_passages
from qa.explanation import FEATURES, WEIGHTS, Judged, measure
from qa.models import Reader
from qa.prompts import trained_messages
from qa.settings import Settings
from qa.types import Ask
from qa.verifier import WIDE, Verifier

STEPS = tuple(n / 20 for n in range(8, 16))


@dataclass(frozen=True, slots=True)
class Case:
    """A question: a row of features for each sentence, which gold spans it is in, and of how many.

    `gold` has the places of the question's spans.
    """

    document: str
    rows: list[list[float]]
    gold: list[list[int]]
    spans: int


def main() -> None:
    """Ask, or fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    asking = verbs.add_parser("ask")
    asking.add_argument("documents", type=Path)
    asking.add_argument("questions", type=Path)
    asking.add_argument("out", type=Path)
    fitting = verbs.add_parser("fit")
    fitting.add_argument("runs", type=Path, nargs="+")
    fitting.add_argument("--write", action="store_true", help=f"write {WEIGHTS.name}")
    options = parser.parse_args()
    if options.verb == "ask":
        asyncio.run(_ask_all(options))
    else:
        _fit_all(options.runs, write=options.write)


async def _ask_all(options: argparse.Namespace) -> None:
    settings = Settings()
    fetch_weights(settings)
    collection = f"explain-{options.documents.parent.name}"
    reader, verifier = build_reader(settings), build_verifier(settings)
    if verifier is None:
        raise SystemExit("The setting of the model leaves no verifier.")
    questions = [q for q in read_questions(options.questions).questions if q.evidence]
    with build_library(settings) as library, options.out.open("w", encoding="utf-8") as out:
        sources = fill(library, options.documents, collection)
        for question in track(questions, description="asking"):
            turn = _find(library, collection, question, verifier)
            row = await _ask(turn, question, sources, reader, verifier)
            if row is not None:
                out.write(json.dumps(row) + "\n")


def _find(library: Library, collection: str, question: Question, verifier: Verifier) -> Turn:
    hits = library.search(question.text, collection=collection, limit=Settings().passages)
    wide = select(hits, sentences=WIDE.sentences, characters=WIDE.characters, worth=WIDE.worth)
    return Turn(
        Ask(question.text, collection),
        began=0.0,
        question=question.text,
        hits=tuple(hits),
        evidence=wide,
        verdict=verifier.verify(question.text, wide),
    )


async def _ask(
    turn: Turn, question: Question, sources: dict[str, str], reader: Reader, verifier: Verifier
) -> dict[str, Any] | None:
    """Give the sentences of the passages that a reply names; None for a phrase."""
    assert turn.verdict is not None
    profile = reader.profile
    kept = narrow(
        turn.evidence,
        turn.verdict.relevant,
        sentences=profile.sentences,
        characters=profile.characters,
    )
    evidence = renumber([turn.evidence[place] for place in kept])
    model = await reader.answering()
    reply = str((await model.ainvoke(trained_messages(turn.question, evidence))).text)
    shown = Turn(turn.ask, turn.began, turn.question, turn.hits, evidence)
    drafted = draft(shown, reply)
    if not drafted.quoted:
        return None
    named = frozenset(n for claim in drafted.claims for n in claim.numbers)
    hits = passages_cited(shown, drafted)
    if not hits:
        return None
    rows: list[list[float]] = []
    gold: list[list[int]] = []
    for hit, passage in zip(hits, whole_passages(evidence, hits), strict=True):
        relevant = verifier.explain(turn.question, hit.passage.title, passage)
        judged = Judged(passage, relevant)
        rows += [[features[name] for name in FEATURES] for features in measure(judged, named)]
        gold += [
            [
                place
                for place, (start, past) in enumerate(question.evidence)
                if sources[e.document_id] == question.document and start < e.end and e.start < past
            ]
            for e in passage
        ]
    spans = len(question.evidence)
    return {"document": question.document, "rows": rows, "gold": gold, "spans": spans}


def _fit_all(runs: list[Path], *, write: bool) -> None:
    sets = {run.stem: [Case(**json.loads(line)) for line in read_lines(run)] for run in runs}
    cases = [case for read in sets.values() for case in read]
    rows = np.array([row for case in cases for row in case.rows])
    right = np.array([float(bool(g)) for case in cases for g in case.gold])
    documents = [case.document for case in cases for _ in case.rows]
    bias, weights = fit(rows, right)
    held_out = hold_out(rows, right, documents)
    print(f"{len(cases)} answers, {len(right)} sentences, AUC held out {auc(right, held_out):.3f}")
    chances = iter(held_out)
    told = {id(case): [next(chances) for _ in case.rows] for case in cases}
    for name, read in sets.items():
        for least in STEPS:
            pairs = [_weigh(case, told[id(case)], least) for case in read]
            precision, recall, count = (mean(column) for column in zip(*pairs, strict=True))
            print(
                f"{name}, {least:.2f}: precision {100 * precision:.1f}, recall {100 * recall:.1f}, "
                f"{count:.1f} sentences"
            )
    fitted = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    fitted["about"] = (
        f"from {len(cases)} answers to {', '.join(sets)}; "
        f"benchmarks/fit_explanation.py, {datetime.now(UTC).date()}"
    )
    fitted["bias"] = round(bias, 4)
    fitted["weights"] = {
        name: round(float(w), 4) for name, w in zip(FEATURES, weights, strict=True)
    }
    print(json.dumps(fitted, indent=2))
    if write:
        WEIGHTS.write_text(json.dumps(fitted, indent=2) + "\n")


def _weigh(case: Case, chances: list[float], least: float) -> tuple[float, float, int]:
    """Give precision, recall and the number of the sentences that are chosen."""
    enough = min(least, max(chances))
    chosen = [gold for gold, chance in zip(case.gold, chances, strict=True) if chance >= enough]
    found = {place for gold in chosen for place in gold}
    return mean(float(bool(gold)) for gold in chosen), len(found) / case.spans, len(chosen)


if __name__ == "__main__":
    main()
