"""Answers that are known: the same question of the same documents and model has the same answer.

They are held in memory only. What a collection holds is part of the key, so no answer outlives its
documents; a change that is taken back makes the earlier answers known again.
"""

from __future__ import annotations

from typing import TypeAlias

from index.library import Library
from qa.types import Ask, Risk

MOST_KNOWN = 1000

Key: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...], Risk | float | None, bool, str, str]
"""Question, collection, history, risk, explained, version of the collection, model."""


def key_of(ask: Ask, library: Library, model: str) -> Key:
    """Give what an answer depends on; white space in the question does not count."""
    history = tuple((exchange.question, exchange.answer) for exchange in ask.history)
    version = library.version(ask.collection)
    question = " ".join(ask.question.split())
    return question, ask.collection, history, ask.risk, ask.explain, version, model
