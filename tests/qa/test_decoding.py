"""Replies are the model's own likeliest tokens, however few times it is asked for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qa.decoding import (
    AHEAD,
    AT_ONCE,
    CONVERSATIONS,
    SHARED,
    Choice,
    Decoder,
    Manner,
    choose,
    count_shared,
    guess_ahead,
)

VOCABULARY = 12
END = 0
LONG = [1, 2, 3, 4] * SHARED


@dataclass(frozen=True)
class Tokens:
    """What a scripted model keeps: the tokens themselves."""

    tokens: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """Count them."""
        return len(self.tokens)

    def head(self, length: int) -> Self:
        """Give the first ones."""
        return type(self)(self.tokens[:length])


@dataclass
class Scripted:
    """A model whose next token is a function of all that stands before it."""

    following: Callable[[tuple[int, ...]], int]
    read: list[tuple[int, ...]] = field(default_factory=list)

    def empty(self) -> Tokens:
        """Give none."""
        return Tokens()

    def __call__(
        self, tokens: Sequence[int], past: Tokens, *, adapted: bool, rows: int
    ) -> tuple[NDArray[np.float32], Tokens]:
        """Score the token that follows highest; with the adapter, the one after it."""
        self.read.append(tuple(tokens))
        whole = past.tokens + tuple(tokens)
        scores = np.zeros((rows, VOCABULARY), np.float32)
        for row in range(rows):
            before = whole[: len(whole) - rows + row + 1]
            scores[row, (self.following(before) + adapted) % VOCABULARY] = 4.0
        return scores, Tokens(whole)


def manner(**options: object) -> Manner:
    return Manner(**{"limit": 20, "ends": frozenset({END}), **options})  # type: ignore[arg-type]


def reply(model: Scripted, prompt: Sequence[int], how: Manner) -> list[int]:
    return [choice.token for choice in Decoder(model).reply(prompt, how)]


def one_by_one(model: Scripted, prompt: Sequence[int], how: Manner) -> list[int]:
    tokens: list[int] = []
    while len(tokens) < how.limit and (not tokens or tokens[-1] != END):
        tokens.append(model.following((*prompt, *tokens)))
    return tokens


@given(
    prompt=st.lists(st.integers(0, 5), min_size=1, max_size=40),
    table=st.lists(st.integers(0, 5), min_size=7, max_size=7),
    limit=st.integers(1, 30),
)
def test_guessing_ahead_changes_no_reply(prompt: list[int], table: list[int], limit: int) -> None:
    def following(before: tuple[int, ...]) -> int:
        return table[(sum(before[-2:]) + len(before) // 5) % 7]

    model = Scripted(following)
    how = manner(limit=limit)
    assert reply(model, prompt, how) == one_by_one(model, prompt, how)


def test_what_is_copied_from_the_prompt_is_proved_in_one_pass() -> None:
    prompt = [9, 1, 2, 3, 4, 5, 6, END, 9]
    model = Scripted(lambda before: before[(len(before) % 8)] if len(before) > 8 else END)
    assert reply(model, prompt, manner()) == [1, 2, 3, 4, 5, 6, END]
    assert [len(tokens) for tokens in model.read] == [9, 1 + AHEAD]


def test_a_beginning_that_was_read_is_not_read_again() -> None:
    model = Scripted(lambda _: END)
    decoder = Decoder(model)
    list(decoder.reply([*LONG, 5, 6], manner()))
    list(decoder.reply([*LONG, 7], manner()))
    list(decoder.reply([*LONG, 7], manner()))
    assert model.read == [(*LONG, 5, 6), (7,), (7,)]


def test_a_beginning_read_with_the_adapter_is_read_again_without() -> None:
    model = Scripted(lambda _: END)
    decoder = Decoder(model)
    list(decoder.reply([*LONG, 5], manner(adapted=True, limit=1)))
    list(decoder.reply([*LONG, 6], manner(limit=1)))
    list(decoder.reply([*LONG, 7], manner(adapted=True, limit=1)))
    assert model.read == [(*LONG, 5), (*LONG, 6), (7,)]


def test_each_kind_of_prompt_keeps_its_beginning() -> None:
    model = Scripted(lambda _: END)
    decoder = Decoder(model)
    other = LONG[::-1]
    list(decoder.reply([*other, 5], manner()))
    for question in range(4, 4 + CONVERSATIONS + 1):
        list(decoder.reply([*LONG, question], manner()))
    list(decoder.reply([*other, 6], manner()))
    assert model.read[-1] == (6,)


def test_a_long_prompt_is_read_in_pieces() -> None:
    model = Scripted(lambda before: len(before) % VOCABULARY)
    prompt = [1] * (2 * AT_ONCE + 5)
    assert reply(model, prompt, manner(limit=1)) == [len(prompt) % VOCABULARY]
    assert [len(piece) for piece in model.read] == [AT_ONCE, AT_ONCE, 5]


def test_a_reply_that_nobody_waits_for_leaves_the_next_one_right() -> None:
    model = Scripted(lambda before: (before[-1] + 1) % VOCABULARY)
    decoder = Decoder(model)
    abandoned = decoder.reply([*LONG, 5], manner())
    assert next(abandoned).token == 6
    assert [c.token for c in decoder.reply([*LONG, 9], manner())] == [10, 11, END]


def test_a_token_can_be_held_back_and_its_chance_is_told_as_it_was() -> None:
    scores = np.log(np.array([0.5, 0.4, 0.1], np.float32))
    held = choose(scores, manner(bias={0: -1.0}, top=2))
    assert held.token == 1
    assert held.logprob == pytest.approx(math.log(0.4), abs=1e-5)
    assert [token for token, _ in held.top] == [0, 1]
    assert [chance for _, chance in held.top] == pytest.approx(
        [math.log(0.5), math.log(0.4)], abs=1e-5
    )
    assert choose(scores, manner()) == Choice(0, pytest.approx(math.log(0.5), abs=1e-5))


def test_what_followed_last_time_is_guessed() -> None:
    assert guess_ahead([1, 2, 3, 4, 9, 1, 2], 3) == [3, 4, 9]
    assert guess_ahead([1, 2, 7, 5, 2], 2) == [7, 5], "one token, where two never stood here"
    assert guess_ahead([1, 2, 3], 3) == []


def test_a_common_beginning_is_counted() -> None:
    assert count_shared([1, 2, 3], [1, 2, 4]) == 2
    assert count_shared([1, 2], [1, 2, 4]) == 2
    assert count_shared([], [1]) == 0
