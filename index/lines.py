"""Which line ends of a text were meant, and which only wrap it? Pure.

Mails, tables, receipts and lists are often written a line a fact, without a blank line between
them. Prose that was wrapped at some width looks alike, but for this: it is wrapped where the next
word did not fit, and goes on in the middle of a sentence. Where lines are longer than anybody wraps
them, a short one may be what is left of a link or of a title, and nothing is told by its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from unicodedata import east_asian_width

SLACK, RAGGED = 4, 6
"""Columns by which a word must have fitted, and the share of the widest line: who wraps by hand or
by the width of letters leaves the margin ragged."""
NARROWEST = 25
NARROW = 44
"""Nobody wraps prose at less than the first many columns, and few at less than the second."""
WIDE = 120
"""Lines longer than this were not wrapped."""
MANY = 4
"""So many lines that each begin as a sentence or a row does are no prose."""
ITEM = re.compile(r"[-*+•] |\d{1,3}\) ")
"""How an item of a list begins."""
PROSE = re.compile(r"[^\W\d_]{2}[.!?] +[^\W\d_]")
"""A sentence that ends before its line does."""
QUOTED = "> \t"
"""What mail programs write before each line of what they quote."""


def find_lines(text: str, breaks: Sequence[int] = ()) -> Iterator[int]:
    """Give where those lines begin, in order, that were written as lines.

    They are looked for between `breaks`, one block at a time.
    """
    for start, end in pairwise(sorted({0, *breaks, len(text)})):
        lines = text[start:end].splitlines(keepends=True)
        if len(lines) > 1:
            yield from (start + offset for offset in _written(lines))


def _written(lines: Sequence[str]) -> Iterator[int]:
    """Give the offsets of the lines of one block that no wrapping explains."""
    begun = [line.lstrip(QUOTED).strip() for line in lines]
    widths = [_measure(line.rstrip()) for line in lines]
    widest = max(widths)
    are_rows = _are_rows(begun, widest)
    offset = 0
    for line, width, after in zip(lines, widths, begun[1:], strict=False):
        offset += len(line)
        if after and (
            ITEM.match(after)
            or are_rows
            or widest < NARROWEST
            or (_has_room(width, after, widest) and not after[0].islower())
        ):
            yield offset


def _are_rows(lines: Sequence[str], widest: int) -> bool:
    """Say whether all lines of a block but the first begin as rows do, and could not be prose."""
    follows = [line for line in lines[1:] if line]
    if widest > WIDE or not all(map(_begins, follows)):
        return False
    if widest < NARROW:
        return not any(map(PROSE.search, lines))
    # In capitals prose begins every line as a sentence does, and in German many.
    told = sum(bool(PROSE.search(line)) for line in lines)
    return (
        len(follows) >= MANY
        and MANY * told <= len(lines)
        and any(map(str.islower, "".join(follows)))
    )


def _has_room(width: int, after: str, widest: int) -> bool:
    """Say whether the word that follows a line had room in it."""
    room = widest - max(SLACK, widest // RAGGED)
    return NARROW <= widest <= WIDE and width + 1 + _measure(_first_word(after)) <= room


def _begins(line: str) -> bool:
    """Say whether a line begins as a sentence or a row does; a script without case never tells."""
    return not line[0].isalpha() or line[0].isupper()


def _first_word(line: str) -> str:
    """Give what a wrapped line cannot do without: of scripts without spaces, a character."""
    return line[0] if _measure(line[0]) > 1 else line.split(maxsplit=1)[0]


def _measure(line: str) -> int:
    """Give a line's width in columns."""
    return len(line) + (0 if line.isascii() else sum(east_asian_width(c) in "WF" for c in line))
