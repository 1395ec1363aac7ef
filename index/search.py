"""Question text -> `[Hit]`: dense and BM25 rankings, fused by reciprocal rank; live passages only.

Reciprocal rank fusion is Cormack, Clarke and Büttcher, SIGIR 2009. The same fusion then ranks the
sentences of the hits: by their own vectors, by BM25 among themselves, and by their passage's place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Mapping, Sequence
from contextlib import closing
from typing import TypeVar

import numpy as np

from index.catalog import Catalog, tokenize
from index.types import Embedded, Embedder, Hit, Passage, SentenceHit, Span, Vectors
from index.vectors import VectorIndex

FUSION_K = 60
"""The constant of the paper, for passages."""
SENTENCE_FUSION_K = 20
"""Fewer candidates want a steeper curve: measured on the tune questions of SQuAD 2.0."""
CANDIDATES = 40
"""How many places of each ranking are fused, and read past what is no longer live."""

ATTEMPTS = 3
"""How often the rankings are read again where a document was replaced while they were."""

# Words that carry no topic; BM25's own idf says the same, more slowly, on a large collection.
STOP_WORDS = frozenset(
    "a an the of in on at to for from by with and or is are was were be been being do does did "
    "what which who whom whose when where why how that this these those it its as".split()
)

Key = TypeVar("Key", bound=Hashable)


def search(  # noqa: PLR0913  the collaborators, by name, are half of them
    query: str,
    *,
    collection: str,
    limit: int,
    catalog: Catalog,
    vectors: VectorIndex,
    embedder: Embedder,
) -> list[Hit]:
    """Give the best passages for a query, best first, with their sentences scored.

    Raises `CollectionNotFoundError`, `EmbedderMismatchError`.
    """
    catalog.check_embedder(collection, embedder.name)
    words = query_words(query)
    query_vector = embedder.embed_queries([query])[0]
    deep = max(CANDIDATES, limit)
    for _ in range(ATTEMPTS):
        keyword = catalog.match_words(collection, words, limit=deep)
        dense = vectors.query(collection, query_vector, limit=deep)
        scores = fuse([[i for i, _ in dense], keyword], k=FUSION_K)
        live = catalog.live_passages(collection, list(scores))
        # What was ranked and is gone was replaced in between: its successor has yet to be ranked.
        if len(live) == len(scores):
            break
    similar = dict(dense)
    ordered = sorted((i for i in scores if i in live), key=lambda i: (-scores[i], i))[:limit]
    sentences = rank_sentences([live[i] for i in ordered], query_vector, words)
    dense_ranks, keyword_ranks = _ranks(list(similar)), _ranks(keyword)
    return [
        Hit(
            passage=live[i][0],
            score=scores[i],
            similarity=similar.get(i, float(live[i][1].vector @ query_vector)),
            dense_rank=dense_ranks.get(i),
            keyword_rank=keyword_ranks.get(i),
            sentences=found,
        )
        for i, found in zip(ordered, sentences, strict=True)
    ]


def query_words(query: str) -> list[str]:
    """Give the distinct words of a query that say what it is about; all, where none does."""
    words = list(dict.fromkeys(tokenize(query)))
    return [w for w in words if w not in STOP_WORDS] or words


def fuse(rankings: Sequence[Sequence[Key]], *, k: int) -> dict[Key, float]:
    """Reciprocal rank fusion: each ranking adds 1 / (k + place), places from 1."""
    scores: dict[Key, float] = {}
    for ranking in rankings:
        for place, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (k + place)
    return scores


def rank_sentences(
    found: Sequence[tuple[Passage, Embedded]], query: Vectors, words: Sequence[str]
) -> list[tuple[SentenceHit, ...]]:
    """Score every sentence of the passages, which come best first; same order out."""
    keys = [(p, s) for p, (passage, _) in enumerate(found) for s in range(len(passage.sentences))]
    if not keys:
        return [() for _ in found]
    similarity = np.concatenate([embedded.sentences @ query for _, embedded in found])
    by_vector = [keys[i] for i in np.argsort(-similarity, kind="stable")]
    texts = {(p, s): found[p][0].slice(found[p][0].sentences[s]) for p, s in keys}
    scores = fuse([by_vector, match_sentences(texts, words)], k=SENTENCE_FUSION_K)
    places = {p: 1.0 / (SENTENCE_FUSION_K + p + 1) for p in range(len(found))}
    return [
        tuple(
            SentenceHit(span, scores[p, s] + places[p]) for s, span in enumerate(passage.sentences)
        )
        for p, (passage, _) in enumerate(found)
    ]


def match_sentences(texts: Mapping[Key, str], words: Sequence[str]) -> list[Key]:
    """Rank texts by BM25 among themselves, best first; those without any of the words are left out.

    The same FTS5 with the same stemmer as the catalog's, over a table that lives for a millisecond.
    """
    if not words:
        return []  # FTS5 takes an empty query for a syntax error
    keys = list(texts)
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(
            "CREATE VIRTUAL TABLE words USING fts5(text, "
            "tokenize='porter unicode61 remove_diacritics 2')"
        )
        db.executemany("INSERT INTO words(rowid, text) VALUES (?, ?)", enumerate(texts.values()))
        query = " OR ".join(f'"{word}"' for word in words)
        rows = db.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank", (query,))
        return [keys[row[0]] for row in rows]


def _ranks(ids: Sequence[str]) -> dict[str, int]:
    return {id_: place for place, id_ in enumerate(ids, start=1)}


def spans_by_score(hits: Sequence[Hit]) -> list[tuple[Hit, Span, float]]:
    """List every scored sentence of the hits, best first; ties keep the hits' order."""
    scored = [(hit, s.span, s.score) for hit in hits for s in hit.sentences]
    return sorted(scored, key=lambda item: -item[2])
