from __future__ import annotations

from dataclasses import replace

import pytest

from qa.evaluation.metrics import risk_coverage, score
from qa.evaluation.summary import summarize
from qa.evaluation.types import Figure, Place, Question, Record

QUESTION = Question("q", "Who opened it?", True, ("Ruth Okafor",), "d", ((0, 11),))
RIGHT = Record(
    QUESTION,
    answered=True,
    answer="Ruth Okafor",
    confidence=0.9,
    passages=(Place("e", 0, 9), Place("d", 0, 40)),
    evidence=(Place("d", 0, 20),),
    seconds=1.0,
)
WRONG = replace(RIGHT, answer="Paul Lindqvist", confidence=0.4, seconds=3.0)
REFUSED = replace(RIGHT, answered=False, answer="", reason="not_stated", confidence=0.0)
NONE = Question("n", "Why?", answerable=False)
REFUSED_RIGHTLY = Record(NONE, answered=False, reason="not_stated", confidence=0.0, seconds=2.0)
ANSWERED_WRONGLY = Record(NONE, answered=True, answer="Because.", confidence=0.8, seconds=2.0)
BROKEN = Record(NONE, answered=False, error="The question is too long.")
SEARCHED = Record(
    Question("s", "heron", relevant=("d", "x")),
    answered=False,
    reason="retrieval_only",
    citations=None,
    passages=(Place("e", 0, 9), Place("d", 0, 9), Place("d", 9, 20)),
    evidence=None,
)
ALL = [RIGHT, WRONG, REFUSED, REFUSED_RIGHTLY, ANSWERED_WRONGLY, BROKEN]


def figures(*records: Record) -> dict[tuple[str, str], Figure]:
    return {(f.group, f.name): f for f in summarize(records)}


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        (("answers", "right"), 2 / 6, 6),
        (("answers", "F1"), 2 / 6, 6),
        (("answers", "F1, HasAns"), 1 / 3, 3),
        (("answers", "F1, NoAns"), 1 / 3, 3),
        (("answers", "contains the gold answer"), 1 / 3, 3),
        (("refusal", "precision"), 1 / 2, 2),
        (("refusal", "recall"), 1 / 3, 3),
        (("retrieval", "evidence in the first passage"), 0.0, 3),
        (("retrieval", "evidence in the first 5"), 1.0, 3),
        (("retrieval", "evidence was read"), 1.0, 3),
        (("retrieval", "MRR"), 0.5, 3),
        (("cost", "seconds, p50"), 2.0, 5),
    ],
)
def test_a_figure_is_of_the_questions_that_it_applies_to(
    name: tuple[str, str], value: float, n: int
) -> None:
    figure = figures(*ALL)[name]
    assert (figure.value, figure.n) == (pytest.approx(value), n)
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low <= value <= figure.high


def test_a_question_that_met_an_error_counts_as_wrong_even_where_silence_is_right() -> None:
    assert score(BROKEN) == 0.0
    assert score(REFUSED_RIGHTLY) == 1.0


def test_a_search_is_scored_by_its_ranking_alone() -> None:
    found = figures(SEARCHED)
    assert found["retrieval", "recall@5"].value == 0.5
    assert found["retrieval", "MRR"].value == 0.5
    assert {group for group, _ in found} == {"retrieval", "cost"}
    assert score(SEARCHED) == pytest.approx(found["retrieval", "nDCG@10"].value)


def test_coverage_is_of_all_questions_and_refused_ones_are_never_covered() -> None:
    """Surest first: 0.9 right, 0.8 wrong, 0.4 wrong; three of six have answers."""
    points = risk_coverage(ALL)
    assert points == [
        (pytest.approx(1 / 6), 0.0),
        (pytest.approx(2 / 6), pytest.approx(1 / 2)),
        (pytest.approx(3 / 6), pytest.approx(2 / 3)),
    ]
    assert risk_coverage([SEARCHED]) == []


def test_nothing_is_said_of_what_a_system_does_not_tell() -> None:
    silent = Record(QUESTION, True, "Ruth Okafor", citations=None, passages=None, evidence=None)
    groups = {group for group, _ in figures(silent)}
    assert "retrieval" not in groups
    assert "citations" not in groups
    assert ("refusal", "calibration error, of answers") not in figures(silent)
