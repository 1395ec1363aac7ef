"""Figures and differences -> the words that a report writes them with. Pure."""

from __future__ import annotations

from qa.evaluation.types import SEARCHED, Comparison, Difference, Question, Record, Unit, Verdict

CHANCE = 0.05
"""A difference counts where chance makes one as large more seldom than this."""

MINUS = "\u2212"
SPACE = "\u00a0"  # a number and its unit stay on one line
SECOND_DIGITS = 2
PRIMARY = (("answers", "right"), ("retrieval", "nDCG@10"))
"""What says which run is better: the first of these that a comparison has."""


def amount(value: float, unit: Unit) -> str:
    """Write a figure: 63.7 %, 3.41 s, 1,203.0."""
    return f"{_bare(value, unit)}{_suffix(unit)}"


def signed(delta: float, unit: Unit) -> str:
    """Write a difference with its sign: +4.0 points, -0.52 s (with a real minus)."""
    name = f"{SPACE}points" if unit is Unit.SHARE else _suffix(unit)
    return f"{_bare(delta, unit, sign=True)}{name}"


def interval(low: float, high: float, unit: Unit) -> str:
    """Write an interval without its unit: -0.5 to 7.5 (with a real minus)."""
    return f"{_bare(low, unit)} to {_bare(high, unit)}"


def chance(p: float) -> str:
    """Write a p value: 0.27, 0.031, < 0.001."""
    if p < 0.001:  # noqa: PLR2004  the last figure that is written
        return f"<{SPACE}0.001"
    digits = 2 if p >= 0.1 else 3  # noqa: PLR2004  two figures say enough of either
    return f"{p:.{digits}f}".removesuffix("0") if digits > 2 else f"{p:.2f}"  # noqa: PLR2004  the same


def beyond_chance(difference: Difference) -> bool:
    """Say whether a difference is more than chance: its interval and its test must agree.

    On few questions a bootstrap interval is too narrow, and a test alone gives no size.
    """
    return difference.p < CHANCE and (difference.low > 0 or difference.high < 0)


def is_better(difference: Difference) -> bool:
    """Say whether B is the better side of a difference."""
    return (difference.delta > 0) == difference.higher_is_better


def run_names(comparison: Comparison) -> tuple[str, str]:
    """Give names of A and B that tell them apart, even where they were named alike."""
    a, b = comparison.a.header.name, comparison.b.header.name
    return (a, b) if a != b else (f"{a} (A)", f"{b} (B)")


def refused(record: Record) -> bool:
    """Say whether a record is a refusal: a failure and a mere search are none."""
    return not record.answered and record.error is None and record.reason != SEARCHED


def category_of(question: Question) -> str:
    """Give the category that a comparison counts a question in."""
    if question.category is not None:
        return question.category
    if question.relevant:
        return "(none)"
    return "answerable" if question.answerable else "unanswerable"


def plural(count: int, noun: str) -> str:
    """Write a count of things: 1 question, 2 questions, 3 losses."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{ending}"


def headline(comparison: Comparison) -> tuple[str, ...]:
    """Say in a few sentences which run is better, by how much, and what that cost."""
    sentences = (
        _quality(comparison),
        _outcomes(comparison),
        _speed(comparison),
        _failures(comparison),
    )
    return tuple(s for s in sentences if s)


def _bare(value: float, unit: Unit, *, sign: bool = False) -> str:
    digits = SECOND_DIGITS if unit is Unit.SECONDS else 1
    scaled = 100 * value if unit is Unit.SHARE else value
    rounded = round(scaled, digits) + 0.0  # no negative zero
    text = f"{rounded:+,.{digits}f}" if sign and rounded else f"{rounded:,.{digits}f}"
    return text.replace("-", MINUS)


def _suffix(unit: Unit) -> str:
    return {Unit.SHARE: f"{SPACE}%", Unit.SECONDS: f"{SPACE}s", Unit.COUNT: ""}[unit]


def _find(comparison: Comparison, group: str, name: str) -> Difference | None:
    found = (d for d in comparison.differences if (d.group, d.name) == (group, name))
    return next(found, None)


def _proof(difference: Difference, *, turned: bool = False) -> str:
    low, high = difference.low, difference.high
    if turned:  # "4.0 points fewer" has an interval of how many fewer
        low, high = -high, -low
    p = chance(difference.p)
    equals = p if p.startswith("<") else f"= {p}"
    return (
        f"95{SPACE}% interval {interval(low, high, difference.unit)}, "
        f"p {equals}, n = {difference.n:,}"
    )


def _quality(comparison: Comparison) -> str:
    known = (_find(comparison, *which) for which in PRIMARY)
    primary = next((d for d in known if d is not None), None)
    if primary is None:
        return "No figure of quality is known of both runs."
    a, b = run_names(comparison)
    right = primary.group == "answers"
    what = "right answers" if right else primary.name
    if not beyond_chance(primary):
        size = signed(primary.delta, primary.unit)
        return (
            f"There is no difference in {what} that could not be chance: "
            f"{size} for {b} ({_proof(primary)})."
        )
    fewer = primary.delta < 0
    points = signed(abs(primary.delta), primary.unit).removeprefix("+")
    proof = _proof(primary, turned=fewer)
    if right:
        more = "fewer" if fewer else "more"
        return f"{b} answers {points} {more} questions right than {a} ({proof})."
    higher = "lower" if fewer else "higher"
    return f"The {what} of {b} is {points} {higher} than that of {a} ({proof})."


def _outcomes(comparison: Comparison) -> str:
    verdicts = [c.verdict for c in comparison.changes]
    wins, losses = verdicts.count(Verdict.WIN), verdicts.count(Verdict.LOSS)
    same = verdicts.count(Verdict.SAME)
    _, b = run_names(comparison)
    return f"{b} wins {plural(wins, 'question')} and loses {losses:,}; {same:,} come out the same."


def _speed(comparison: Comparison) -> str:
    found = _find(comparison, "cost", "seconds, mean")
    if found is None or (found.a == 0 and found.b == 0):
        return ""
    _, b = run_names(comparison)
    if not beyond_chance(found):
        return (
            "There is no difference in speed that could not be chance: "
            f"{signed(found.delta, found.unit)} a question for {b} ({_proof(found)})."
        )
    quicker = found.delta < 0
    size = amount(abs(found.delta), found.unit)
    word = "quicker" if quicker else "slower"
    return f"{b} is {size} {word} a question ({_proof(found, turned=quicker)})."


def _failures(comparison: Comparison) -> str:
    a = sum(c.a.error is not None for c in comparison.changes)
    b = sum(c.b.error is not None for c in comparison.changes)
    if not a and not b:
        return ""
    names = run_names(comparison)
    return f"{names[0]} failed on {plural(a, 'question')}, {names[1]} on {b:,}."
