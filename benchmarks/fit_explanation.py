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
from fit_confidence import auc, fill, fit, hold_out, read_lines, read_options
from rich.progress import track

from api.terminal import fetch_weights
from index.library import Library
from qa.bootstrap import build_library, build_reader, build_verifier
from qa.chain import judge_passages, narrow_evidence
from qa.conclusion import Turn, draft
from qa.evaluation.questions import read_questions
from qa.evaluation.types import Question
from qa.evidence import select
from qa.explanation import FEATURES, WEIGHTS, measure
from qa.models import Reader
from qa.prompts import trained_messages
from qa.settings import Settings
from qa.types import Ask
from qa.verifier import WIDE, Reach, Verifier

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
    options = read_options(__doc__, WEIGHTS)
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
    questions = questions[: options.limit]
    profile = reader.profile
    reach = Reach(profile.sentences, profile.characters, profile.worth)
    with build_library(settings) as library, options.out.open("w", encoding="utf-8") as out:
        sources = fill(library, options.documents, collection)
        for question in track(questions, description="asking"):
            turn = narrow_evidence(_find(library, collection, question), verifier, reach)
            row = await _ask(turn, question, sources, reader, verifier)
            if row is not None:
                out.write(json.dumps(row) + "\n")


def _find(library: Library, collection: str, question: Question) -> Turn:
    hits = library.search(question.text, collection=collection, limit=Settings().passages)
    wide = select(hits, sentences=WIDE.sentences, characters=WIDE.characters, worth=WIDE.worth)
    ask = Ask(question.text, collection)
    return Turn(ask, began=0.0, question=question.text, hits=tuple(hits), evidence=wide)


async def _ask(
    turn: Turn, question: Question, sources: dict[str, str], reader: Reader, verifier: Verifier
) -> dict[str, Any] | None:
    """Give the sentences of the passages that a reply names; None for a phrase."""
    model = await reader.answering()
    reply = await model.ainvoke(trained_messages(turn.question, turn.evidence))
    drafted = draft(turn, str(reply.text))
    if not drafted.quoted or not drafted.claims:
        return None
    named = frozenset(n for claim in drafted.claims for n in claim.numbers)
    rows: list[list[float]] = []
    gold: list[list[int]] = []
    for passage in judge_passages(turn, drafted, verifier):
        rows += [[features[name] for name in FEATURES] for features in measure(passage, named)]
        gold += [
            [
                place
                for place, (start, past) in enumerate(question.evidence)
                if sources[e.document_id] == question.document and start < e.end and e.start < past
            ]
            for e in passage.sentences
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
