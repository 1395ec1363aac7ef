"""How well are questions answered? Real models, the chain that serves, one line a figure.

    python benchmarks/answers.py seeds/questions.jsonl --documents seeds
    python benchmarks/answers.py QUESTIONS.jsonl --documents DOCUMENTS.jsonl --limit 100

Questions: `{"question", "answerable", "answers", "document", "evidence": [[start, end], ...]}` a
line, offsets in code points. Documents: a folder of files, or a JSONL file of
`{"id", "title", "text"}`; `document` then names an id, or a file's stem.

F1 is SQuAD's (Rajpurkar et al. 2016): best token overlap with any gold answer, over lower-cased
words without articles and punctuation; a refused answerable question counts 0. "Right" means that
a gold answer stands in the answer, or that F1 is at least 0.5.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

from rich.progress import track

from api.terminal import fetch_weights
from index.library import Library, Upload
from index.load import name_document
from qa.bootstrap import Service, build_library, build_service, warm_embedder, warm_reader
from qa.chain import answer
from qa.evaluation.answers import containment, token_f1
from qa.settings import Settings
from qa.types import Answer, Ask

COLLECTION = "benchmark"


@dataclass(frozen=True, slots=True)
class Scored:
    """One question and how its answer did."""

    question: dict[str, Any]
    answer: Answer
    f1: float
    right: bool
    reached: bool
    exact: int


def main() -> None:
    """Ask every question and print the figures."""
    options = _parse()
    lines = options.questions.read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines][: options.limit]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings().model_copy(
            update={"home": Path(folder), "cache": Settings().cache_path}
        )
        fetch_weights(settings)
        service = build_service(settings, library=_fill(settings, options.documents))
        try:
            scored = asyncio.run(_ask_all(service, questions))
        finally:
            service.close()
    report(scored, verbose=options.verbose)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=None, help="the first so many questions")
    parser.add_argument("--verbose", action="store_true", help="list what went wrong")
    return parser.parse_args()


def _fill(settings: Settings, documents: Path) -> Library:
    library = build_library(settings)
    for upload in track(list(_read(documents)), description="ingesting"):
        library.ingest(upload)
    return library


def _read(documents: Path) -> list[Upload]:
    if documents.is_dir():
        files = sorted(p for p in documents.iterdir() if p.suffix in {".txt", ".md"})
        return [Upload(p.read_bytes(), p.name, COLLECTION, source=p.stem) for p in files]
    rows = map(json.loads, documents.read_text(encoding="utf-8").splitlines())
    return [
        Upload(r["text"].encode(), "document.txt", COLLECTION, source=r["id"], title=r["title"])
        for r in rows
    ]


async def _ask_all(service: Service, questions: list[dict[str, Any]]) -> list[Scored]:
    warm_embedder(service)
    await warm_reader(service)
    scored = []
    for question in track(questions, description="asking"):
        given = await answer(service.chain, Ask(question["question"], COLLECTION))
        scored.append(score(question, given, service.library))
    return scored


def score(question: dict[str, Any], given: Answer, library: Library) -> Scored:
    """Hold an answer against the gold ones and against the source."""
    golds = question["answers"]
    best = token_f1(given.text, golds) if golds else 0.0
    held = bool(containment(given.text, golds))
    document = name_document(COLLECTION, question["document"])
    reached = any(
        e.document_id == document and e.start <= start and end <= e.end
        for e in given.evidence
        for start, end in question["evidence"]
    )
    exact = sum(
        library.document(c.document_id).text[c.start : c.end] == c.quote for c in given.citations
    )
    right = given.answered and (held or best >= 0.5)
    return Scored(question, given, best, right, reached, exact)


def report(scored: list[Scored], *, verbose: bool) -> None:
    """Print the figures, and with `verbose` every question that went wrong."""
    can = [s for s in scored if s.question["answerable"]]
    cannot = [s for s in scored if not s.question["answerable"]]
    citations = sum(len(s.answer.citations) for s in scored)
    seconds = [s.answer.timings.total for s in scored]
    tenths = quantiles(seconds, n=10) if len(seconds) > 1 else seconds * 9
    print(f"questions               {len(scored)} ({len(can)} answerable)")
    if can:
        print(f"evidence reached        {_share([s.reached for s in can])}")
        print(f"right                   {_share([s.right for s in can])}")
        print(f"token F1                {100 * mean(s.f1 for s in can):.1f}")
    if cannot:
        print(f"refused, of the others  {_share([not s.answer.answered for s in cannot])}")
    print(f"citations exact         {sum(s.exact for s in scored)}/{citations}")
    print(f"seconds, median / p90   {median(seconds):.2f} / {tenths[8]:.2f}")
    if can:
        own = median(s.answer.timings.total for s in can)
        print(f"  of the answerable     {own:.2f}")
    reasons = Counter(s.answer.refusal.code for s in scored if s.answer.refusal)
    print(
        "refusals                " + ", ".join(f"{code} {n}" for code, n in reasons.most_common())
    )
    if verbose:
        for s in scored:
            if s.right != s.question["answerable"] or (s.answer.answered and not s.right):
                _explain(s)


def _share(flags: list[bool]) -> str:
    return f"{sum(flags)}/{len(flags)} ({100 * mean(flags):.1f} %)"


def _explain(s: Scored) -> None:
    refusal = s.answer.refusal
    given = f"refused: {refusal.code} {refusal.terms}" if refusal else s.answer.text
    print(f"- {s.question['question']}\n    got {given}\n    gold {s.question['answers'][:2]}")
    print(f"    evidence {'reached' if s.reached else 'missed'}")


if __name__ == "__main__":
    main()
