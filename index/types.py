"""The nouns of the index. All are frozen; offsets count Unicode code points, half-open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""Shape (n, dimension), or (dimension,) for one; every row has unit length."""


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open range [start, end) of a text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the offset where its text begins; it lasts until the next one."""

    start: int
    title: str


@dataclass(frozen=True, slots=True)
class Document:
    """A source as it was read: the text that every offset in this product refers to.

    `breaks` are offsets that no sentence may cross (a heading's end, a list item's start);
    `pages` are the offsets where pages begin, empty where the format has none.
    """

    id: str
    collection: str
    source: str
    title: str
    text: str
    media_type: str
    content_hash: str
    sections: tuple[Section, ...] = ()
    breaks: tuple[int, ...] = ()
    pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """What the catalog says of a live document, without its text."""

    id: str
    collection: str
    source: str
    title: str
    media_type: str
    content_hash: str
    characters: int
    passages: int
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of whole sentences: `document.text[start:end] == text`, always.

    `sentences` are offsets in the document, not in the passage.
    """

    id: str
    document_id: str
    start: int
    end: int
    text: str
    title: str
    section: str | None = None
    page: int | None = None
    sentences: tuple[Span, ...] = ()

    def slice(self, span: Span) -> str:
        """Give the source's text of a span that lies inside this passage."""
        return self.text[span.start - self.start : span.end - self.start]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A passage's vector and one for each of its sentences, all of unit length."""

    vector: Vectors
    sentences: Vectors


@dataclass(frozen=True, slots=True)
class SentenceHit:
    """A sentence inside a hit: its score (higher is better) and its chance to be the one.

    The chances of all sentences that one search found add up to 1.
    """

    span: Span
    score: float
    chance: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a query found.

    `score` is the reciprocal-rank-fused score, `similarity` the cosine of query and passage, and
    the ranks are 1-based places in each ranking, None where a ranking did not list the passage.
    """

    passage: Passage
    score: float
    similarity: float
    dense_rank: int | None = None
    keyword_rank: int | None = None
    sentences: tuple[SentenceHit, ...] = field(default=())


class Embedder(Protocol):
    """Text in, unit vectors out. `name` is stored with every vector it made."""

    @property
    def name(self) -> str:
        """The model and all that changes its vectors."""

    @property
    def dimension(self) -> int:
        """The length of each vector."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Give one row for each text."""

    def embed_passages(self, passages: Sequence[Passage]) -> list[Embedded]:
        """Give each passage's vector and its sentences' vectors, in the order given."""
