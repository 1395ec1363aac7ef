"""How well is a ranking? Pure; relevance is binary, and a repeated id counts at its first place.

nDCG is Järvelin and Kekäläinen 2002; the reciprocal rank is TREC's (Voorhees 1999).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log2


def recall_at(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Give the share of the relevant that stands among the first `k`; 0 where nothing is."""
    wanted = set(relevant)
    return len(set(_distinct(ranked)[:k]) & wanted) / len(wanted) if wanted else 0.0


def reciprocal_rank(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """Give 1 / the place of the first relevant one, places from 1; 0 where none is ranked."""
    wanted = set(relevant)
    places = (p for p, id_ in enumerate(_distinct(ranked), start=1) if id_ in wanted)
    return next((1 / place for place in places), 0.0)


def ndcg_at(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Give the discounted gain of the first `k` over the best possible, 0 to 1."""
    wanted = set(relevant)
    gained = sum(
        1 / log2(place + 1)
        for place, id_ in enumerate(_distinct(ranked)[:k], start=1)
        if id_ in wanted
    )
    best = sum(1 / log2(place + 1) for place in range(1, min(k, len(wanted)) + 1))
    return gained / best if best else 0.0


def hit_at(
    ranked: Sequence[tuple[str, int, int]], source: str, golds: Sequence[tuple[int, int]], k: int
) -> float:
    """Give 1.0 where one of the first `k` spans, (source, start, end), holds a whole gold span."""
    return float(
        any(
            name == source and start <= a and b <= end
            for name, start, end in ranked[:k]
            for a, b in golds
        )
    )


def _distinct(ranked: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(ranked))
