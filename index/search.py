"""Question text -> `[Hit]`: dense and BM25 rankings, fused by reciprocal rank; live passages only.

Reciprocal rank fusion is Cormack, Clarke and Büttcher, SIGIR 2009. `index.sentences` then ranks the
sentences of the hits.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from index.catalog import Catalog
from index.sentences import rank_sentences
from index.tokens import tokenize
from index.types import Embedder, Hit, SentenceHit
from index.vectors import VectorIndex

FUSION_K = 60
"""The constant of the paper."""
CANDIDATES = 40
"""How many places of each ranking are fused, and read past what is no longer live."""

ATTEMPTS = 3
"""How often the rankings are read again where a document was replaced while they were."""
MOST_ATTEMPTS = 50
"""How often where nothing of them is live any more: what is found may be old, but not nothing."""

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
    beside: Sequence[str] = (),
) -> list[Hit]:
    """Give the best passages for a query, best first, with their sentences scored.

    `beside` are other wordings of it: their rankings are fused with its own, and count as much. A
    hit's ranks and similarity, and its sentences' scores, are the query's.

    Raises `CollectionNotFoundError`, `EmbedderMismatchError`.
    """
    catalog.check_embedder(collection, embedder.name)
    wordings = [query, *beside]
    asked = [query_words(wording) for wording in wordings]
    asked_vectors = embedder.embed_queries(wordings)
    deep = max(CANDIDATES, limit)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        keywords = [catalog.match_words(collection, words, limit=deep) for words in asked]
        denses = [vectors.query(collection, vector, limit=deep) for vector in asked_vectors]
        scores = fuse([*([i for i, _ in dense] for dense in denses), *keywords], k=FUSION_K)
        live = catalog.live_passages(collection, list(scores))
        # What was ranked and is gone was replaced in between: its successor has yet to be ranked.
        if len(live) == len(scores) or (live and attempt >= ATTEMPTS):
            break
    keyword, similar, query_vector = keywords[0], dict(denses[0]), asked_vectors[0]
    ordered = sorted((i for i in scores if i in live), key=lambda i: (-scores[i], i))[:limit]
    sentences = rank_sentences([live[i] for i in ordered], query, query_vector, asked[0])
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


def _ranks(ids: Sequence[str]) -> dict[str, int]:
    return {id_: place for place, id_ in enumerate(ids, start=1)}


def sentences_by_score(hits: Sequence[Hit]) -> list[tuple[Hit, SentenceHit]]:
    """List every scored sentence of the hits, best first; ties keep the hits' order."""
    scored = [(hit, sentence) for hit in hits for sentence in hit.sentences]
    return sorted(scored, key=lambda item: -item[1].score)
