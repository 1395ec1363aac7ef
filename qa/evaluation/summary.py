"""A run -> its figures, each with a bootstrap 95 % interval and the number it is from. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qa.evaluation.metrics import AGGREGATES, METRICS, Aggregate, Metric
from qa.evaluation.statistics import interval_of, interval_of_mean
from qa.evaluation.types import Figure, Record

GROUPS = ("retrieval", "answers", "citations", "refusal", "cost")


def summarize(records: Sequence[Record]) -> tuple[Figure, ...]:
    """Give every figure that applies to these records, group by group."""
    figures = [_mean(m, records) for m in METRICS] + [_whole(a, records) for a in AGGREGATES]
    told = [f for f in figures if f.value is not None]
    return tuple(sorted(told, key=lambda f: GROUPS.index(f.group)))


def _mean(metric: Metric, records: Sequence[Record]) -> Figure:
    values = [v for v in map(metric.of, records) if v is not None]
    interval = interval_of_mean(values) if values else None
    return Figure(
        group=metric.group,
        name=metric.name,
        value=float(np.mean(values)) if values else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=len(values),
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
    )


def _whole(aggregate: Aggregate, records: Sequence[Record]) -> Figure:
    used = [r for r in records if aggregate.over(r)]

    def statistic(places: npt.NDArray[np.intp]) -> float | None:
        return aggregate.of([used[i] for i in places])

    interval = interval_of(statistic, len(used)) if used else None
    return Figure(
        group=aggregate.group,
        name=aggregate.name,
        value=aggregate.of(used) if used else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=len(used),
        unit=aggregate.unit,
        higher_is_better=aggregate.higher_is_better,
    )
