"""The nouns of an evaluation. All are frozen; offsets count code points, half-open; seconds.

A run holds its questions beside its answers, and every quote with its surroundings, so that it can
be read and compared years later without the documents. Documents are named by their `source`, the
id of the question set, never by an id of the system that answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what is known of its answer.

    `answers` are the gold ones, any of which is right; `evidence` are gold spans of `document`,
    alternatives unless `every_span` says that they belong together. Sets for retrieval have
    `relevant` sources and no answers. `category` groups questions.
    """

    id: str
    text: str
    answerable: bool = True
    answers: tuple[str, ...] = ()
    document: str | None = None
    evidence: tuple[tuple[int, int], ...] = ()
    every_span: bool = False
    relevant: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A span of a source: a passage that was found, or a sentence that the model was shown."""

    source: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A citation: `quote` with the text around it, and whether it equals `source[start:end]`.

    `answer[answer_start:answer_end]` is what it carries.
    """

    source: str
    start: int
    end: int
    quote: str
    exact: bool
    answer_start: int
    answer_end: int
    before: str = ""
    after: str = ""


SEARCHED = "retrieval_only"
"""The `reason` of a record that is of a search alone."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a system made of one question.

    `answer` is empty where `answered` is false; then `reason` says why. `passages` come best
    first; None where a system does not tell them. `error` says why there is neither: the question
    then counts as answered wrongly. `judged_recall` and `judged_precision` are a judge's, where one
    was asked (`qa.evaluation.judge`).
    """

    question: Question
    answered: bool
    answer: str = ""
    reason: str | None = None
    confidence: float | None = None
    citations: tuple[Quote, ...] | None = ()
    passages: tuple[Place, ...] | None = ()
    evidence: tuple[Place, ...] | None = ()
    seconds: float = 0.0
    first_token: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    judged_recall: float | None = None
    judged_precision: float | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What a run was made with: enough to make it again."""

    name: str
    created: str
    questions: str
    questions_digest: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One system's answers to one question set, in the order they were given."""

    header: Header
    records: tuple[Record, ...]


class Unit(StrEnum):
    """How a figure is written."""

    SHARE = "share"
    SECONDS = "seconds"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of a run with its bootstrap 95 % interval; `n` is how many questions it is from.

    `value` is None where no question of the run allows it. Shares lie between 0 and 1.
    """

    group: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: Unit
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of run B less the same of run A, on the questions that both answered.

    `p` is that of the paired test named in `test`: the chance of a difference at least as large if
    the two systems were alike.
    """

    group: str
    name: str
    unit: Unit
    higher_is_better: bool
    a: float
    b: float
    delta: float
    low: float
    high: float
    p: float
    test: str
    n: int


class Verdict(StrEnum):
    """What became of a question between two runs; a refusal of an unanswerable one is right."""

    WIN = "win"
    LOSS = "loss"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Change:
    """One question in two runs: its scores (0 to 1) and which run did better."""

    question: Question
    a: Record
    b: Record
    score_a: float
    score_b: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Curve:
    """A run's risk at each coverage, by falling confidence: points of (coverage, risk)."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run B beside run A: figures of both, their differences, and every question."""

    a: Run
    b: Run
    figures_a: tuple[Figure, ...]
    figures_b: tuple[Figure, ...]
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]
    curves: tuple[Curve, ...]
    categories: tuple[tuple[str, int, float, float], ...]
    """(category, questions, mean score of A, of B)."""
