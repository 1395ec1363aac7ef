"""How likely is an answer right? A small logistic model over named features. Pure.

Its weights stand in `confidence.json`, which `benchmarks/fit_confidence.py` fits on question sets
that have unanswerable questions too; the thresholds of a risk stand there as well. There are four
sets of weights: for the sentences that a reader which was trained for it replied with (`quoted`);
for its phrases, where a verifier read too (`trained`); for a reader that was not trained and is
asked whether the cited sentences say just that (`checked`), and for others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from qa.citations import Claim
from qa.types import Evidence, Risk
from qa.verify import NOT_ENDINGS
from qa.words import NEGATIONS, content_stems, known_numbers, numbers, stems, words

WEIGHTS = Path(__file__).with_name("confidence.json")

WORDS = ("held", "numbers", "negation")
FEATURES = {
    "quoted": ("stated", "similarity", "near", "whole"),
    "trained": ("numbers", "negation", "least", "answerable"),
    "checked": (*WORDS, "check"),
    "unchecked": WORDS,
}
"""What each set of weights belongs to, the one that knows most first.

`held`: the share of the question's words that stand in what was read. `numbers`: how many of the
question's stand in no cited sentence; `negation`: 1 where the question negates and they do not.
`check`: the log-odds of yes, when the model is asked whether the sentences say just this. `stated`
and `least`: the `Certainty` of a trained reader. `similarity`: the highest cosine of the question
and a passage found, known of a reply that is whole sentences: a question that wants an explanation
is near to a text that has one, while a short answer's question is as near to a text without it.
`near`: the same of the passages that the sentences are from, with their titles, by the verifier's
larger model; `whole`: a verifier's log-odds that one of these, read whole, answers the question.
`answerable`: its log-odds that what was read does.
"""

Features: TypeAlias = dict[str, float]


@dataclass(frozen=True, slots=True)
class Model:
    """A logistic model; a feature without a weight does not count."""

    bias: float
    weights: Mapping[str, float]

    def estimate(self, features: Features) -> float:
        """Give the chance, 0 to 1, that an answer with these features is right."""
        score = self.bias + sum(w * features[name] for name, w in self.weights.items())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model for each set of features, and the least confidence that each named risk accepts."""

    models: Mapping[str, Model]
    thresholds: Mapping[str, float]


def measure(question: str, evidence: Sequence[Evidence], claims: Sequence[Claim]) -> Features:
    """Measure an answer by its claims: the features of `WORDS`, which take no model."""
    numbered = {n for claim in claims for n in claim.numbers}
    quotes = "\n".join(e.text for e in evidence if e.number in numbered)
    asked = content_stems(question)
    read = stems("\n".join(f"{e.title}\n{e.section or ''}\n{e.text}" for e in evidence))
    return {
        "held": sum(w in read for w in asked) / len(asked) if asked else 1.0,
        "numbers": float(sum(n not in known_numbers(quotes) for n in numbers(question))),
        "negation": float(_negates(question) and not _negates(quotes)),
    }


def estimate(features: Features) -> float:
    """Give the chance that an answer is right, by the model for what is known of it."""
    known = next(name for name, columns in FEATURES.items() if features.keys() >= set(columns))
    return load().models[known].estimate(features)


def threshold(risk: Risk | float) -> float:
    """Give the least confidence that a risk accepts; a number is the chance to be wrong, 0 to 1."""
    return load().thresholds[risk] if isinstance(risk, str) else 1.0 - risk


@cache
def load() -> Fitted:
    """Read the weights."""
    written = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    models = {name: Model(written[name]["bias"], written[name]["weights"]) for name in FEATURES}
    return Fitted(models, thresholds=written["thresholds"])


def _negates(text: str) -> bool:
    return any(w in NEGATIONS or w.endswith(NOT_ENDINGS) for w in map(str.casefold, words(text)))
