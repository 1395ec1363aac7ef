"""Which sentences of the passages that a reader names explain what was asked? Pure.

A reader that answers with numbers of sentences was shown few of them, and names what it can. So a
verifier judges every sentence of those passages, and a small logistic model says of each how likely
it is one of those that explain: by the verifier's log-odds, by what these are on average in its
passage, for a verifier that is in doubt of a passage is in doubt of all its sentences, by whether
the reader named it, and by the chance that the search gives it. Its weights stand in
`explanation.json`, which `benchmarks/fit_explanation.py` fits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean

from qa.confidence import Features, Model
from qa.types import Evidence
from qa.words import words

WEIGHTS = Path(__file__).with_name("explanation.json")
FEATURES = ("relevant", "average", "named", "chance")
REACH = (-6.0, 4.0)
"""A verifier's log-odds beyond these say no more than these."""
LEAST_CHANCE = 1e-4
"""Nor does a search's chance below this."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A passage's sentences, in order, and a verifier's log-odds of each that it answers.

    `answerable` are its log-odds that the passage does.
    """

    sentences: tuple[Evidence, ...]
    relevant: tuple[float, ...]
    answerable: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """The model, and the least chance of a sentence that is quoted."""

    model: Model
    least: float


def measure(passage: Judged, named: frozenset[int]) -> list[Features]:
    """Give each sentence's features; `named` are the numbers that the reader gave."""
    least, most = REACH
    relevant = [min(most, max(least, odds)) for odds in passage.relevant]
    average = mean(relevant)
    return [
        {
            "relevant": odds,
            "average": average,
            "named": float(sentence.number in named),
            "chance": math.log(max(LEAST_CHANCE, sentence.chance)),
        }
        for sentence, odds in zip(passage.sentences, relevant, strict=True)
    ]


def choose(passages: Sequence[Judged], named: frozenset[int]) -> tuple[Evidence, ...]:
    """Give the sentences that likely explain, in the order given; the likeliest where none does.

    What two passages say in the same words is given once, of the passage that explains more.
    """
    fitted = load()
    judged = [
        [
            (fitted.model.estimate(features), sentence)
            for features, sentence in zip(measure(passage, named), passage.sentences, strict=True)
        ]
        for passage in passages
    ]
    least = min(fitted.least, max(chance for told in judged for chance, _ in told))
    likely = [[(chance, e) for chance, e in told if chance >= least] for told in judged]
    likely.sort(key=lambda told: -sum(chance for chance, _ in told))
    said: dict[tuple[str, ...], int] = {}
    kept = set()
    for place, told in enumerate(likely):
        for _, sentence in told:
            spoken = tuple(word.casefold() for word in words(sentence.text))
            if not spoken or said.setdefault(spoken, place) == place:
                kept.add(sentence.number)
    return tuple(e for passage in passages for e in passage.sentences if e.number in kept)


@cache
def load() -> Fitted:
    """Read the weights."""
    written = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return Fitted(Model(written["bias"], written["weights"]), written["least"])
