"""Tokens -> the likeliest reply, token by token, with the chances of each.

What a prompt shares with one read before is not read again, and what a reply copies from its
prompt is guessed ahead and proved in one pass, which costs little more than a single token
(speculative decoding, Leviathan et al. 2023, arXiv:2211.17192, with the prompt itself as the
draft: Saxena 2023, "Prompt lookup decoding").
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

AHEAD = 7
"""How many tokens are guessed: eight at once take little longer than one."""
AT_ONCE = 512
"""How many tokens of a prompt are read in one pass: the memory of one grows with their square."""
CONVERSATIONS = 4
"""How many beginnings are remembered: one for each kind of prompt, and one to spare."""
SHARED = 32
"""A prompt that shares fewer tokens with what was read begins a conversation of its own."""


class Reading(Protocol):
    """What a model keeps of the tokens that it has read."""

    @property
    def length(self) -> int:
        """How many they are."""

    def head(self, length: int) -> Self:
        """Give what it kept of the first so many."""


R = TypeVar("R", bound=Reading)


class Forward(Protocol[R]):
    """A causal language model: `qa.compiled.CompiledModel`, or a scripted one."""

    def empty(self) -> R:
        """Give the reading of nothing."""

    def __call__(
        self, tokens: Sequence[int], past: R, *, adapted: bool, rows: int
    ) -> tuple[NDArray[np.float32], R]:
        """Read on; give the scores [rows, vocabulary] after each of the last `rows` tokens."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A token of the reply, the logarithm of its chance, and the likeliest with theirs."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Manner:
    """How a reply is made: at most `limit` tokens, ended by one of `ends`, which is told too.

    `bias` is added to tokens' scores before one is chosen; the chances are told without it. `top`
    is how many of the likeliest are told. `adapted` asks for the adapter.
    """

    limit: int
    ends: frozenset[int]
    adapted: bool = False
    bias: Mapping[int, float] = field(default_factory=dict)
    top: int = 0


class Decoder(Generic[R]):
    """Makes replies, and remembers the beginnings of the prompts that it has read."""

    def __init__(self, forward: Forward[R]) -> None:
        self._forward = forward
        self._known: list[tuple[bool, tuple[int, ...], R]] = []
        self._lock = threading.Lock()

    def reply(self, prompt: Sequence[int], manner: Manner) -> Iterator[Choice]:
        """Give the reply's tokens as they are chosen; `prompt` has at least one."""
        past = self._recall(prompt, adapted=manner.adapted)
        for first in range(past.length, len(prompt), AT_ONCE):
            scores, past = self._read(prompt[first : first + AT_ONCE], past, 1, manner)
        self._remember(prompt, past, adapted=manner.adapted)
        tokens = list(prompt)
        guesses: list[int] = []
        while True:
            for row, guess in zip(scores, [*guesses, None], strict=True):
                choice = choose(row, manner)
                tokens.append(choice.token)
                yield choice
                if choice.token in manner.ends or len(tokens) - len(prompt) >= manner.limit:
                    return
                if choice.token != guess:
                    break
            # The last token was not read yet, and wrong guesses were.
            past = past.head(len(tokens) - 1)
            guesses = guess_ahead(tokens, AHEAD)
            scores, past = self._read([tokens[-1], *guesses], past, 1 + len(guesses), manner)

    def _read(
        self, tokens: Sequence[int], past: R, rows: int, manner: Manner
    ) -> tuple[NDArray[np.float32], R]:
        return self._forward(tokens, past, adapted=manner.adapted, rows=rows)

    def _recall(self, prompt: Sequence[int], *, adapted: bool) -> R:
        """Give the longest reading that the prompt begins with, less its last token."""
        best, longest = None, SHARED - 1
        with self._lock:
            for was_adapted, tokens, reading in self._known:
                shared = count_shared(tokens, prompt[:-1])
                if was_adapted == adapted and shared > longest:
                    best, longest = reading, shared
        return self._forward.empty() if best is None else best.head(longest)

    def _remember(self, prompt: Sequence[int], past: R, *, adapted: bool) -> None:
        """Keep the reading in the place of the one that it went on from, the latest last."""
        with self._lock:
            others = [
                known
                for known in self._known
                if known[0] != adapted or count_shared(known[1], prompt) < SHARED
            ]
            self._known = [*others, (adapted, tuple(prompt), past)][-CONVERSATIONS:]


def choose(scores: NDArray[np.float32], manner: Manner) -> Choice:
    """Choose the likeliest token [vocabulary] -> its chance and those beside it."""
    highest = float(scores.max())
    total = highest + float(np.log(np.exp(scores - highest).sum()))
    biased = scores
    if manner.bias:
        biased = scores.copy()
        for token, more in manner.bias.items():
            biased[token] += more
    token = int(biased.argmax())
    top: tuple[tuple[int, float], ...] = ()
    if manner.top:
        best = np.argpartition(scores, -manner.top)[-manner.top :]
        ordered = best[np.argsort(-scores[best])]
        top = tuple((int(t), float(scores[t]) - total) for t in ordered)
    return Choice(token, float(scores[token]) - total, top)


def guess_ahead(tokens: Sequence[int], most: int) -> list[int]:
    """Give what followed the last time that the last two tokens stood here, or the last one."""
    for size in (2, 1):
        end = tuple(tokens[-size:])
        for start in range(len(tokens) - size - 1, -1, -1):
            if tuple(tokens[start : start + size]) == end:
                return list(tokens[start + size : start + size + most])
    return []


def count_shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Count how many tokens both begin with."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))
