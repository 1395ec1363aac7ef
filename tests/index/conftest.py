"""What the tests of `index` share: an embedder that counts, and an open library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from index.library import Library
from index.testing import HashingEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from index.types import Embedded, Passage


class CountingEmbedder(HashingEmbedder):
    """Remembers the text of every passage it embedded."""

    def __init__(self, dimension: int = 64) -> None:
        super().__init__(dimension)
        self.embedded: list[str] = []

    def embed_passages(self, passages: Sequence[Passage]) -> list[Embedded]:
        """Embed as ever, and take note."""
        self.embedded += [p.text for p in passages]
        return super().embed_passages(passages)


@pytest.fixture
def embedder() -> CountingEmbedder:
    """Give an embedder whose `embedded` lists what it was asked for."""
    return CountingEmbedder()


@pytest.fixture
def library(tmp_path: Path, embedder: CountingEmbedder) -> Iterator[Library]:
    """Give a library on a new folder, closed after the test."""
    with Library(tmp_path / "home", embedder) as opened:
        yield opened
