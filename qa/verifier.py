"""Question and sentences -> whether they answer it, as a second, small model reads.

The reader writes; a verifier only reads (Hu et al. 2019, arXiv:1808.05759). What it finds is a
feature of the confidence of the reader's answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from qa.prompts import flatten
from qa.types import Evidence


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier finds. `answerable`: ln of the odds that the text answers the question."""

    answerable: float


class Verifier(Protocol):
    """What can read a question and sentences."""

    def load(self) -> None:
        """Make ready what the first call would otherwise wait for: some seconds."""

    def verify(self, question: str, evidence: Sequence[Evidence]) -> Verdict:
        """Read; blocks for a tenth of a second. Raises `ModelError`."""


def shown(question: str, evidence: Sequence[Evidence]) -> tuple[str, str]:
    """Give question and text as a verifier is shown them."""
    return flatten(question), " ".join(flatten(e.text) for e in evidence)
