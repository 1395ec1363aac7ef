"""Question and sentences -> whether they answer it, and where, as a second, small model reads.

The reader writes; a verifier only reads (Hu et al. 2019, arXiv:1808.05759). It gives every token a
score for where an answer begins and ends, and the first token for there being none (Devlin et al.
2019, arXiv:1810.04805). What it makes of the reader's own answer is a feature of its confidence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from qa.prompts import flatten
from qa.types import Evidence

Scores: TypeAlias = npt.NDArray[np.float32]

WORD = re.compile(r"\w+")
LONGEST_SPAN = 40
"""Tokens of a phrase; a longer one is a sentence, which the verifier was not trained to find."""
UNLIKELY = -20.0
"""The log-odds that are told of what is less likely still."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier makes of a question and the text it was shown.

    `answerable`: ln of the odds that the text answers it. `starts` and `ends`: ln of the chances
    [tokens] that an answer begins and ends with a token, less those that there is none; `offsets`
    [tokens, 2] are the tokens' code points in `text`, half-open.
    """

    answerable: float
    text: str
    starts: Scores
    ends: Scores
    offsets: npt.NDArray[np.int64]

    @property
    def best(self) -> float:
        """Ln of the odds of the likeliest phrase against there being none."""
        if not len(self.starts):
            return UNLIKELY
        sums = self.starts[:, None] + self.ends[None, :]
        allowed = np.triu(np.ones_like(sums)) - np.triu(np.ones_like(sums), LONGEST_SPAN)
        return max(UNLIKELY, float(sums[allowed > 0].max()))

    def of(self, phrase: str) -> float:
        """Give ln of the odds of this phrase, wherever it stands, against there being none.

        Where it is nowhere in the text, those of its longest run of words that is; where there is
        none, the least there is.
        """
        wanted = re.escape(flatten(phrase))
        places = re.finditer(wanted, self.text, re.IGNORECASE) if wanted else ()
        odds = [self._between(*place.span()) for place in places]
        return max(odds) if odds else self._of_longest_run(phrase)

    def _of_longest_run(self, phrase: str) -> float:
        words = list(WORD.finditer(self.text))
        read = [word[0].casefold() for word in words]
        wanted = [word[0].casefold() for word in WORD.finditer(phrase)]
        run = SequenceMatcher(None, read, wanted, autojunk=False).find_longest_match()
        if not run.size:
            return UNLIKELY
        return self._between(words[run.a].start(), words[run.a + run.size - 1].end())

    def _between(self, start: int, end: int) -> float:
        inside = np.flatnonzero((self.offsets[:, 1] > start) & (self.offsets[:, 0] < end))
        if not len(inside):
            return UNLIKELY
        return max(UNLIKELY, float(self.starts[inside[0]] + self.ends[inside[-1]]))


class Verifier(Protocol):
    """What can read a question and sentences."""

    def load(self) -> None:
        """Make ready what the first call would otherwise wait for: some seconds."""

    def verify(self, question: str, evidence: Sequence[Evidence]) -> Verdict:
        """Read; blocks for a tenth of a second. Raises `ModelError`."""


def shown(question: str, evidence: Sequence[Evidence]) -> tuple[str, str]:
    """Give question and text as a verifier is shown them."""
    return flatten(question), " ".join(flatten(e.text) for e in evidence)
