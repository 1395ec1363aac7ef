"""What a figure could have been by chance: bootstrap intervals and paired tests. Pure, seeded.

The percentile bootstrap is Efron 1979; its test, with the differences centred, Efron and Tibshirani
1993, chapter 16; the exact test for paired shares McNemar 1947.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

LEVEL = (2.5, 97.5)
"""Percentiles of a 95 % interval."""
CELLS = 4_000_000
"""How many drawn places are held at once: 32 MB."""

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedTest:
    """The mean of b less that of a, its 95 % interval, and the p value of the test named."""

    delta: float
    low: float
    high: float
    p: float
    test: str


def resample(n: int, draws: int, seed: int) -> Iterator[Places]:
    """Give `draws` rows of `n` places drawn with replacement, a block of rows at a time."""
    generator = np.random.default_rng(seed)
    block = max(1, min(draws, CELLS // max(n, 1)))
    for begin in range(0, draws, block):
        yield generator.integers(0, n, size=(min(block, draws - begin), n), dtype=np.intp)


def interval_of_mean(values: Sequence[float], *, draws: int = 2000, seed: int = 0) -> Interval:
    """Give the interval of a mean. Raises `ValueError` without values."""
    return _interval(_means(np.asarray(values, dtype=float), draws, seed))


def interval_of(
    statistic: Callable[[Places], float | None], n: int, *, draws: int = 500, seed: int = 0
) -> Interval | None:
    """Give the interval of a figure of `n` things that is no mean, from places drawn of them.

    Draws that give no figure are left out; None where all do.
    """
    rows = (row for rows in resample(n, draws, seed) for row in rows)
    found = [value for value in map(statistic, rows) if value is not None]
    return _interval(np.asarray(found)) if found else None


def paired(
    a: Sequence[float], b: Sequence[float], *, draws: int = 10_000, seed: int = 0
) -> PairedTest:
    """Compare values of the same questions. Raises `ValueError` without any.

    Shares of yes and no are tested with McNemar's exact test, other values with the bootstrap,
    whose p is never 0: the sample itself counts as one draw.
    """
    before, after = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if before.shape != after.shape:
        raise ValueError("Values of the same questions are needed.")
    differences = after - before
    means = _means(differences, draws, seed)
    delta = float(differences.mean())
    interval = _interval(means)
    if np.isin(before, (0.0, 1.0)).all() and np.isin(after, (0.0, 1.0)).all():
        p, test = _mcnemar(int((differences > 0).sum()), int((differences < 0).sum())), "McNemar"
    else:
        extreme = int((np.abs(means - delta) >= abs(delta) - 1e-12).sum())
        p, test = (extreme + 1) / (draws + 1), "paired bootstrap"
    return PairedTest(delta, interval.low, interval.high, p, test)


def _means(values: npt.NDArray[np.float64], draws: int, seed: int) -> npt.NDArray[np.float64]:
    if not len(values):
        raise ValueError("There is nothing to draw from.")
    return np.concatenate(
        [values[rows].mean(axis=1) for rows in resample(len(values), draws, seed)]
    )


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, LEVEL)
    return Interval(float(low), float(high))


def _mcnemar(better: int, worse: int) -> float:
    """Give the two-sided exact p of so many changes either way, were both as likely."""
    changed = better + worse
    tail: int = sum(comb(changed, k) for k in range(min(better, worse) + 1))
    # Integers to the last step: as a float, 2 ** 1024 is past the largest.
    return min(1.0, 2 * tail / (1 << changed))
