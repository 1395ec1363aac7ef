"""Hits -> the few sentences that answer, in document order, inside a budget. Pure.

A small model reads few sentences as well as a whole page, in a fraction of the time; and in
document order the prompt keeps its beginning between questions, which the model then need not
read again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from index.search import sentences_by_score
from index.types import Hit, SentenceHit
from qa.types import Evidence
from qa.words import NEGATIONS, names, numbers, words

AT_LEAST = 2
"""So many sentences are read where there is room, whatever a verifier says of them."""
RELEVANT = -3.0
"""The least log-odds, a verifier's, of any other sentence."""
RETRIEVED = 0.5
"""How much the log-chance that the search gives a sentence counts beside a verifier's log-odds."""
COPY_OVERLAP = 0.9
"""The share of their words, of all words of both, that copies have in common."""


def select(
    hits: Sequence[Hit], *, sentences: int, characters: int, worth: float = 0.0
) -> tuple[Evidence, ...]:
    """Take the best-scored sentences that are worth reading, at least one.

    Of sentences that say the same, as copies and versions of a document do, the best-scored counts.
    Documents come in the order of their best sentence, sentences in their document's order.
    """
    ranked = list(_leave_out_copies(sentences_by_score(hits)))
    kept = worth_reading(
        [s.span.end - s.span.start for _, s in ranked],
        [s.chance for _, s in ranked],
        sentences=sentences,
        characters=characters,
        worth=worth,
    )
    chosen = [ranked[i] for i in kept]
    places = {hit.passage.document_id: i for i, (hit, _) in reversed(list(enumerate(chosen)))}
    chosen.sort(key=lambda item: (places[item[0].passage.document_id], item[1].span.start))
    return tuple(_build(number, hit, found) for number, (hit, found) in enumerate(chosen, start=1))


def worth_reading(
    lengths: Sequence[int],
    chances: Sequence[float],
    *,
    sentences: int,
    characters: int,
    worth: float,
) -> list[int]:
    """Give the places of the sentences to read, of all, which come best first.

    The first always; then, while there is room for `sentences` and `characters` (code points),
    those whose chance is at least `worth` for each 100 code points: a reader's time grows with the
    text, so a long sentence must promise more than a short one.
    """
    kept: list[int] = []
    used = 0
    for place, (length, chance) in enumerate(zip(lengths, chances, strict=True)):
        if len(kept) == sentences:
            break
        if not kept or (used + length <= characters and 100 * chance >= worth * length):
            kept.append(place)
            used += length
    return kept


def narrow(
    evidence: Sequence[Evidence],
    relevant: Sequence[float],
    *,
    sentences: int,
    characters: int,
) -> list[int]:
    """Give the places of the evidence that a reader should see, in order, of all of it.

    `relevant` are a verifier's log-odds of each sentence. The best `AT_LEAST` come first, then
    those whose odds are worth the time, while there is room for `sentences` and `characters` (code
    points).
    """
    scores = [
        odds + RETRIEVED * math.log(e.chance + 1e-9)
        for odds, e in zip(relevant, evidence, strict=True)
    ]
    ranked = sorted(range(len(evidence)), key=lambda place: -scores[place])
    able = [p for n, p in enumerate(ranked) if n < AT_LEAST or relevant[p] >= RELEVANT]
    kept = worth_reading(
        [len(evidence[place].text) for place in able],
        [1.0] * len(able),
        sentences=sentences,
        characters=characters,
        worth=0.0,
    )
    return sorted(able[i] for i in kept)


def whole_passages(evidence: Sequence[Evidence], hits: Sequence[Hit]) -> list[tuple[Evidence, ...]]:
    """Give all sentences of each hit, in order.

    Those of the evidence, which is numbered from 1, keep their numbers; others get further ones.
    """
    known = {(e.document_id, e.start): e for e in evidence}
    numbers = count(len(evidence) + 1)
    return [
        tuple(
            known.get((hit.passage.document_id, found.span.start))
            or _build(next(numbers), hit, found)
            for found in sorted(hit.sentences, key=lambda found: found.span.start)
        )
        for hit in hits
    ]


def renumber(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Give evidence with its numbers from 1."""
    return tuple(replace(e, number=number) for number, e in enumerate(evidence, start=1))


def _leave_out_copies(
    ranked: Sequence[tuple[Hit, SentenceHit]],
) -> Iterator[tuple[Hit, SentenceHit]]:
    """Leave out what has nearly the words of a better one, and its numbers, names and negations.

    What differs in one of those may be a disagreement, and is kept.
    """
    seen: list[tuple[object, frozenset[str]]] = []
    for hit, found in ranked:
        text = hit.passage.slice(found.span)
        bag = frozenset(w.casefold() for w in words(text))
        facts = (numbers(text), set(names(text)), bag & NEGATIONS)
        if any(facts == known and _alike(bag, other) for known, other in seen):
            continue
        seen.append((facts, bag))
        yield hit, found


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= COPY_OVERLAP * len(one | other)


def _build(number: int, hit: Hit, found: SentenceHit) -> Evidence:
    passage, span = hit.passage, found.span
    return Evidence(
        number=number,
        document_id=passage.document_id,
        title=passage.title,
        start=span.start,
        end=span.end,
        text=passage.slice(span),
        section=passage.section,
        page=passage.page,
        chance=found.chance,
    )
