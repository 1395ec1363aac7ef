"""Two runs of the same questions -> their paired differences, question by question. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qa.errors import RunError
from qa.evaluation.metrics import METRICS, Metric, risk_coverage, score
from qa.evaluation.statistics import paired
from qa.evaluation.summary import summarize
from qa.evaluation.types import Change, Comparison, Curve, Difference, Record, Run, Verdict
from qa.evaluation.wording import category_of


def compare(a: Run, b: Run) -> Comparison:
    """Compare on the questions that both runs answered.

    Raises `RunError` where they are not runs of the same questions.
    """
    pairs = _pair(a, b)
    changes = tuple(_judge(x, y) for x, y in pairs)
    differences = [d for m in METRICS if (d := _difference(m, pairs)) is not None]
    return Comparison(
        a=a,
        b=b,
        figures_a=summarize([x for x, _ in pairs]),
        figures_b=summarize([y for _, y in pairs]),
        differences=tuple(differences),
        changes=changes,
        curves=(
            Curve(a.header.name, tuple(risk_coverage([x for x, _ in pairs]))),
            Curve(b.header.name, tuple(risk_coverage([y for _, y in pairs]))),
        ),
        categories=_categories(changes),
    )


def _pair(a: Run, b: Run) -> list[tuple[Record, Record]]:
    others = {r.question.id: r for r in b.records}
    pairs = [(r, others[r.question.id]) for r in a.records if r.question.id in others]
    names = f"{a.header.name} ({a.header.questions}) and {b.header.name} ({b.header.questions})"
    if not pairs:
        raise RunError(
            f"{names} have no question in common.", fix="Compare runs of the same question set."
        )
    for x, y in pairs:
        if (x.question.text, x.question.answers) != (y.question.text, y.question.answers):
            raise RunError(
                f"{names} mean different questions by the id {x.question.id!r}.",
                fix="Compare runs of the same question set.",
            )
    return pairs


def _judge(a: Record, b: Record) -> Change:
    before, after = score(a), score(b)
    verdict = Verdict.SAME
    if before != after:
        verdict = Verdict.WIN if after > before else Verdict.LOSS
    return Change(a.question, a, b, before, after, verdict)


def _difference(metric: Metric, pairs: Sequence[tuple[Record, Record]]) -> Difference | None:
    both = [(metric.of(x), metric.of(y)) for x, y in pairs]
    told = [(x, y) for x, y in both if x is not None and y is not None]
    if not told:
        return None
    before, after = [x for x, _ in told], [y for _, y in told]
    test = paired(before, after)
    return Difference(
        group=metric.group,
        name=metric.name,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        a=float(np.mean(before)),
        b=float(np.mean(after)),
        delta=test.delta,
        low=test.low,
        high=test.high,
        p=test.p,
        test=test.test,
        n=len(told),
    )


def _categories(changes: Sequence[Change]) -> tuple[tuple[str, int, float, float], ...]:
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(category_of(change.question), []).append(change)
    return tuple(
        (
            name,
            len(group),
            float(np.mean([c.score_a for c in group])),
            float(np.mean([c.score_b for c in group])),
        )
        for name, group in sorted(groups.items())
    )
