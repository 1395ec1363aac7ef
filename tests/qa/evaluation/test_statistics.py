from __future__ import annotations

from math import erfc, sqrt

import numpy as np
import pytest

from qa.evaluation import statistics
from qa.evaluation.statistics import interval_of, interval_of_mean, paired, resample


def test_the_interval_holds_the_mean_and_shrinks_with_the_sample() -> None:
    few, many = interval_of_mean([0.0, 1.0] * 10), interval_of_mean([0.0, 1.0] * 1000)
    assert few.low < 0.5 < few.high
    assert many.high - many.low < (few.high - few.low) / 5
    assert interval_of_mean([0.3] * 5).low == pytest.approx(0.3)


def test_the_interval_of_a_share_is_near_the_normal_one() -> None:
    """0.5 of 100: 0.5 +- 1.96 * 0.05."""
    interval = interval_of_mean([0.0, 1.0] * 50)
    assert (interval.low, interval.high) == (
        pytest.approx(0.402, abs=0.02),
        pytest.approx(0.598, abs=0.02),
    )


def test_draws_without_a_figure_are_left_out() -> None:
    interval = interval_of(lambda rows: float(rows.max()), 4, draws=50)
    assert interval is not None
    assert interval.high == 3
    assert interval_of(lambda _: None, 4, draws=5) is None


def test_the_same_seed_draws_the_same_places_also_in_several_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = np.concatenate(list(resample(3, 5, 1)))
    monkeypatch.setattr(statistics, "CELLS", 6)
    blocks = list(resample(3, 5, 1))
    assert [len(block) for block in blocks] == [2, 2, 1]
    assert (np.concatenate(blocks) == whole).all()


@pytest.mark.parametrize(("better", "worse", "p"), [(5, 0, 2 / 32), (1, 1, 1.0), (8, 1, 20 / 512)])
def test_mcnemars_exact_p_by_hand(better: int, worse: int, p: float) -> None:
    a = [0.0] * better + [1.0] * worse + [1.0, 0.0]
    b = [1.0] * better + [0.0] * worse + [1.0, 0.0]
    test = paired(a, b)
    assert (test.p, test.test) == (pytest.approx(p), "McNemar")
    assert test.delta == pytest.approx((better - worse) / len(a))


def test_mcnemars_p_is_told_for_more_changes_than_a_float_holds_powers_of_two() -> None:
    even = paired([0.0, 1.0] * 600, [1.0, 0.0] * 600, draws=10)
    assert even.p == 1.0
    # Of 1200 changes 660 one way: 3.46 standard deviations, 3.41 with the continuity correction.
    a, b = [0.0] * 660 + [1.0] * 540, [1.0] * 660 + [0.0] * 540
    z = (120 - 1) / sqrt(1200)
    assert paired(a, b, draws=10).p == pytest.approx(erfc(z / sqrt(2)), rel=0.02)


def test_a_steady_difference_is_significant_and_none_is_not() -> None:
    draw = np.random.default_rng(3)
    a = draw.normal(size=60)
    better = paired(a.tolist(), (a + draw.normal(0.5, 0.2, size=60)).tolist())
    assert better.test == "paired bootstrap"
    assert 0 < better.p < 0.001
    assert better.low > 0.3
    same = paired(a.tolist(), a.tolist())
    assert (same.delta, same.p) == (0.0, 1.0)


def test_values_of_other_questions_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="same questions"):
        paired([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="nothing"):
        paired([], [])
