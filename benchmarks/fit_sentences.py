"""Fit the weights that rank sentences (`index/sentences.json`), and say what they are worth.

    python benchmarks/fit_sentences.py DOCUMENTS.jsonl FIT.jsonl REPORT.jsonl... [--write]

FIT and REPORT are question sets in the format of `benchmarks/answers.py`; only answerable questions
count. The weights maximise the likelihood of the gold sentences among all sentences of the passages
that search finds, less an L2 penalty on the standardised weights. The figures on FIT are
cross-validated: a question is ranked by weights that were fitted without its document.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from rich.progress import track

from api.terminal import fetch_weights
from index.library import Library, Upload
from index.load import name_document
from index.search import query_words
from index.sentences import FEATURES, WEIGHTS, Features, measure
from index.types import Embedded, Embedder
from qa.bootstrap import build_library
from qa.evidence import worth_reading
from qa.settings import Settings
from qa.types import SMALL

COLLECTION = "benchmark"
PENALTY = 1e-3
HITS = Settings().passages


@dataclass(frozen=True, slots=True)
class Case:
    """An answerable question: a row of features, a length and a mark of gold for each sentence."""

    document: str
    features: Features
    lengths: tuple[int, ...]
    gold: tuple[bool, ...]


def main() -> None:
    """Fit, report, and with `--write` keep the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("documents", type=Path)
    parser.add_argument("fit", type=Path)
    parser.add_argument("report", type=Path, nargs="*")
    parser.add_argument("--write", action="store_true", help=f"write {WEIGHTS.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings().model_copy(
            update={"home": Path(folder), "cache": Settings().cache_path}
        )
        fetch_weights(settings, language_model=False)
        library = build_library(settings)
        try:
            _fill(library, options.documents)
            fitting = _collect(library, options.fit)
            reports = {path.name: _collect(library, path) for path in options.report}
        finally:
            library.close()
    weights = fit(fitting)
    report(f"{options.fit.name}, cross-validated", fitting, _cross_validate(fitting))
    for name, cases in reports.items():
        report(name, cases, [c.features @ weights for c in cases])
    for name, weight in zip(FEATURES, weights, strict=True):
        print(f"{name:26} {weight:8.3f}")
    if options.write:
        _write(weights, len(fitting))


def fit(cases: Sequence[Case]) -> Features:
    """Give the weights of `FEATURES`, for features as they are measured."""
    useful = [c for c in cases if any(c.gold)]
    everything = np.concatenate([c.features for c in useful])
    scale = everything.std(axis=0) + 1e-9
    rows = [torch.tensor(c.features / scale) for c in useful]
    golds = [torch.tensor(c.gold) for c in useful]
    weights = torch.zeros(len(FEATURES), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")
    sizes = [len(c.gold) for c in useful]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    gold = torch.nn.utils.rnn.pad_sequence(golds, batch_first=True)
    real = torch.arange(padded.shape[1])[None, :] < torch.tensor(sizes)[:, None]

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        chances = (padded @ weights).masked_fill(~real, -torch.inf).log_softmax(dim=1)
        likelihood = chances.masked_fill(~gold, -torch.inf).logsumexp(dim=1).mean()
        value = PENALTY * (weights**2).sum() - likelihood
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]  # torch's own annotation is missing
    return weights.detach().numpy() / scale


def report(name: str, cases: Sequence[Case], scores: Sequence[Features]) -> None:
    """Print how often the gold sentence is among those shown, and how much is shown."""
    print(f"{name}: {len(cases)} answerable questions")
    for count in (1, 2, 3, 4):
        shown = [np.argsort(-s, kind="stable")[:count].tolist() for s in scores]
        _print(f"the best {count}", cases, shown)
    shown = []
    for case, score in zip(cases, scores, strict=True):
        chances = np.exp(score - score.max())
        order = np.argsort(-score, kind="stable").tolist()
        lengths = [case.lengths[i] for i in order]
        kept = worth_reading(
            lengths,
            (chances / chances.sum())[order].tolist(),
            sentences=SMALL.sentences,
            characters=SMALL.characters,
            worth=SMALL.worth,
        )
        shown.append([order[i] for i in kept])
    _print("worth reading", cases, shown)


def _print(name: str, cases: Sequence[Case], shown: Sequence[Sequence[int]]) -> None:
    hit = mean(any(c.gold[i] for i in s) for c, s in zip(cases, shown, strict=True))
    used = [sum(c.lengths[i] for i in s) for c, s in zip(cases, shown, strict=True)]
    print(f"  {name:14} hit {100 * hit:5.1f} %, characters {median(used):.0f} / {mean(used):.0f}")


def _cross_validate(cases: Sequence[Case]) -> list[Features]:
    fitted = {
        document: fit([c for c in cases if c.document != document])
        for document in sorted({c.document for c in cases})
    }
    return [c.features @ fitted[c.document] for c in cases]


def _fill(library: Library, documents: Path) -> None:
    rows = list(map(json.loads, documents.read_text(encoding="utf-8").splitlines()))
    for r in track(rows, description="ingesting"):
        library.ingest(
            Upload(r["text"].encode(), "document.txt", COLLECTION, source=r["id"], title=r["title"])
        )


def _collect(library: Library, path: Path) -> list[Case]:
    lines = path.read_text(encoding="utf-8").splitlines()
    questions = [q for q in map(json.loads, lines) if q["answerable"]]
    known: dict[str, Embedded] = {}
    return [
        _measure(library, library.embedder, q, known)
        for q in track(questions, description=path.name)
    ]


def _measure(
    library: Library, embedder: Embedder, question: dict[str, Any], known: dict[str, Embedded]
) -> Case:
    text = question["question"]
    hits = library.search(text, collection=COLLECTION, limit=HITS)
    fresh = [h.passage for h in hits if h.passage.id not in known]
    if fresh:
        known |= zip((p.id for p in fresh), embedder.embed_passages(fresh), strict=True)
    found = [(h.passage, known[h.passage.id]) for h in hits]
    features = measure(found, text, embedder.embed_queries([text])[0], query_words(text))
    document = name_document(COLLECTION, question["document"])
    spans = [(p.document_id == document, s) for p, _ in found for s in p.sentences]
    gold = tuple(
        here and any(s.start <= a and b <= s.end for a, b in question["evidence"])
        for here, s in spans
    )
    lengths = tuple(s.end - s.start for _, s in spans)
    return Case(question["document"], features, lengths, gold)


def _write(weights: Features, count: int) -> None:
    content = {
        "about": "Weights of index/sentences.py, written by benchmarks/fit_sentences.py",
        "fitted_on": f"{count} answerable questions, {datetime.now(UTC).date().isoformat()}",
        "weights": {n: round(float(w), 4) for n, w in zip(FEATURES, weights, strict=True)},
    }
    WEIGHTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"written: {WEIGHTS}")


if __name__ == "__main__":
    main()
