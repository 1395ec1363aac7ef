import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.words import content_stems, known_numbers, names, numbers, stem, stems, visible, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("€50 billion ($53.5 billion)", ["50", "53.5"]),
        ("1,000 and 1,000,000.50", ["1000", "1000000.5"]),
        ("280 billion yuan", ["280"]),
        ("an 8% increase in 2020.", ["8", "2020"]),
        ("53.50 is 53.5", ["53.5"]),
        ("3,5 Prozent", ["3.5"]),
        ("1\u202f000 personnes, 2\u00a0500 autres", ["1000", "2500"]),
        ("007, 0 and 0.0", ["7", "0"]),
        ("AI-driven since 2020-21", ["2020", "21"]),
        ("no digits", []),
    ],
)
def test_numbers_in_digits_compare_whatever_their_separators(
    text: str, expected: list[str]
) -> None:
    assert numbers(text) == expected


def test_a_number_in_words_is_known_as_one_in_digits() -> None:
    assert {"3", "20"} <= known_numbers("over the next three years, Twenty in all")
    assert known_numbers("the third quarter of 2025") == {"3", "2025"}
    assert numbers("three years") == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alibaba's", "Alibaba"),
        ("Alibaba\u2019s", "alibaba"),
        ("companies", "company"),
        ("reached", "reaches"),
        ("invests", "investing"),
        ("Café", "cafe"),
        ("STRASSE", "Straße"),
    ],
)
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_short_words_keep_their_endings() -> None:
    assert [stem(w) for w in ("is", "red", "yes", "ing")] == ["is", "red", "yes", "ing"]


def test_content_stems_leave_out_function_words_and_numbers() -> None:
    assert content_stems("How much will the company invest in 2025, invested?") == [
        "compan",
        "invest",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How much will Tencent invest?", ["Tencent"]),
        ("Investors are confident in Alibaba's stock", ["Alibaba's"]),
        ("Jack Ma met Xi Jinping", ["Jack", "Ma", "Xi", "Jinping"]),
        ("Revenue grew. Profits fell.", []),
        ("Hangzhou", ["Hangzhou"]),
        ("AI grows", ["AI"]),
        ("What is its revenue?", []),
        ("in 2025", []),
    ],
)
def test_names_are_capitals_that_are_not_only_the_sentence_s(
    text: str, expected: list[str]
) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    "question",
    [
        "What's Alibaba's revenue?",
        "Where\u2019s Alibaba's office?",
        "Isn't Alibaba's growth slow?",
        "Didn\u2019t Alibaba's growth slow down?",
    ],
)
def test_a_contraction_before_a_name_is_not_a_name(question: str) -> None:
    assert names(question) == ["Alibaba's"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L'été d'Éric à Genève", ["L'été", "d'Éric", "à", "Genève"]),
        ("Die Größe der Straße: 3,5 km", ["Die", "Größe", "der", "Straße", "3,5", "km"]),
        ("将投资500亿欧元。", ["将投", "投资", "500", "亿欧", "欧元"]),
    ],
)
def test_words_of_other_languages_are_found(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(max_size=200))
def test_every_word_stands_in_its_text_and_no_text_is_too_strange(text: str) -> None:
    assert all(word in visible(text) for word in words(text))
    assert set(names(text)) <= set(words(text))
    assert set(numbers(text)) <= known_numbers(text)
    assert set(content_stems(text)) <= stems(text)


@given(st.integers(0, 10**12), st.integers(0, 99))
def test_any_number_is_the_same_with_and_without_thousands_separators(
    whole: int, cents: int
) -> None:
    assert numbers(f"{whole:,}.{cents:02}") == numbers(f"{whole}.{cents:02}")
    assert numbers(f"{whole:,}") == [str(whole)]


def test_invisible_characters_are_left_out_and_written_ones_stay() -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "obey")
    assert (
        visible(f"Ali\u200bbaba\u202e in\u00advests{hidden}\x07 \u20ac50\n")
        == "Alibaba invests \u20ac50\n"
    )
    assert words("Ali\u200bbaba") == ["Alibaba"]
    for written in ("naïve café", "杭州 投资", "कर्म", "على بابا", "👩 €50\tbillion\r\n"):
        assert visible(written) == written
