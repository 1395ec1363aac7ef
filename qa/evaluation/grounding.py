"""Do the citations carry the answer? Pure; a span is (source, start, end), half-open.

Against gold spans where there are some; else by a judge, as ALCE has it (Gao, Yen, Yu and Chen
2023, arXiv:2305.14627).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

Span: TypeAlias = tuple[str, int, int]
Judge: TypeAlias = Callable[[str, str], bool]
"""(premise, claim) -> whether the premise entails the claim."""
Statement: TypeAlias = tuple[str, Sequence[str]]
"""A claim, and the quotes that are cited for it."""


def span_precision(cited: Sequence[Span], golds: Sequence[Span]) -> float | None:
    """Give the share of citations that overlap a gold span; None without citations."""
    if not cited:
        return None
    return sum(any(_overlap(c, g) for g in golds) for c in cited) / len(cited)


def span_recall(cited: Sequence[Span], golds: Sequence[Span], *, every: bool) -> float | None:
    """Give how much of the gold is cited; None without gold spans.

    Where the spans belong together (`every`) the share of them that a citation overlaps, where they
    are alternatives 1.0 if one lies wholly inside a citation.
    """
    if not golds:
        return None
    if every:
        return sum(any(_overlap(c, g) for c in cited) for g in golds) / len(golds)
    return float(any(_within(g, c) for c in cited for g in golds))


def alce_recall(statements: Sequence[Statement], judge: Judge) -> float | None:
    """Give the share of statements that their quotes together entail; None without statements."""
    if not statements:
        return None
    return sum(_entailed(s, judge) for s in statements) / len(statements)


def alce_precision(statements: Sequence[Statement], judge: Judge) -> float | None:
    """Give the share of citations that are of use; None without citations.

    One is of no use where its statement is not entailed, or where it alone does not entail it and
    the others do without it.
    """
    marks = [mark for statement in statements for mark in _useful(statement, judge)]
    return sum(marks) / len(marks) if marks else None


def _useful(statement: Statement, judge: Judge) -> list[bool]:
    claim, quotes = statement
    if not _entailed(statement, judge):
        return [False] * len(quotes)
    marks = []
    for place, quote in enumerate(quotes):
        others = [q for i, q in enumerate(quotes) if i != place]
        marks.append(judge(quote, claim) or not _entailed((claim, others), judge))
    return marks


def _entailed(statement: Statement, judge: Judge) -> bool:
    claim, quotes = statement
    return bool(quotes) and judge("\n".join(quotes), claim)


def _overlap(one: Span, other: Span) -> bool:
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


def _within(inner: Span, outer: Span) -> bool:
    return inner[0] == outer[0] and outer[1] <= inner[1] and inner[2] <= outer[2]
