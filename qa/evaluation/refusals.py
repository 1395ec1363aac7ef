"""Is a confidence worth anything? Pure; confidences lie between 0 and 1.

Risk and coverage are El-Yaniv and Wiener 2010; the expected calibration error is Naeini, Cooper and
Hauskrecht 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np


def risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """Give (coverage, risk) by falling confidence: of the surest share, the share that is wrong.

    Answers of the same confidence are one step, for nothing can tell them apart.
    """
    points = []
    wrong = covered = 0
    surest_first = sorted(zip(confidence, right, strict=True), reverse=True)
    for _, level in groupby(surest_first, key=itemgetter(0)):
        there = [r for _, r in level]
        covered += len(there)
        wrong += len(there) - sum(there)
        points.append((covered / len(right), wrong / covered))
    return points


def area(points: Sequence[tuple[float, float]]) -> float:
    """Give the area under a risk-coverage curve, each step at the risk of its end."""
    before = total = 0.0
    for coverage, risk in points:
        total += risk * (coverage - before)
        before = coverage
    return total


def calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Give the mean distance of confidence and rightness over bins of equal width.

    A bin weighs what stands in it; 1.0 belongs to the last.
    """
    sure, correct = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    if not len(sure):
        return 0.0
    bin_of = np.minimum((sure * bins).astype(int), bins - 1)
    error = 0.0
    for number in range(bins):
        here = bin_of == number
        if here.any():
            error += here.mean() * abs(sure[here].mean() - correct[here].mean())
    return float(error)
