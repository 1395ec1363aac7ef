from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from qa.evaluation.plots import Bar, Line, Whisker, bars, cumulative, forest, lines

EVIL = "<b>&"


@pytest.mark.parametrize(
    "svg",
    [
        lines(EVIL, EVIL, [Line(EVIL, "a", [(0.0, 0.5), (1.0, 0.25)])], x=EVIL, y=EVIL),
        lines("empty", "", [Line("a", "a", [])], x="x", y="y"),
        bars(EVIL, EVIL, [Bar(EVIL, 0.0, 1.0)]),
        forest(EVIL, EVIL, [Whisker(EVIL, -0.1, 0.0, 0.2, "even")], x=EVIL),
        forest("empty", "", [], x="x"),
    ],
)
def test_a_plot_is_well_formed_and_has_a_title(svg: str) -> None:
    root = ET.fromstring(svg)  # noqa: S314  our own output
    assert root.get("role") == "img"
    assert root[0].tag == "title"
    assert root.find("b") is None


def test_a_line_goes_by_steps_from_left_to_right() -> None:
    svg = lines("t", "d", [Line("a", "a", [(1.0, 1.0), (2.0, 0.5)])], x="x", y="y")
    assert 'd="M250.0 12.0H448.0V115.0"' in svg


def test_the_share_of_values_that_are_not_larger() -> None:
    assert cumulative([3.0, 1.0, 2.0, 2.0]) == [(1.0, 0.25), (2.0, 0.5), (2.0, 0.75), (3.0, 1.0)]
    assert cumulative([]) == []
