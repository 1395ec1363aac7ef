"""Answers that are known: the same question of the same documents and model has the same answer.

They are held in memory only. What a collection holds is part of the key, so no answer outlives its
documents; a change that is taken back makes the earlier answers known again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeAlias

from index.library import Library
from qa.types import Answer, Ask, Risk

MOST_KNOWN = 1000

Key: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...], Risk | float | None, bool, str, str]
"""Question, collection, history, risk, explained, version of the collection, model."""


def key_of(ask: Ask, library: Library, model: str) -> Key:
    """Give what an answer depends on; white space in the question does not count."""
    history = tuple((exchange.question, exchange.answer) for exchange in ask.history)
    version = library.version(ask.collection)
    question = " ".join(ask.question.split())
    return question, ask.collection, history, ask.risk, ask.explain, version, model


@dataclass(slots=True)
class KnownAnswers:
    """The answers that were asked for last; the others make room. Safe to use from any thread."""

    most: int = MOST_KNOWN
    _held: OrderedDict[Key, Answer] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, key: Key, answer: Answer) -> None:
        """Hold an answer."""
        with self._lock:
            self._held[key] = answer
            self._held.move_to_end(key)
            while len(self._held) > self.most:
                self._held.popitem(last=False)

    def get(self, key: Key) -> Answer | None:
        """Give an answer, None where it is not known."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)
