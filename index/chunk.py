"""Document -> passages made of whole sentences, each an exact slice of the text. Pure.

Sentence boundaries come from `sentencex` (Wikimedia's segmenter, MIT), asked one block at a time,
so that nothing crosses a heading, a list item, a blank line or the end of a line that was written
as one (`index.lines`). A line break that only wraps a paragraph ends no sentence.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

import sentencex  # type: ignore[import-untyped]  # ships no stubs

from index.lines import find_lines
from index.types import Document, Passage, Span

CHUNKER_VERSION = "3"
PASSAGE_CHARACTERS = 1000
"""The default passage size, in code points: about 220 of the 256 tokens that MiniLM reads."""
UNENDED = re.compile(
    r"(?:(?<!\d)\d{1,2}|\.|\b(?:max|approx|ca|incl|excl|inkl|tel))\.\Z", re.IGNORECASE
)
"""How a date, an abbreviation that sentencex does not know, or a row of dots ends."""
LOOK_BACK = 8
"""Code points that are looked at before such an end; the longest abbreviation has seven."""
MONTHS = "Januar Jänner Februar März April Mai Juni Juli August September Oktober November Dezember"
CONTINUED = re.compile(rf"[ \t]*(?:[\d$€£]|(?:{'|'.join(MONTHS.split())})\b)|\s*[a-zäöüß]")
"""How what was not ended goes on; in another line only in lower case."""
NUMBERED = re.compile(r"\s*\(?\d{1,3}[.)]\s*")
"""The number of a list's item, which is no sentence."""
HEADING_MARKS = "#=- \t\n"
"""What Markdown writes around and under a heading's words."""


def find_sentences(
    text: str, breaks: Sequence[int] = (), *, longest: int = PASSAGE_CHARACTERS
) -> list[Span]:
    """Give the sentences of a text, in order, without the white space around them.

    Together they cover every visible character. None crosses one of `breaks`, nor the end of a line
    that was written as one. A sentence of more than `longest` code points is cut at white space, or
    where it must be.
    """
    blocks = pairwise(sorted({0, *breaks, *find_lines(text, breaks), len(text)}))
    return [
        piece
        for start, end in blocks
        for sentence in _segment(text, start, end)
        for piece in _cut(text, sentence, longest)
    ]


def chunk(document: Document, *, size: int = PASSAGE_CHARACTERS) -> tuple[Passage, ...]:
    """Pack a document's sentences into passages of at most `size` code points.

    A passage never crosses a section or a page; a paragraph stays whole where it fits. A heading
    with nothing under it but another heading goes with what follows, and says nothing by itself.
    """
    walls = _find_walls(document) | set(document.pages)
    sentences = find_sentences(document.text, (*document.breaks, *walls), longest=size)
    groups = _pack(sentences, size, walls=walls, paragraphs=document.breaks)
    return tuple(_build_passage(document, position, group) for position, group in enumerate(groups))


def _segment(text: str, start: int, end: int) -> Iterator[Span]:
    """Trim each sentence of one block; what the segmenter leaves out joins its neighbour."""
    block = text[start:end]
    if not block.strip():
        return
    cuts = [0]
    for boundary in sentencex.get_sentence_boundaries("en", block):
        cut = int(boundary["end_index"])
        if cuts[-1] < cut < len(block) and _ends(block, cuts[-1], cut):
            cuts.append(cut)
    cuts.append(len(block))
    for first, last in pairwise(cuts):
        sentence = _trim(text, start + first, start + last)
        if sentence is not None:
            yield sentence


def _ends(block: str, start: int, end: int) -> bool:
    """Say whether a sentence ends here, and not a date ("31.12. at noon"), "max. 60" or "1. "."""
    if NUMBERED.fullmatch(block, start, end):
        return False
    stop = end
    while stop and block[stop - 1].isspace():
        stop -= 1
    unended = UNENDED.search(block, max(0, stop - LOOK_BACK), stop)
    return not (unended and CONTINUED.match(block, stop))


def _trim(text: str, start: int, end: int) -> Span | None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    return Span(start + left, start + right) if left < right else None


def _cut(text: str, sentence: Span, longest: int) -> Iterator[Span]:
    start = sentence.start
    while sentence.end - start > longest:
        space = max(
            (
                i
                for i in range(start + (longest + 1) // 2, start + longest + 1)
                if text[i].isspace()
            ),
            default=start + longest,
        )
        piece = _trim(text, start, space)
        if piece is not None:
            yield piece
        start = space
    rest = _trim(text, start, sentence.end)
    if rest is not None:
        yield rest


def _pack(
    sentences: Sequence[Span], size: int, *, walls: set[int], paragraphs: Sequence[int]
) -> Iterator[list[Span]]:
    ordered_walls = sorted(walls)
    starts = [sentence.start for sentence in sentences]
    openers = sorted({bisect_left(starts, paragraph) for paragraph in paragraphs})
    last_of = dict(pairwise([*openers, len(sentences)]))
    group: list[Span] = []
    section = 0
    for position, sentence in enumerate(sentences):
        here = bisect_right(ordered_walls, sentence.start)
        reach = sentences[last_of.get(position, position + 1) - 1].end
        if group and (here != section or reach - group[0].start > size):
            yield group
            group = []
        section = here
        group.append(sentence)
    if group:
        yield group


def _find_walls(document: Document) -> set[int]:
    """Give where sections begin, but for those that only headings come before."""
    starts = [section.start for section in document.sections]
    spans = pairwise([*starts, len(document.text)])
    bare = {
        end
        for section, (start, end) in zip(document.sections, spans, strict=True)
        if document.text[start:end].strip(HEADING_MARKS) == section.title
    }
    return set(starts) - bare


def _build_passage(document: Document, position: int, sentences: Sequence[Span]) -> Passage:
    start, end = sentences[0].start, sentences[-1].end
    section = bisect_right(document.sections, sentences[-1].start, key=lambda s: s.start) - 1
    page = bisect_right(document.pages, start)
    return Passage(
        id=name_passage(document, position, start, end),
        document_id=document.id,
        start=start,
        end=end,
        text=document.text[start:end],
        title=document.title,
        section=document.sections[section].title if section >= 0 else None,
        page=page or None,
        sentences=tuple(sentences),
    )


def name_passage(document: Document, position: int, start: int, end: int) -> str:
    """Give the stable id of a passage: the same content chunked the same way has the same ids."""
    key = (document.id, document.content_hash, CHUNKER_VERSION, position, start, end)
    return "p" + hashlib.sha256("\0".join(map(str, key)).encode()).hexdigest()[:24]
