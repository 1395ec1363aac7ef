"""Embedding speed beside `HuggingFaceEmbeddings` with its defaults, as a ratio within one run.

    pip install -c constraints.txt -e '.[benchmark]'
    python benchmarks/embedding.py DOCUMENTS.jsonl [--questions QUESTIONS.jsonl]

The same passages, the same weights, the same machine, in turns (A B A B ...), so that a machine
whose speed drifts slows both. With questions, both sets of vectors also rank the passages: the
share of answerable questions with their evidence in the first 5 must not differ. bfloat16 is used
only where the processor multiplies it; the first line says whether this one does.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from langchain_huggingface import HuggingFaceEmbeddings

from api.terminal import fetch_weights
from index.chunk import chunk
from index.embed import choose_dtype
from index.load import build_document
from index.types import Passage, Vectors
from qa.bootstrap import build_embedder
from qa.settings import Settings


def main() -> None:
    """Time both in turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("documents", type=Path)
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--passages", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings = Settings()
    folder = fetch_weights(settings, language_model=False)[0]
    able = torch.cpu.get_capabilities()
    bfloat16 = bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    print(f"bfloat16 in this processor: {bfloat16}; ours runs in {choose_dtype('auto')}")
    passages = _passages(options.documents)
    sample = passages[:: max(1, len(passages) // options.passages)]
    ours, theirs = build_embedder(settings), HuggingFaceEmbeddings(model_name=str(folder))
    texts = [p.text for p in sample]
    ours.embed_passages(sample[:32])
    theirs.embed_documents(texts[:32])
    pairs = []
    for _ in range(options.rounds):
        a, b = (
            _time(lambda: ours.embed_passages(sample)),
            _time(lambda: theirs.embed_documents(texts)),
        )
        pairs.append((a, b))
        print(f"  ours {len(sample) / a:.1f}/s, theirs {len(sample) / b:.1f}/s, ratio {b / a:.2f}")
    sentences = sum(len(p.sentences) for p in sample)
    print(f"passages {len(sample)}; ours also gave {sentences} sentence vectors")
    print(f"ratio, median of {options.rounds}: {median(b / a for a, b in pairs):.2f}")
    if options.questions:
        _compare_retrieval(options.questions, passages, ours, theirs)


def _passages(path: Path) -> list[Passage]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [
        passage
        for row in rows
        for passage in chunk(
            build_document(
                row["text"].encode(),
                name="d.txt",
                collection="b",
                source=row["id"],
                title=row["id"],
            )
        )
    ]


def _time(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _compare_retrieval(path: Path, passages: list[Passage], ours: Any, theirs: Any) -> None:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    questions = [row for row in rows if row["answerable"]]
    asked = [q["question"] for q in questions]
    texts = [p.text for p in passages]
    own = np.stack([e.vector for e in ours.embed_passages(passages)])
    foreign = np.array(theirs.embed_documents(texts), dtype=np.float32)
    mine = _hit(questions, passages, own, ours.embed_queries(asked))
    print(f"evidence in the first 5: ours {mine:.3f}")
    other = np.array([theirs.embed_query(q) for q in asked], dtype=np.float32)
    print(f"                       theirs {_hit(questions, passages, foreign, other):.3f}")
    print(f"least cosine of the two vectors of a passage: {(own * foreign).sum(axis=1).min():.5f}")


def _hit(questions: list[Any], passages: list[Passage], rows: Vectors, queries: Vectors) -> float:
    hits = 0
    for question, query in zip(questions, queries, strict=True):
        best = np.argsort(-(rows @ query))[:5]
        hits += any(
            passages[i].title == question["document"]
            and passages[i].start <= start
            and end <= passages[i].end
            for i in best
            for start, end in question["evidence"]
        )
    return hits / len(questions)


if __name__ == "__main__":
    main()
