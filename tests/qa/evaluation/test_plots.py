from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree as ET  # what is parsed here was drawn by this project

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.evaluation import plots
from qa.evaluation.types import Curve, Difference, Unit

NAMES = ("before", "<after>")
shares = st.floats(0, 1)
names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF))


def drawn(svg: str) -> ET.Element:
    """Give a plot as a tree, and check that all of it is numbers and within its box."""
    tree = ET.fromstring(svg)  # noqa: S314  drawn by this project
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    assert tree.attrib["role"] == "img"
    assert tree.attrib["aria-labelledby"] == " ".join(tree[i].attrib["id"] for i in (0, 1))
    assert [tree[0].tag, tree[1].tag] == ["title", "desc"]
    for mark in tree:
        assert "style" not in mark.attrib
        for x, y in places(mark):
            assert -1 <= x <= width + 1
            assert -1 <= y <= height + 1
    return tree


def places(mark: ET.Element) -> list[tuple[float, float]]:
    """Give the points of a mark."""
    if "points" in mark.attrib:
        return [(float(x), float(y)) for x, y in pairs(mark)]
    names = (("x", "y"), ("x1", "y1"), ("x2", "y2"), ("cx", "cy"))
    return [(float(mark.attrib[x]), float(mark.attrib[y])) for x, y in names if x in mark.attrib]


def pairs(mark: ET.Element) -> list[list[str]]:
    return [point.split(",") for point in mark.attrib["points"].split()]


def texts(tree: ET.Element) -> list[str]:
    return [(mark.text or "").replace("\u00a0", " ") for mark in tree if mark.tag == "text"]


def of_class(tree: ET.Element, kind: str) -> list[ET.Element]:
    return [mark for mark in tree if mark.attrib.get("class") == kind]


def difference(name: str, delta: float, half: float, p: float) -> Difference:
    return Difference(
        group="answers",
        name=name,
        unit=Unit.SHARE,
        higher_is_better=True,
        a=0.5,
        b=0.5 + delta,
        delta=delta,
        low=delta - half,
        high=delta + half,
        p=p,
        test="bootstrap",
        n=100,
    )


def test_risk_falls_to_the_foot_and_ends_where_answers_end() -> None:
    curves = (Curve("before", ((0.25, 0.0), (0.5, 0.2))), Curve("<after>", ((1.0, 0.4),)))
    tree = drawn(plots.risk_coverage(curves))
    (line,) = of_class(tree, "line a")[1:]  # the first is the legend's
    (left, low), (right, high) = places(line)
    middle = plots.LEFT + (plots.WIDTH - plots.RIGHT - plots.LEFT) / 2
    assert low == plots.HEIGHT - plots.FOOT
    assert left < right == pytest.approx(middle)
    assert high < low
    assert {"0 %", "100 %", "questions answered", "wrong", "A before", "B <after>"} <= set(
        texts(tree)
    )
    assert "<after>: 40 % wrong where 100 % are answered." in (tree[1].text or "").replace(
        "\u00a0", " "
    )


def test_a_run_without_confidences_has_no_curve() -> None:
    tree = drawn(plots.risk_coverage((Curve("a", ((1.0, 0.2),)), Curve("b", ()))))
    assert len(of_class(tree, "line b")) == 1  # the legend's
    assert plots.risk_coverage((Curve("a", ()), Curve("b", ()))) == ""


def test_latency_climbs_to_all_answers() -> None:
    tree = drawn(plots.latency(NAMES, ([3.0, 1.0, 2.0, 4.0], [1.0])))
    (line,) = of_class(tree, "line a")[1:]
    points = places(line)
    assert points == sorted(points, key=lambda p: (p[0], -p[1]))
    assert points[0] == (plots.LEFT, plots.HEIGHT - plots.FOOT)
    assert points[-1][0] == plots.WIDTH - plots.RIGHT
    assert "before: half within 2.00 seconds, nine tenths within 4.00." in (tree[1].text or "")


def test_one_slow_answer_does_not_hide_the_others() -> None:
    tree = drawn(plots.latency(NAMES, ([1.0] * 99 + [500.0], [1.0] * 100)))
    assert max(float(t) for t in texts(tree) if t.isdecimal()) <= 5


def test_times_that_were_not_told_are_not_drawn() -> None:
    assert plots.latency(NAMES, ([], [])) == ""
    assert plots.latency(NAMES, ([0.0], [0.0])) == ""


def test_bars_are_as_long_as_their_scores() -> None:
    tree = drawn(plots.categories(NAMES, [("who", 3, 0.25, 0.5), ("when", 1, 0.0, 1.0)]))
    widths = [[float(b.attrib["width"]) for b in of_class(tree, f"bar {run}")][1:] for run in "ab"]
    assert widths[1][0] == pytest.approx(2 * widths[0][0], abs=0.1)
    assert widths[0][1] == 0
    assert {"who (3 questions)", "when (1 question)", "25.0", "100.0"} <= set(texts(tree))
    assert plots.categories(NAMES, ()) == ""


def test_many_categories_stay_a_plot() -> None:
    tree = drawn(plots.categories(NAMES, [(f"c{i}", 1, 0.5, 0.5) for i in range(50)]))
    assert len(of_class(tree, "bar a")) == plots.MANY_CATEGORIES + 1


def test_the_forest_marks_what_is_beyond_chance_by_shape() -> None:
    rows = [
        difference("up", 0.1, 0.05, 0.01),
        difference("down", -0.1, 0.05, 0.01),
        difference("even", 0.01, 0.05, 0.6),
    ]
    tree = drawn(plots.forest(rows))
    (up,), (down,) = of_class(tree, "dot win"), of_class(tree, "dot loss")
    assert up.tag == down.tag == "polygon"
    assert places(up)[0][1] < places(up)[1][1]
    assert places(down)[0][1] > places(down)[1][1]
    assert [mark.tag for mark in of_class(tree, "dot chance")] == ["circle"]
    assert {"answers", "up", "0", "points, B less A", "A better", "B better"} <= set(texts(tree))
    zero = of_class(tree, "zero")[0].attrib["x1"]
    assert places(down)[0][0] < float(zero) < places(up)[0][0]


def test_the_forest_is_of_shares_alone() -> None:
    assert plots.forest([]) == ""
    seconds = replace(difference("seconds, mean", 0.5, 0.1, 0.01), unit=Unit.SECONDS)
    assert plots.forest([seconds]) == ""


def test_where_lower_is_better_no_side_is_called_better() -> None:
    row = difference("risk", 0.1, 0.05, 0.01)
    tree = drawn(plots.forest([replace(row, higher_is_better=False)]))
    assert of_class(tree, "dot loss")
    assert "B better" not in texts(tree)


def test_names_are_text_and_long_ones_are_cut() -> None:
    svg = plots.latency(("<b>", "x" * 200), ([1.0], [2.0]))
    tree = drawn(svg)
    assert "A <b>" in texts(tree)
    assert all(len(text) < 60 for text in texts(tree))


@given(
    st.lists(st.tuples(shares, shares), max_size=20),
    st.lists(st.floats(0, 1e5, allow_subnormal=False), max_size=20),
    st.lists(st.tuples(names, st.integers(1, 9), shares, shares), max_size=4),
)
def test_whatever_was_measured_is_drawn_inside_the_plot(
    points: list[tuple[float, float]],
    seconds: list[float],
    scores: list[tuple[str, int, float, float]],
) -> None:
    for svg in (
        plots.risk_coverage((Curve("a", tuple(sorted(points))), Curve("b", ()))),
        plots.latency(NAMES, (seconds, seconds[:3])),
        plots.categories(NAMES, scores),
    ):
        if svg:
            drawn(svg)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1), shares), min_size=1, max_size=8))
def test_every_difference_is_drawn_inside_the_plot(
    rows: list[tuple[float, float, float]],
) -> None:
    tree = drawn(plots.forest([difference(f"m{i}", *row) for i, row in enumerate(rows)]))
    assert all(math.isfinite(x) for mark in tree for point in places(mark) for x in point)
