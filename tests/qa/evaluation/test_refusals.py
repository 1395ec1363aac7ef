from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.evaluation.refusals import area, calibration_error, risk_coverage


def test_the_risk_at_each_coverage_by_hand() -> None:
    points = risk_coverage([0.9, 0.2, 0.5, 0.5], [True, False, True, False])
    assert points == [(0.25, 0.0), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]
    assert area(points) == pytest.approx(0.5 / 3 + 0.25 * 0.5)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_the_curve_ends_with_all_answers_and_their_risk(answers: list[tuple[float, bool]]) -> None:
    confidence, right = [c for c, _ in answers], [r for _, r in answers]
    points = risk_coverage(confidence, right)
    assert points[-1] == (1.0, pytest.approx(1 - sum(right) / len(right)))
    assert 0.0 <= area(points) <= 1.0


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.booleans()), min_size=1))
def test_a_step_counts_all_that_are_as_sure_or_surer(answers: list[tuple[float, bool]]) -> None:
    expected = []
    for least in sorted({c for c, _ in answers}, reverse=True):
        kept = [r for c, r in answers if c >= least]
        expected.append((len(kept) / len(answers), kept.count(False) / len(kept)))
    assert risk_coverage([c for c, _ in answers], [r for _, r in answers]) == expected


def test_the_calibration_error_by_hand() -> None:
    """Bin 9 has 0.95 and 1.0, half right: |0.975 - 0.5|; bin 0 has 0.0, wrong: 0."""
    error = calibration_error([0.95, 1.0, 0.0], [True, False, False])
    assert error == pytest.approx(2 / 3 * 0.475)
    assert calibration_error([], []) == 0.0
