"""Points -> plots as inline SVG, drawn by hand: no library, no script, no style attribute. Pure.

Colours come from the classes that the report's style sheet knows: `a`, `b`, `win`, `loss`. Run A is
dashed or hollow, run B solid, so that the two can be told apart without colours. The width is
that of a small phone, where the text keeps its size; elsewhere a plot grows as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from qa.evaluation.types import Curve, Difference, Unit
from qa.evaluation.wording import MINUS, beyond_chance, is_better, plural, signed

Point = tuple[float, float]

WIDTH = 360.0
LEFT, RIGHT = 46.0, 20.0
LEGEND_LINE = 16.0
FOOT = 40.0
HEIGHT = 250.0

LETTERS = 29
"""Longer names are cut short in a plot; the tables have them whole."""

MANY_CATEGORIES = 30
CATEGORY_HEIGHT = 46.0
BAR = 10.0
BAR_ROOM = 44.0  # for the number at a bar's end

FOREST_LEFT = 184.0
FOREST_ROW = 20.0

TAIL = 4.0
"""Seconds beyond this many times the 95th percentile are left out, or nothing else is seen."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high` between two pixels, with its name and what it writes at its ticks."""

    name: str
    low: float
    high: float
    begin: float
    end: float
    write: Callable[[float], str]

    def at(self, value: float) -> float:
        """Give the pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)


def risk_coverage(curves: Sequence[Curve]) -> Markup:
    """Draw the share of wrong answers at each coverage; empty where no run told a confidence."""
    told = [c.points for c in curves if c.points]
    if not told:
        return Markup()
    top = _round_up(max(0.1, *(risk for points in told for _, risk in points)))
    ends = [_end_of(c) for c in curves]
    return _lines(
        "risk",
        "Risk by coverage",
        f"The share of wrong answers as less and less sure answers are given. {' '.join(ends)}",
        (Axis("questions answered", 0, 1, 0, 0, _percent), Axis("wrong", 0, top, 0, 0, _percent)),
        [(c.name, c.points) for c in curves],
    )


def latency(names: tuple[str, str], seconds: tuple[Sequence[float], Sequence[float]]) -> Markup:
    """Draw which share of answers came within how many seconds; empty where no time was told."""
    together = sorted([*seconds[0], *seconds[1]])
    if not together or together[-1] <= 0:
        return Markup()
    usual = TAIL * _quantile(together, 0.95)
    end = _round_up(min(together[-1], usual) if usual else together[-1])
    halves = [_speed_of(name, sorted(s)) for name, s in zip(names, seconds, strict=True)]
    return _lines(
        "latency",
        "Time to answer",
        f"The share of answers that came within so many seconds. {' '.join(halves)}",
        (Axis("seconds", 0, end, 0, 0, _number), Axis("answers", 0, 1, 0, 0, _percent)),
        [(n, _steps(sorted(s), end)) for n, s in zip(names, seconds, strict=True)],
    )


def categories(names: tuple[str, str], scores: Sequence[tuple[str, int, float, float]]) -> Markup:
    """Draw the mean scores of (category, questions, A, B) as pairs of bars, the first thirty."""
    shown = scores[:MANY_CATEGORIES]
    if not shown:
        return Markup()
    head = 2 * LEGEND_LINE + 8
    foot = head + CATEGORY_HEIGHT * len(shown)
    axis = Axis("mean score", 0, 1, 4, WIDTH - BAR_ROOM, _percent)
    marks = [_legend(names, bars=True), *_upright(axis, head, foot)]
    for place, row in enumerate(shown):
        marks += _pair_of_bars(row, head + CATEGORY_HEIGHT * place, axis)
    told = [f"{name}: {_percent(a)} and {_percent(b)}." for name, _, a, b in shown]
    return _svg(
        "categories",
        "Score by category",
        f"Mean scores of {names[0]} and of {names[1]}. {' '.join(told)}",
        foot + FOOT,
        marks,
    )


def forest(differences: Sequence[Difference]) -> Markup:
    """Draw every difference of shares with its interval about zero, by groups."""
    shares = [d for d in differences if d.unit is Unit.SHARE]
    if not shares:
        return Markup()
    rows = _rows(shares)
    head = 22.0
    foot = head + FOREST_ROW * len(rows)
    axis = _about_zero(shares)
    marks = [*_upright(axis, head, foot), *_sides(shares, axis), _zero(axis, head, foot)]
    for place, row in enumerate(rows):
        middle = head + FOREST_ROW * (place + 0.5)
        if isinstance(row, str):
            marks.append(_text(0, middle + 4, row, kind="group"))
        else:
            marks += _difference(row, middle, axis)
    sure = [d for d in shares if beyond_chance(d)]
    told = [f"{d.group}, {d.name}: {signed(d.delta, d.unit)}." for d in sure]
    return _svg(
        "forest",
        "Differences with their 95 % intervals",
        f"B less A in {plural(len(shares), 'figure')}; beyond chance: {' '.join(told) or 'none.'}",
        foot + FOOT,
        marks,
    )


def _lines(
    slug: str,
    title: str,
    description: str,
    axes: tuple[Axis, Axis],
    series: Sequence[tuple[str, Sequence[Point]]],
) -> Markup:
    head = LEGEND_LINE * 2 + 10
    x, y = axes
    x = Axis(x.name, x.low, x.high, LEFT, WIDTH - RIGHT, x.write)
    y = Axis(y.name, y.low, y.high, HEIGHT - FOOT, head, y.write)
    marks = [*_upright(x, head, HEIGHT - FOOT), *_level(y), _legend([name for name, _ in series])]
    for kind, (_, points) in zip("ab", series, strict=True):
        if points:
            marks.append(_line(kind, [(x.at(at), y.at(value)) for at, value in points]))
    return _svg(slug, title, description, HEIGHT, marks)


def _svg(slug: str, title: str, description: str, height: float, marks: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="plot" role="img" viewBox="0 0 {:.0f} {:.0f}" '
        'aria-labelledby="{slug}-title {slug}-desc">\n'
        '<title id="{slug}-title">{}</title>\n<desc id="{slug}-desc">{}</desc>\n{}\n</svg>'
    ).format(WIDTH, height, title, description, Markup("\n").join(marks), slug=f"plot-{slug}")


def _text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "start") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, text
    )


def _stroke(kind: str, begin: Point, end: Point) -> Markup:
    return Markup(
        '<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"></line>'
    ).format(kind, *begin, *end)


def _box(kind: str, corner: Point, width: float, height: float) -> Markup:
    return Markup(
        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"></rect>'
    ).format(kind, *corner, max(width, 0.0), height)


def _line(kind: str, points: Sequence[Point]) -> Markup:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polyline class="line {}" points="{}"></polyline>').format(kind, places)


def _legend(names: Sequence[str], *, bars: bool = False) -> Markup:
    marks: list[Markup] = []
    for place, (kind, name) in enumerate(zip("ab", names, strict=True)):
        y = LEGEND_LINE * (place + 0.5)
        if bars:
            marks.append(_box(f"bar {kind}", (5, y - 4), 24, 8))
        else:
            marks.append(_stroke(f"line {kind}", (5, y), (29, y)))
        marks.append(_text(36, y + 4, f"{kind.upper()} {_short(name, 42)}", kind="name"))
    return Markup("\n").join(marks)


def _upright(axis: Axis, top: float, bottom: float) -> list[Markup]:
    marks: list[Markup] = []
    for tick in _ticks(axis.low, axis.high):
        x = axis.at(tick)
        marks.append(_stroke("grid", (x, top), (x, bottom)))
        first = x < 10  # noqa: PLR2004  at the plot's edge, where half of the text would be lost
        anchor = "start" if first else "middle"
        marks.append(_text(x, bottom + 15, axis.write(tick), anchor=anchor))
    middle = (axis.begin + axis.end) / 2
    return [*marks, _text(middle, bottom + 33, axis.name, kind="axis", anchor="middle")]


def _level(axis: Axis) -> list[Markup]:
    marks: list[Markup] = []
    for tick in _ticks(axis.low, axis.high):
        y = axis.at(tick)
        marks.append(_stroke("grid", (LEFT, y), (WIDTH - RIGHT, y)))
        marks.append(_text(LEFT - 6, y + 4, axis.write(tick), anchor="end"))
    # Upright, the name would be hard to read; above the ticks it is plain.
    return [*marks, _text(LEFT + 4, axis.end + 12, axis.name, kind="axis halo")]


def _pair_of_bars(row: tuple[str, int, float, float], top: float, axis: Axis) -> list[Markup]:
    name, questions, *scores = row
    label = f"{_short(name, 34)} ({plural(questions, 'question')})"
    marks = [_text(axis.begin, top + 16, label, kind="name halo")]
    for place, (kind, score) in enumerate(zip("ab", scores, strict=True)):
        y = top + 21 + place * (BAR + 1)
        end = axis.at(min(max(score, 0.0), 1.0))
        marks.append(_box(f"bar {kind}", (axis.begin, y), end - axis.begin, BAR))
        marks.append(_text(end + 4, y + BAR - 1, f"{100 * score:.1f}", kind="value halo"))
    return marks


def _rows(differences: Sequence[Difference]) -> list[str | Difference]:
    rows: list[str | Difference] = []
    group = None
    for difference in differences:
        if difference.group != group:
            group = difference.group
            rows.append(group)
        rows.append(difference)
    return rows


def _about_zero(differences: Sequence[Difference]) -> Axis:
    low = min(0.0, *(min(d.low, d.delta) for d in differences))
    high = max(0.0, *(max(d.high, d.delta) for d in differences))
    margin = max(0.05 * (high - low), 0.005)
    name = "points, B less A"
    return Axis(name, low - margin, high + margin, FOREST_LEFT, WIDTH - RIGHT, _points)


def _sides(differences: Sequence[Difference], axis: Axis) -> list[Markup]:
    if not all(d.higher_is_better for d in differences):
        return []  # then neither side is the better one
    zero = axis.at(0)
    worse = [_text(zero - 6, 14, "A better", kind="axis", anchor="end")]
    better = [_text(zero + 6, 14, "B better", kind="axis")]
    room = 50.0
    return worse * (zero - axis.begin > room) + better * (axis.end - zero > room)


def _zero(axis: Axis, top: float, bottom: float) -> Markup:
    return _stroke("zero", (axis.at(0), top - 16), (axis.at(0), bottom))


def _difference(difference: Difference, y: float, axis: Axis) -> list[Markup]:
    sure = beyond_chance(difference)
    kind = ("win" if is_better(difference) else "loss") if sure else "chance"
    begin, end, x = (axis.at(v) for v in (difference.low, difference.high, difference.delta))
    marks = [_text(10, y + 4, _short(difference.name, LETTERS))]
    marks.append(_stroke(f"interval {kind}", (begin, y), (end, y)))
    if not sure:
        dot = Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3.5"></circle>')
        return [*marks, dot.format(kind, x, y)]
    tip = -5 if is_better(difference) else 5
    corners = f"{x:.1f},{y + tip:.1f} {x - 5:.1f},{y - tip:.1f} {x + 5:.1f},{y - tip:.1f}"
    return [*marks, Markup('<polygon class="dot {}" points="{}"></polygon>').format(kind, corners)]


def _steps(seconds: Sequence[float], end: float) -> list[Point]:
    """Give the corners of the share of `seconds`, sorted, that are at most so many."""
    points: list[Point] = [(0.0, 0.0)] if seconds else []
    for place, value in enumerate(seconds, start=1):
        if value > end:
            break
        points += [(value, points[-1][1]), (value, place / len(seconds))]
    return [*points, (end, points[-1][1])] if points else []


def _end_of(curve: Curve) -> str:
    if not curve.points:
        return f"{curve.name}: no confidence is known."
    coverage, risk = curve.points[-1]
    return f"{curve.name}: {_percent(risk)} wrong where {_percent(coverage)} are answered."


def _speed_of(name: str, seconds: Sequence[float]) -> str:
    if not seconds:
        return f"{name}: no answers."
    half, most = _quantile(seconds, 0.5), _quantile(seconds, 0.9)
    return f"{name}: half within {half:.2f} seconds, nine tenths within {most:.2f}."


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _ticks(low: float, high: float) -> list[float]:
    step = _step(high - low)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * i for i in range(first, last + 1)]


def _step(room: float) -> float:
    """Give the distance of ticks, 1, 2 or 5 times a power of ten, that makes at most five steps."""
    magnitude = 10.0 ** math.floor(math.log10(room / 5))
    return next(s for s in (magnitude * k for k in (1, 2, 5, 10)) if room / s <= 5 + 1e-9)


def _round_up(value: float) -> float:
    step = _step(value)
    return step * math.ceil(value / step - 1e-9)


def _short(name: str, letters: int) -> str:
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}\u00a0%"


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"  # noqa: PLR2004  of float noise


def _points(share: float) -> str:
    text = f"{100 * share:+.3g}"
    return "0" if abs(share) < 1e-9 else text.replace("-", MINUS)  # noqa: PLR2004  of float noise
