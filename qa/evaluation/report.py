"""A comparison of two runs -> a page for people, and a comment for a pull request. Pure.

The page is one file that needs nothing else: style, script and plots are inside, and its own
policy lets nothing be fetched. It can be read without the script, which only filters. Everything
that comes from a run is somebody else's text: Jinja and MarkupSafe escape it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from qa.evaluation import plots
from qa.evaluation.types import (
    SEARCHED,
    Change,
    Comparison,
    Difference,
    Figure,
    Header,
    Place,
    Question,
    Record,
    Run,
    Verdict,
)
from qa.evaluation.wording import (
    CHANCE,
    amount,
    beyond_chance,
    category_of,
    chance,
    headline,
    interval,
    is_better,
    plural,
    refused,
    run_names,
    signed,
)

HERE = Path(__file__).parent
LISTED = 20
"""So many losses, and as many wins, stand in a comment."""
LETTERS = 160
"""Longer texts are cut short in a comment."""
PLACES = 10
"""So many of the passages that a search found are shown."""
MARKS = {Verdict.WIN: "▲", Verdict.LOSS: "▼", Verdict.SAME: "="}

_MARKUP = re.compile(r"[\\`*_\[\]|~]|^[-+#=]|(?<=^\d)[.)]")
_PING = re.compile(r"([@#])(?=\w)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """A metric in both runs, written out; and what `mark` says of the difference."""

    group: str
    name: str
    a: tuple[str, str]
    b: tuple[str, str]
    delta: tuple[str, str]
    p: str
    test: str
    n: str
    mark: str


@dataclass(frozen=True, slots=True)
class Side:
    """One run's record of a question, with what the page says of it.

    `pieces` are the answer in parts, each with the numbers of the citations that end there.
    `found` are the passages of a search, with whether each is a relevant one.
    """

    letter: str
    name: str
    record: Record
    outcome: str
    kind: str
    pieces: Sequence[tuple[str, Sequence[int]]]
    found: Sequence[tuple[Place, bool]]


@dataclass(frozen=True, slots=True)
class Item:
    """A question on the page; `number` is its place in the question set."""

    number: int
    question: Question
    verdict: Verdict
    category: str
    refused: bool
    failed: bool
    sides: Sequence[Side]


@dataclass(frozen=True, slots=True)
class Detail:
    """One of the details of both headers; None where a header does not have it."""

    name: str
    a: str | None
    b: str | None


def to_html(comparison: Comparison) -> str:
    """Give the report as one HTML file."""
    style, script = _read("report.css"), _read("report.js")
    page = _environment().get_template("report.html.jinja")
    return page.render(
        style=style,
        script=script,
        policy=_policy(style, script),
        names=run_names(comparison),
        runs=_about(comparison),
        about=_question_set(comparison),
        same_set=_is_same_set(comparison),
        differing=[d for d in _details(comparison) if d.a != d.b],
        alike=[d for d in _details(comparison) if d.a == d.b],
        headline=headline(comparison),
        groups=_groups(_rows(comparison)),
        tested=len(comparison.differences),
        one_in=round(1 / CHANCE),
        figures=_plots(comparison),
        **_questions(comparison),
    )


def to_markdown(comparison: Comparison) -> str:
    """Give the differences, and the first losses and wins, for a pull request's comment."""
    a, b = (_plain(name) for name in run_names(comparison))
    parts = [
        f"### {b} compared with {a}",
        " ".join(_plain(sentence) for sentence in headline(comparison)),
        _markdown_table(comparison.differences, a, b),
        _markdown_list("Losses", Verdict.LOSS, comparison.changes),
        _markdown_list("Wins", Verdict.WIN, comparison.changes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plural"] = plural
    return environment


def _read(name: str) -> Markup:
    text = (HERE / name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704  this project's own file, no run's text


def _policy(style: str, script: str) -> str:
    """Allow this style and this script, by their digests, and that nothing is fetched."""

    def digest(text: str) -> str:
        raw = hashlib.sha256(text.encode()).digest()
        return f"'sha256-{base64.b64encode(raw).decode()}'"

    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _about(comparison: Comparison) -> list[dict[str, object]]:
    runs = (("A", comparison.a), ("B", comparison.b))
    return [
        {
            "letter": letter,
            "name": run.header.name,
            "created": _date(run.header.created),
            "answered": len(run.records),
        }
        for letter, run in runs
    ]


def _date(created: str) -> str:
    try:
        return f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return created


def _question_set(comparison: Comparison) -> str:
    a, b = comparison.a.header.questions, comparison.b.header.questions
    return a if a == b else f"{a} and {b}"


def _is_same_set(comparison: Comparison) -> bool:
    return comparison.a.header.questions_digest == comparison.b.header.questions_digest


def _details(comparison: Comparison) -> list[Detail]:
    a, b = (_flat(_of_header(run.header)) for run in (comparison.a, comparison.b))
    return [Detail(name, a.get(name), b.get(name)) for name in {**a, **b}]


def _of_header(header: Header) -> dict[str, Any]:
    return {
        **header.details,
        "question set": header.questions,
        "digest of the questions": header.questions_digest,
    }


def _flat(details: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Give nested details under dotted names, each written as one text."""
    flat: dict[str, str] = {}
    for key, value in details.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = (
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            )
    return flat


def _rows(comparison: Comparison) -> list[Row]:
    """Give a row for every figure that either run has, in the order of the figures."""
    a = {(f.group, f.name): f for f in comparison.figures_a}
    b = {(f.group, f.name): f for f in comparison.figures_b}
    tested = {(d.group, d.name): d for d in comparison.differences}
    return [_row(key, a.get(key), b.get(key), tested.get(key)) for key in {**a, **b, **tested}]


def _row(
    key: tuple[str, str], a: Figure | None, b: Figure | None, tested: Difference | None
) -> Row:
    return Row(
        *key,
        a=_figure(a),
        b=_figure(b),
        delta=_delta(a, b, tested),
        p="" if tested is None else chance(tested.p),
        test="" if tested is None else tested.test,
        n=_count(a, b, tested),
        mark=_mark(tested),
    )


def _figure(figure: Figure | None) -> tuple[str, str]:
    if figure is None or figure.value is None:
        return "", ""
    if figure.low is None or figure.high is None:
        return amount(figure.value, figure.unit), ""
    return amount(figure.value, figure.unit), interval(figure.low, figure.high, figure.unit)


def _delta(a: Figure | None, b: Figure | None, tested: Difference | None) -> tuple[str, str]:
    if tested is not None:
        unit = tested.unit
        return signed(tested.delta, unit), interval(tested.low, tested.high, unit)
    if a is None or b is None or a.value is None or b.value is None:
        return "", ""
    return signed(b.value - a.value, b.unit), ""


def _count(a: Figure | None, b: Figure | None, tested: Difference | None) -> str:
    if tested is not None:
        return f"{tested.n:,}"
    counts = dict.fromkeys(f"{f.n:,}" for f in (a, b) if f is not None)
    return " / ".join(counts)


def _mark(tested: Difference | None) -> str:
    if tested is None:
        return ""
    if tested.low == tested.high == 0:
        return "alike"
    if not beyond_chance(tested):
        return "may be chance"
    return "▲ better" if is_better(tested) else "▼ worse"


def _groups(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return groups


def _plots(comparison: Comparison) -> list[tuple[str, Markup, str]]:
    """Give the plots that there are points for: what stands above and below each."""
    names = run_names(comparison)
    times = ([c.a for c in comparison.changes], [c.b for c in comparison.changes])
    a, b = ([r.seconds for r in records if r.error is None] for records in times)
    categories = comparison.categories
    more = len(categories) - plots.MANY_CATEGORIES
    drawn = [
        (
            "Differences",
            plots.forest(comparison.differences),
            "How much each share differs. An interval that reaches the zero line may be chance.",
        ),
        (
            "Risk by coverage",
            plots.risk_coverage(comparison.curves),
            "How often answers are wrong when only the surest are given. Lower is better.",
        ),
        (
            "Time to answer",
            plots.latency(names, (a, b)),
            "The share of answers that came within so many seconds. Further left is better.",
        ),
        (
            "Score by category",
            plots.categories(names, categories if len(categories) > 1 else ()),
            "The mean score of each category."
            + (f" {plural(more, 'more category')} not shown." if more > 0 else ""),
        ),
    ]
    return [(title, plot, caption) for title, plot, caption in drawn if plot]


def _questions(comparison: Comparison) -> dict[str, Any]:
    items = [_item(n, c, comparison) for n, c in enumerate(comparison.changes, start=1)]
    by_verdict = {v: [i for i in items if i.verdict is v] for v in Verdict}
    names = dict.fromkeys(item.category for item in items)
    return {
        "total": len(items),
        "losses": by_verdict[Verdict.LOSS],
        "wins": by_verdict[Verdict.WIN],
        "rest": by_verdict[Verdict.SAME],
        "marks": MARKS,
        "categories": sorted(names) if len(names) > 1 else [],
        "filters": [
            ("all", "All", len(items)),
            ("losses", "Losses", len(by_verdict[Verdict.LOSS])),
            ("wins", "Wins", len(by_verdict[Verdict.WIN])),
            ("refused", "Refused by either", sum(i.refused for i in items)),
            ("errors", "Errors", sum(i.failed for i in items)),
        ],
    }


def _item(number: int, change: Change, comparison: Comparison) -> Item:
    records = (change.a, change.b)
    return Item(
        number=number,
        question=change.question,
        verdict=change.verdict,
        category=category_of(change.question),
        refused=any(refused(r) for r in records),
        failed=any(r.error is not None for r in records),
        sides=(
            _side("A", comparison.a, change.a, change.score_a),
            _side("B", comparison.b, change.b, change.score_b),
        ),
    )


def _side(letter: str, run: Run, record: Record, score: float) -> Side:
    return Side(
        letter=letter,
        name=run.header.name,
        record=record,
        outcome=_outcome(record, score),
        kind=_kind(record),
        pieces=_pieces(record),
        found=_found(record),
    )


def _outcome(record: Record, score: float) -> str:
    if record.reason != SEARCHED and score in {0.0, 1.0}:
        return "right" if score else "wrong"
    return f"score {score:.2f}"


def _kind(record: Record) -> str:
    if record.error is not None:
        return "error"
    if record.answered:
        return "answer"
    return "search" if record.reason == SEARCHED else "refusal"


def _pieces(record: Record) -> list[tuple[str, list[int]]]:
    """Cut an answer where its citations end, so that their numbers can stand there."""
    text = record.answer
    ends: dict[int, list[int]] = {}
    for number, citation in enumerate(record.citations or (), start=1):
        ends.setdefault(min(max(citation.answer_end, 0), len(text)), []).append(number)
    pieces, begin = [], 0
    for end in sorted(ends):
        pieces.append((text[begin:end], ends[end]))
        begin = end
    return [*pieces, (text[begin:], [])]


def _found(record: Record) -> list[tuple[Place, bool]]:
    if record.reason != SEARCHED:
        return []
    question = record.question
    relevant = {*question.relevant, question.document}
    return [(p, p.source in relevant) for p in (record.passages or ())[:PLACES]]


def _markdown_table(differences: Sequence[Difference], a: str, b: str) -> str:
    if not differences:
        return ""
    lines = [
        f"| metric | {a} | {b} | difference | 95 % interval | | p | n |",
        "|---|--:|--:|--:|:-:|---|--:|--:|",
    ]
    for d in differences:
        cells = (
            f"{_plain(d.group)}: {_plain(d.name)}",
            amount(d.a, d.unit),
            amount(d.b, d.unit),
            signed(d.delta, d.unit),
            interval(d.low, d.high, d.unit),
            _mark(d),
            chance(d.p).replace("<", "&lt;"),
            f"{d.n:,}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _markdown_list(title: str, verdict: Verdict, changes: Sequence[Change]) -> str:
    found = [c for c in changes if c.verdict is verdict]
    if not found:
        return ""
    lines = [f"**{MARKS[verdict]} {title}: {len(found):,}**", ""]
    lines += [_markdown_change(c) for c in found[:LISTED]]
    if len(found) > LISTED:
        lines.append(f"- … and {len(found) - LISTED:,} more")
    return "\n".join(lines)


def _markdown_change(change: Change) -> str:
    lines = [f"- **{_cut(change.question.text)}**" + _markdown_gold(change.question)]
    for letter, record in (("A", change.a), ("B", change.b)):
        lines.append(f"  - {letter}: {_markdown_record(record)}")
    return "\n".join(lines)


def _markdown_gold(question: Question) -> str:
    golds = [*question.answers, *question.relevant]
    if golds:
        return f" ({' / '.join(_cut(gold) for gold in golds[:3])})"
    return "" if question.answerable else " (not answerable)"


def _markdown_record(record: Record) -> str:
    kind = _kind(record)
    if kind == "error":
        return f"error: {_cut(record.error or '')}"
    if kind == "refusal":
        return f"refused: {_cut(record.reason or 'no reason given')}"
    if kind == "search":
        sources = dict.fromkeys(p.source for p in record.passages or ())
        return f"found {', '.join(_cut(s) for s in list(sources)[:3]) or 'nothing'}"
    return _cut(record.answer)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return _plain(text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…")


def _plain(text: str) -> str:
    """Give a text that Markdown shows as it is, on one line: no markup, no table, no mention."""
    text = " ".join(text.split())
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    text = _MARKUP.sub(r"\\\g<0>", text)
    # Nothing else keeps GitHub from telling @somebody, or from linking #1 and www.example.com.
    return _PING.sub(lambda found: f"{found[0]}\u200b", text)
