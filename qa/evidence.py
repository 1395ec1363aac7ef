"""Hits -> the few sentences that answer, in document order, inside a budget. Pure.

A small model reads few sentences as well as a whole page, in a fraction of the time; and in
document order the prompt keeps its beginning between questions, which the model then need not
read again.
"""

from __future__ import annotations

from collections.abc import Sequence

from index.search import spans_by_score
from index.types import Hit, Span
from qa.types import Evidence


def select(hits: Sequence[Hit], *, sentences: int, characters: int) -> tuple[Evidence, ...]:
    """Take the best-scored sentences that fit in the budget (code points), at least one.

    Documents come in the order of their best sentence, sentences in their document's order.
    """
    chosen: list[tuple[Hit, Span]] = []
    used = 0
    for hit, span, _ in spans_by_score(hits):
        length = span.end - span.start
        if len(chosen) == sentences:
            break
        if not chosen or used + length <= characters:
            chosen.append((hit, span))
            used += length
    places = {hit.passage.document_id: i for i, (hit, _) in reversed(list(enumerate(chosen)))}
    chosen.sort(key=lambda item: (places[item[0].passage.document_id], item[1].start))
    return tuple(_build(number, hit, span) for number, (hit, span) in enumerate(chosen, start=1))


def _build(number: int, hit: Hit, span: Span) -> Evidence:
    passage = hit.passage
    return Evidence(
        number=number,
        document_id=passage.document_id,
        title=passage.title,
        start=span.start,
        end=span.end,
        text=passage.slice(span),
        section=passage.section,
        page=passage.page,
    )
