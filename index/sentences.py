"""A question and the passages found for it -> how likely each of their sentences answers it.

A linear model over a few named features gives each sentence a score; over all sentences of one
question the scores are a conditional logit (McFadden 1974): `chance` is a share of 1. The weights
stand in `sentences.json`, which `benchmarks/fit_sentences.py` writes. What kind of answer a
question asks for is known of English questions only; elsewhere those features are 0.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from index.tokens import space_out
from index.types import Embedded, Passage, SentenceHit, Vectors

FEATURES = (
    "similarity",
    "words",
    "coverage",
    "with_the_sentence_before",
    "passage_coverage",
    "passage_similarity",
    "numbers",
    "time",
    "quantity",
    "name",
    "length",
)
"""The columns of `measure`, in their order.

`similarity`: cosine of question and sentence. `words`: BM25, as a share of the best sentence's.
`coverage`: the share of the question's words that the sentence holds, rarer ones counting more;
`passage_coverage`: that its passage holds; `with_the_sentence_before`: how much the one before adds
to it. `passage_similarity`: the passage's cosine less the best passage's. `numbers`: the share of
the question's numbers. `time`, `quantity`, `name`: 1 where the question asks for one and the
sentence has one, a name being one that the question does not give. `length`: ln of code points.
"""

WEIGHTS = Path(__file__).with_name("sentences.json")

_ASKS_TIME = re.compile(
    r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade|time)\b", re.IGNORECASE
)
_ASKS_QUANTITY = re.compile(
    r"\bhow (?:many|much|long|old|far|large|big|tall|high|often|fast|wide|deep)\b"
    r"|\b(?:percentage|percent|number|amount|population)\b",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(
    r"\bwho(?:m|se)?\b|\bwhere\b"
    r"|\b(?:what|which) (?:country|city|state|place|region|location|town|area)\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b1\d{3}\b|\b20\d{2}\b|\b\d{2,4}s\b|\b(?:January|February|March|April|May|June|July|August"
    r"|September|October|November|December)\b|\b(?:century|centuries|decade)\b"
)
_QUANTITY = re.compile(
    r"\b(?:\d[\d,.]*|two|three|four|five|six|seven|eight|nine|ten|twelve|dozen|hundred|thousand"
    r"|million|billion|half|third|quarter|once|twice|percent)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=[^\W\d_] |[,;:(] )[A-Z][\w'-]+|\b[A-Z][a-z]+ [A-Z][a-z]+")

Features = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Matched:
    """Word statistics of some sentences against a question.

    `bm25` has one score a sentence, 0 where no word matches; `held` the stems of each sentence;
    `asked` those of the question, without its stop words.
    """

    bm25: npt.NDArray[np.float64]
    held: tuple[frozenset[str], ...]
    asked: frozenset[str]


def rank_sentences(
    found: Sequence[tuple[Passage, Embedded]], question: str, query: Vectors, words: Sequence[str]
) -> list[tuple[SentenceHit, ...]]:
    """Score every sentence of the passages, which come best first; same order out.

    `query` is the question's unit vector, `words` are its words without stop words.
    """
    features = measure(found, question, query, words)
    if not len(features):
        return [() for _ in found]
    scores = features @ _weights()
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    ranked = iter(zip(scores.tolist(), chances.tolist(), strict=True))
    return [
        tuple(SentenceHit(span, *next(ranked)) for span in passage.sentences)
        for passage, _ in found
    ]


def measure(
    found: Sequence[tuple[Passage, Embedded]], question: str, query: Vectors, words: Sequence[str]
) -> Features:
    """Give one row of `FEATURES` for each sentence, in the passages' order."""
    places = [p for p, (passage, _) in enumerate(found) for _ in passage.sentences]
    if not places:
        return np.zeros((0, len(FEATURES)))
    texts = [passage.slice(span) for passage, _ in found for span in passage.sentences]
    similarity = np.concatenate([embedded.sentences @ query for _, embedded in found])
    passages = np.array([float(embedded.vector @ query) for _, embedded in found])
    matched = match(texts, words)
    coverage, joined, whole = _cover(matched, places)
    figures = frozenset(w for w in matched.asked if w[0].isdigit())
    best = matched.bm25.max()
    columns = (
        similarity,
        matched.bm25 / best if best > 0 else matched.bm25,
        coverage,
        joined - coverage,
        whole,
        passages[places] - passages.max(),
        [len(figures & held) / len(figures) if figures else 0.0 for held in matched.held],
        _both(_ASKS_TIME, question, [bool(_TIME.search(t)) for t in texts]),
        _both(_ASKS_QUANTITY, question, [bool(_QUANTITY.search(t)) for t in texts]),
        _both(_ASKS_NAME, question, [_has_other_name(t, question) for t in texts]),
        [np.log(max(len(t), 1)) for t in texts],
    )
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])


def match(texts: Sequence[str], words: Sequence[str]) -> Matched:
    """Match a question's words with sentences, by the catalog's own tokenizer and stemmer.

    An FTS5 table lives for the few milliseconds that this takes.
    """
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(
            "CREATE VIRTUAL TABLE sentences USING fts5(text, "
            "tokenize='porter unicode61 remove_diacritics 2')"
        )
        db.execute("CREATE VIRTUAL TABLE stems USING fts5vocab(sentences, instance)")
        insert = "INSERT INTO sentences(rowid, text) VALUES (?, ?)"
        db.executemany(insert, enumerate(map(space_out, texts)))
        bm25 = np.zeros(len(texts))
        if words:  # FTS5 takes an empty query for a syntax error
            query = " OR ".join(f'"{word}"' for word in words)
            ranked = "SELECT rowid, -rank FROM sentences WHERE sentences MATCH ?"
            for row, score in db.execute(ranked, (query,)):
                bm25[row] = score
        db.execute(insert, (len(texts), " ".join(words)))
        held: list[set[str]] = [set() for _ in range(len(texts) + 1)]
        for stem, row in db.execute("SELECT term, doc FROM stems"):
            held[row].add(stem)
    *sentences, asked = map(frozenset, held)
    return Matched(bm25, tuple(sentences), asked)


def _cover(matched: Matched, places: Sequence[int]) -> tuple[Features, Features, Features]:
    """Share of the question's words: of each sentence, with the one before it, of its passage.

    A word weighs ln(1 + n / (0.5 + the sentences that hold it)), n being all sentences.
    """
    asked = sorted(matched.asked)
    count = len(matched.held)
    holds = np.array([[stem in held for stem in asked] for held in matched.held], dtype=bool)
    holds = holds.reshape(count, len(asked))
    weight = np.log1p(count / (0.5 + holds.sum(axis=0)))
    total = weight.sum() or 1.0
    place = np.asarray(places)
    before = np.zeros_like(holds)
    before[1:] = holds[:-1] & (place[1:] == place[:-1])[:, None]
    passages = np.array([holds[place == p].any(axis=0) for p in range(place.max() + 1)])
    return (
        holds @ weight / total,
        (holds | before) @ weight / total,
        passages[place] @ weight / total,
    )


def _both(asks: re.Pattern[str], question: str, has: Sequence[bool]) -> list[float]:
    return [float(h) for h in has] if asks.search(question) else [0.0] * len(has)


def _has_other_name(text: str, question: str) -> bool:
    known = question.casefold()
    return any(name.casefold() not in known for name in _NAME.findall(text))


@cache
def _weights() -> Features:
    weights: dict[str, float] = json.loads(WEIGHTS.read_text(encoding="utf-8"))["weights"]
    return np.array([weights[name] for name in FEATURES])
