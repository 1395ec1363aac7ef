"""A shipped fake: an embedder without a model, for this project's tests and its users'."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from index.tokens import tokenize
from index.types import Embedded, Passage, Vectors


class HashingEmbedder:
    """An `Embedder` that hashes words into a vector: texts that share words are near.

    The same text has the same vector in every process. No order, no meaning, no download.
    """

    def __init__(self, dimension: int = 64) -> None:
        self.name = f"hashing-{dimension}"
        self.dimension = dimension

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Give one unit row for each text."""
        return np.stack([self._embed(text) for text in texts])

    def embed_passages(self, passages: Sequence[Passage]) -> list[Embedded]:
        """Embed each passage, and each of its sentences by itself."""
        return [
            Embedded(self._embed(p.text), np.stack([self._embed(p.slice(s)) for s in p.sentences]))
            for p in passages
        ]

    def _embed(self, text: str) -> Vectors:
        vector = np.zeros(self.dimension, dtype=np.float32)
        vector[0] = 0.01  # a text of no words still has a direction
        for word in tokenize(text):
            digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
            vector[int.from_bytes(digest, "little") % self.dimension] += 1.0
        unit: Vectors = vector / np.linalg.norm(vector)
        return unit
