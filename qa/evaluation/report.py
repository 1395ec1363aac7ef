"""A comparison -> a page to look at, or Markdown for a comment.

The page is one file that opens from disk: styles, script and plots are inside, and its own
Content-Security-Policy lets no request leave it. What stands in runs is text, never markup.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from qa.evaluation.plots import Bar, Line, Whisker, bars, cumulative, forest, lines
from qa.evaluation.types import Change, Comparison, Difference, Record, Run, Unit, Verdict
from qa.evaluation.wording import (
    amount,
    beyond_chance,
    category_of,
    chance,
    headline,
    interval,
    is_better,
    refused,
    run_names,
    signed,
)

FOLDER = Path(__file__).parent
LISTED = 20
"""How many questions of each kind a Markdown table lists."""
ORDER = (Verdict.LOSS, Verdict.WIN, Verdict.SAME)
FILTERS = (
    ("all", "All"),
    ("win", "Wins"),
    ("loss", "Losses"),
    ("refused", "Refused by either"),
    ("error", "Errors"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of figures; `mood` is `better`, `worse` or empty."""

    name: str
    a: str
    b: str
    delta: str
    interval: str
    p: str
    n: int
    mood: str


@dataclass(frozen=True, slots=True)
class Card:
    """A question on the page, with what its filters look at."""

    change: Change
    kinds: str
    category: str


def to_html(comparison: Comparison) -> str:
    """Write the page."""
    style, script = _asset("report.css"), _asset("report.js")
    a, b = run_names(comparison)
    changed, same = _settings(comparison.a, comparison.b)
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        comparison=comparison,
        a=a,
        b=b,
        sentences=headline(comparison),
        changed=changed,
        same=same,
        groups=_groups(comparison.differences),
        plots=[(name, Markup(svg)) for name, svg in _plots(comparison)],  # noqa: S704  plots escape
        filters=FILTERS,
        categories=sorted({category_of(c.question) for c in comparison.changes}),
        cards=_cards(comparison.changes),
        style=Markup(style),  # noqa: S704  our own file
        script=Markup(script),  # noqa: S704  our own file
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def to_markdown(comparison: Comparison) -> str:
    """Write the headline, the table of differences, and the first questions that changed."""
    a, b = run_names(comparison)
    rows = [
        f"| {d.group}: {_cell(r.name)} | {r.a} | {r.b} | {r.delta} | {r.interval} | {r.p} | {r.n} |"
        for d in comparison.differences
        for r in [_row(d)]
    ]
    parts = [
        f"## {_cell(b)} beside {_cell(a)}",
        "\n".join(_cell(sentence) + "  " for sentence in headline(comparison)),
        f"| | {_cell(a)} | {_cell(b)} | difference | 95 % interval | p | n |\n"
        "|---|---:|---:|---:|---|---:|---:|\n" + "\n".join(rows),
    ]
    for verdict, title in ((Verdict.LOSS, "Losses"), (Verdict.WIN, "Wins")):
        changed = [c for c in comparison.changes if c.verdict is verdict]
        listed = "\n".join(
            f"- {_cell(c.question.text)}: {_said(c.a)} → {_said(c.b)}" for c in changed[:LISTED]
        )
        more = f"\n- … and {len(changed) - LISTED} more" if len(changed) > LISTED else ""
        parts.append(f"### {title}: {len(changed)}\n\n{listed}{more}".rstrip())
    return "\n\n".join(parts) + "\n"


def _asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _settings(a: Run, b: Run) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    one, other = a.header.details, b.header.details
    names = sorted({*one, *other})
    changed = [
        (n, str(one.get(n, "")), str(other.get(n, ""))) for n in names if one.get(n) != other.get(n)
    ]
    return changed, [(n, str(one[n])) for n in names if n in one and one[n] == other.get(n)]


def _groups(differences: Sequence[Difference]) -> list[tuple[str, list[Row]]]:
    grouped = groupby(differences, key=lambda d: d.group)
    return [(group, [_row(d) for d in members]) for group, members in grouped]


def _row(d: Difference) -> Row:
    mood = ""
    arrow = ""
    if beyond_chance(d):
        mood = "better" if is_better(d) else "worse"
        arrow = f" {'▲' if d.delta > 0 else '▼'} {mood}"
    return Row(
        d.name,
        amount(d.a, d.unit),
        amount(d.b, d.unit),
        signed(d.delta, d.unit) + arrow,
        interval(d.low, d.high, d.unit),
        chance(d.p),
        d.n,
        mood,
    )


def _cards(changes: Sequence[Change]) -> list[Card]:
    ordered = sorted(changes, key=lambda c: ORDER.index(c.verdict))
    return [Card(c, _kinds(c), category_of(c.question)) for c in ordered]


def _kinds(change: Change) -> str:
    kinds = [change.verdict.value]
    if refused(change.a) or refused(change.b):
        kinds.append("refused")
    if change.a.error or change.b.error:
        kinds.append("error")
    return " ".join(kinds)


def _plots(comparison: Comparison) -> list[tuple[str, str]]:
    names = run_names(comparison)
    curves = [
        Line(name, kind, curve.points)
        for name, kind, curve in zip(names, "ab", comparison.curves, strict=True)
    ]
    seconds = (
        [c.a.seconds for c in comparison.changes],
        [c.b.seconds for c in comparison.changes],
    )
    quick = [
        Line(name, kind, cumulative(values))
        for name, kind, values in zip(names, "ab", seconds, strict=True)
    ]
    plots = [
        (
            "Difference, in points",
            forest(
                "Differences with 95 % intervals",
                f"Right of the line {names[1]} has more.",
                [_whisker(d) for d in comparison.differences if d.unit is Unit.SHARE],
                x=f"{names[1]} less {names[0]}, points",
            ),
        ),
        (
            "Score by category",
            bars(
                "Mean score by category",
                "Two bars for each category, one a run.",
                [Bar(f"{n} ({k})", x, y) for n, k, x, y in comparison.categories],
            ),
        ),
        (
            "Seconds to an answer",
            lines(
                "Share of answers within so many seconds",
                "Further left is quicker.",
                quick,
                x="seconds",
                y="share of answers",
            ),
        ),
    ]
    if any(line.points for line in curves):
        drawn = lines(
            "Risk and coverage",
            "The share of wrong answers, when only the surest are given.",
            curves,
            x="coverage: share of questions answered",
            y="risk: share wrong",
        )
        plots.insert(1, ("Risk and coverage", drawn))
    return plots


def _whisker(d: Difference) -> Whisker:
    kind = "even"
    if beyond_chance(d):
        kind = "good" if is_better(d) else "bad"
    return Whisker(d.name, d.low, d.delta, d.high, kind)


def _said(record: Record) -> str:
    if record.error:
        return "error"
    return f"“{_cell(record.answer[:120])}”" if record.answered else "refused"


def _cell(text: str) -> str:
    flat = " ".join(text.split())
    for sign in "\\`|*_<>[]":
        flat = flat.replace(sign, f"\\{sign}")
    return flat
