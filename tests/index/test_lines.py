from __future__ import annotations

import textwrap
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.lines import find_lines

PROSE = (
    "The bakery opens at six in the morning and closes when the last loaf is sold, which on most "
    "days is long before noon. Anna Berg has run it since 1998; her father built the oven with "
    "stones from the old mill. On Sundays there is only cake."
)
TABLE = """\
Name     In     Out    Crates   Rate   Remark that is long enough for prose
Olha     6:00   14:10  61       4.20
Jacek    6:45   12:00  33       4.20   went to the dentist, back on Thursday
Wioletta 6:00   15:30  -        hourly sorting, and 26.00 an hour for that
Stach    7:00   11:00  -        hourly
"""
WORDS = st.lists(st.text("abcdefg", min_size=1, max_size=9), min_size=1, max_size=60)


def lines_of(text: str, breaks: tuple[int, ...] = ()) -> list[str]:
    """Cut a text where lines were written."""
    return [text[a:b] for a, b in pairwise([0, *find_lines(text, breaks), len(text)])]


@pytest.mark.parametrize(
    "text",
    [
        "3 x roll   1.65\n1 x bread  5.20\n2 x cake   4.80",
        "milk\neggs\nbread",
        "From: Marit Hovland <marit@example.com>\nTo: sales@example.com\nSubject: Order of clay",
        "- 40 bags of stoneware clay, grey, 12.5 kg each\n- 6 buckets of glaze\n- 2 of another",
        TABLE,
        "MARLOW BAY WATER\nWATER BASE 11.25\nSEWER 34.62",
        "第一章\n公司计划在三年内投资三千八百亿元人民币用于云计算和人工智能基础设施。",
    ],
)
def test_what_was_written_line_by_line_is_lines(text: str) -> None:
    assert lines_of(text) == text.splitlines(keepends=True)


@pytest.mark.parametrize("width", [30, 44, 60, 72, 100])
def test_wrapped_prose_is_one_line(width: int) -> None:
    text = textwrap.fill(PROSE, width)
    assert "\n" in text
    assert lines_of(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        textwrap.fill(PROSE.upper(), 60),
        textwrap.indent(textwrap.fill(PROSE, 60), "> "),
        "公司计划在三年内投资三千八百亿元人民\n币用于云计算和人工智能基础设施,这是\n过去十年的总和。",
        "It was co-founder\nJack Ma who spoke. He left.",
        f"{PROSE}\nWhile\nAnna Berg no longer bakes, she owns it.\nNobody\nMinds\n{PROSE}",
        "one line",
        "",
        "\n\n",
    ],
)
def test_nothing_is_found_where_a_break_only_wraps(text: str) -> None:
    assert lines_of(text) == [text]


def test_each_block_is_judged_by_itself() -> None:
    prose = textwrap.fill(PROSE, 72)
    text = f"{prose}\n\nRoll 1.65\nBread 5.20"
    found = list(find_lines(text, (len(prose) + 2,)))
    assert found == [text.index("Bread")]


def test_prose_with_a_ragged_margin_is_one_line() -> None:
    words, lines = PROSE.split(), [""]
    for n, word in enumerate(words):
        if len(lines[-1]) + 1 + len(word) > 66 + (n % 7):
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    text = "\n".join(lines)
    assert len(lines) > 3
    assert lines_of(text) == [text]


@given(WORDS, st.integers(45, 90))
def test_lower_case_prose_is_never_cut_however_wide(words: list[str], width: int) -> None:
    text = textwrap.fill(" ".join(words), width)
    if len(text.splitlines()[0]) >= 25:
        assert lines_of(text) == [text]


@given(st.text("aA1 >-\t\r\n好\u3000", max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_lines_begin_behind_line_ends_in_order(text: str, breaks: list[int]) -> None:
    found = list(find_lines(text, [b for b in breaks if b <= len(text)]))
    assert found == sorted(set(found))
    assert all(text[offset - 1] in "\r\n" for offset in found)
