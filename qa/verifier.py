"""Question and sentences -> whether they answer it, as a second, small model reads.

The reader writes; a verifier only reads (Hu et al. 2019, arXiv:1808.05759). What it finds is a
feature of the confidence of the reader's answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from qa.prompts import flatten
from qa.types import Evidence


@dataclass(frozen=True, slots=True)
class Reach:
    """How much text is read: sentences, code points, and what `qa.evidence` calls worth."""

    sentences: int
    characters: int
    worth: float


WIDE = Reach(sentences=24, characters=1300, worth=0.002)
"""What a verifier reads, of which a reader then reads what answers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier finds.

    `answerable`: ln of the odds that the text answers the question. `relevant`: of each sentence,
    that it is one of those that do. `phrases`: what of the text is likeliest the answer, if there
    is one, best first.

    Known of an answer of whole sentences only, by the passages that they are from: `near`, the
    highest cosine of the question and one of them; `whole`, the highest log-odds that one of them,
    read whole, answers the question.
    """

    answerable: float
    relevant: tuple[float, ...]
    phrases: tuple[str, ...] = ()
    near: float | None = None
    whole: float | None = None


class Verifier(Protocol):
    """What can read a question and sentences."""

    def load(self) -> None:
        """Make ready what the first call would otherwise wait for: some seconds."""

    def verify(self, question: str, evidence: Sequence[Evidence]) -> Verdict:
        """Read; blocks for a tenth of a second. Raises `ModelError`."""

    def explain(self, question: str, title: str, sentences: Sequence[Evidence]) -> Verdict:
        """Read a whole passage: whether it answers, and which of its sentences; no phrases.

        Blocks for a tenth of a second. Raises `ModelError`.
        """

    def compare(self, question: str, texts: Sequence[str]) -> float:
        """Give the highest cosine, -1 to 1, of a question and one of some texts.

        Blocks for a tenth of a second each. Raises `ModelError`.
        """


def sentence_spans(sentences: Sequence[str]) -> list[tuple[int, int]]:
    """Give where each sentence stands when all are joined by a space each."""
    pasts = accumulate(len(s) + 1 for s in sentences)
    return [(past - 1 - len(s), past - 1) for past, s in zip(pasts, sentences, strict=True)]


def head(title: str) -> str:
    """Give a title as the sentence that a whole passage begins with."""
    return f"{flatten(title).rstrip('.')}."
