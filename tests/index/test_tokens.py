from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.tokens import space_out, tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Heron's 2 eggs_x", ["the", "heron", "s", "2", "eggs", "x"]),
        ("投资计划", ["投资", "资计", "计划"]),
        ("马", ["马"]),
        ("投资500亿欧元。", ["投资", "500", "亿欧", "欧元"]),
        ("AIと雲", ["ai", "と雲"]),
        ("データ・クラウド", ["デー", "ータ", "クラ", "ラウ", "ウド"]),
        ("알리바바는 투자", ["알리", "리바", "바바", "바는", "투자"]),
        ("naïve Ünïcode", ["naïve", "ünïcode"]),
    ],
)
def test_words_are_what_spaces_part_and_pairs_where_there_are_none(
    text: str, words: list[str]
) -> None:
    assert tokenize(text) == words


@given(st.text(max_size=60), st.text(alphabet="投资计划五百亿", min_size=2, max_size=2))
def test_a_word_of_two_characters_is_found_wherever_it_stands(text: str, word: str) -> None:
    assert word in tokenize(f"{text}{word}{text}")


@given(st.text(alphabet=st.characters(max_codepoint=0x2FFF), max_size=80))
def test_scripts_with_spaces_stay_as_they_are(text: str) -> None:
    assert space_out(text) == text
