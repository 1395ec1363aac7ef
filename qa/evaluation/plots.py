"""Points -> SVG, for a page without scripts or pictures from elsewhere. Pure.

Colours are classes (`a`, `b`, `axis`), which the page's style sheet knows; every plot has a title
and a description for those who do not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 42
BAR = 12


@dataclass(frozen=True, slots=True)
class Line:
    """A named line; `kind` is its colour's class."""

    name: str
    kind: str
    points: Points


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart: what it is of, and the shares of both runs."""

    name: str
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class Whisker:
    """A difference with its interval; `kind` is its colour's class."""

    name: str
    low: float
    value: float
    high: float
    kind: str


def lines(title: str, about: str, of: Sequence[Line], *, x: str, y: str) -> str:
    """Draw steps: a point's value holds until the next point. Axes begin at 0."""
    across = max((p[0] for line in of for p in line.points), default=0.0) or 1.0
    up = max((p[1] for line in of for p in line.points), default=0.0) or 1.0
    drawn = "".join(
        f'<path class="line {line.kind}" d="{_steps(line.points, across, up)}"><title>'
        f"{escape(line.name)}</title></path>"
        for line in of
        if line.points
    )
    return _frame(title, about, HEIGHT, _axes(across, up, x, y) + drawn)


def bars(title: str, about: str, of: Sequence[Bar]) -> str:
    """Draw shares, 0 to 1, two bars a row."""
    height = TOP + BOTTOM + len(of) * (2 * BAR + 26)
    rows = []
    for place, bar in enumerate(of):
        top = TOP + place * (2 * BAR + 26)
        rows.append(f'<text class="label" x="0" y="{top + 10}">{escape(bar.name)}</text>')
        for kind, share, offset in (("a", bar.a, 14), ("b", bar.b, 14 + BAR)):
            length = share * (WIDTH - 60)
            rows.append(
                f'<rect class="{kind}" x="0" y="{top + offset}" width="{length:.1f}" '
                f'height="{BAR - 2}"/><text class="tick" x="{length + 4:.1f}" '
                f'y="{top + offset + BAR - 3}">{100 * share:.0f} %</text>'
            )
    return _frame(title, about, height - BOTTOM + 8, "".join(rows))


def forest(title: str, about: str, of: Sequence[Whisker], *, x: str) -> str:
    """Draw differences with their intervals around a line at 0."""
    reach = max((abs(v) for w in of for v in (w.low, w.high)), default=0.0) or 0.01
    begin = 190
    height = TOP + BOTTOM + 22 * len(of)

    def place(value: float) -> float:
        return begin + (value / reach + 1) / 2 * (WIDTH - RIGHT - begin)

    zero = f"{place(0):.1f}"
    rows = [f'<line class="axis" x1="{zero}" x2="{zero}" y1="{TOP}" y2="{height - BOTTOM}"/>']
    for number, whisker in enumerate(of):
        y = TOP + 22 * number + 12
        rows.append(
            f'<text class="label" x="0" y="{y + 4}">{escape(whisker.name)}</text>'
            f'<line class="line {whisker.kind}" x1="{place(whisker.low):.1f}" '
            f'x2="{place(whisker.high):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="{whisker.kind}" cx="{place(whisker.value):.1f}" cy="{y}" r="4"/>'
        )
    for value in (-reach, 0.0, reach):
        anchor = {-reach: "start", 0.0: "middle", reach: "end"}[value]
        rows.append(
            f'<text class="tick" text-anchor="{anchor}" x="{place(value):.1f}" '
            f'y="{height - BOTTOM + 16}">{100 * value:+.1f}</text>'
        )
    rows.append(
        f'<text class="tick" text-anchor="middle" x="{place(0):.1f}" y="{height - 8}">'
        f"{escape(x)}</text>"
    )
    return _frame(title, about, height, "".join(rows))


def cumulative(values: Sequence[float]) -> list[tuple[float, float]]:
    """Give (value, share of the values that are not larger), smallest first."""
    ordered = sorted(values)
    return [(value, place / len(ordered)) for place, value in enumerate(ordered, start=1)]


def _steps(points: Points, across: float, up: float) -> str:
    moves: list[str] = []
    for x, y in points:
        left, top = _x(x, across), _y(y, up)
        moves.append(f"H{left:.1f}V{top:.1f}" if moves else f"M{left:.1f} {top:.1f}")
    return "".join(moves)


def _axes(across: float, up: float, x: str, y: str) -> str:
    bottom = HEIGHT - BOTTOM
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}"/>']
    for quarter in range(5):
        share = quarter / 4
        parts.append(
            f'<text class="tick" text-anchor="middle" x="{_x(share * across, across):.1f}" '
            f'y="{bottom + 16}">{share * across:.2g}</text>'
            f'<text class="tick" text-anchor="end" x="{LEFT - 6}" '
            f'y="{_y(share * up, up) + 4:.1f}">{share * up:.2g}</text>'
        )
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text class="tick" text-anchor="middle" x="{(LEFT + WIDTH - RIGHT) / 2}" '
        f'y="{HEIGHT - 6}">{escape(x)}</text><text class="tick" text-anchor="middle" '
        f'transform="translate(14 {middle}) rotate(-90)">{escape(y)}</text>'
    )
    return "".join(parts)


def _x(value: float, across: float) -> float:
    return LEFT + value / across * (WIDTH - LEFT - RIGHT)


def _y(value: float, up: float) -> float:
    return HEIGHT - BOTTOM - value / up * (HEIGHT - TOP - BOTTOM)


def _frame(title: str, about: str, height: float, inside: str) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {WIDTH} {height:.0f}"><title>{escape(title)}</title>'
        f"<desc>{escape(about)}</desc>{inside}</svg>"
    )
