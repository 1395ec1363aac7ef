"""The oracle here is written from the definition of SQuAD 2.0's evaluation, apart from the code."""

from __future__ import annotations

import random
import re
import string
from collections import Counter

import pytest

from qa.evaluation.answers import (
    containment,
    exact_match,
    normalize,
    rouge_l,
    token_f1,
    word_count,
)


def oracle_normal(text: str) -> str:
    lowered = text.lower()
    bare = "".join(c for c in lowered if c not in set(string.punctuation))
    return " ".join(re.compile(r"\b(a|an|the)\b", re.UNICODE).sub(" ", bare).split())


def oracle(given: str, golds: list[str]) -> tuple[float, float]:
    kept = [gold for gold in golds if oracle_normal(gold)] or [""]
    exact = max(int(oracle_normal(gold) == oracle_normal(given)) for gold in kept)
    scores = []
    for gold in kept:
        gold_tokens, given_tokens = oracle_normal(gold).split(), oracle_normal(given).split()
        same = sum((Counter(gold_tokens) & Counter(given_tokens)).values())
        if len(gold_tokens) == 0 or len(given_tokens) == 0:
            scores.append(float(int(gold_tokens == given_tokens)))
        elif same == 0:
            scores.append(0.0)
        else:
            precision = 1.0 * same / len(given_tokens)
            recall = 1.0 * same / len(gold_tokens)
            scores.append((2 * precision * recall) / (precision + recall))
    return float(exact), max(scores)


def test_exact_match_and_f1_agree_to_the_last_digit_with_squads_definition() -> None:
    draw = random.Random(20)  # noqa: S311  cases that can be made again
    vocabulary = ["the", "The", "a", "an", "Ruth", "ruth", "Okafor,", "1931", "-", "...", "Größe"]

    def text() -> str:
        return " ".join(draw.choices(vocabulary, k=draw.randint(0, 6)))

    for _ in range(200):
        given, golds = text(), [text() for _ in range(draw.randint(0, 3))]
        assert (exact_match(given, golds), token_f1(given, golds)) == oracle(given, golds)


def test_a_refusal_of_an_unanswerable_question_is_right_and_an_answer_is_not() -> None:
    assert (exact_match("", ()), token_f1("", ())) == (1.0, 1.0)
    assert (exact_match("Ruth", ()), token_f1("Ruth", ())) == (0.0, 0.0)
    assert (exact_match("", ["Ruth"]), token_f1("", ["Ruth"])) == (0.0, 0.0)


def test_f1_by_hand() -> None:
    """Two of three given tokens are among the four gold ones: P 2/3, R 1/2."""
    f1 = token_f1("the mayor Ruth Okafor", ["x", "Ruth A. Okafor-Lind opened, Okafor"])
    assert normalize("Ruth A. Okafor-Lind") == "ruth okaforlind"
    assert f1 == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))


def test_containment_is_of_whole_words_in_a_row() -> None:
    assert containment("It was opened by Ruth Okafor.", ["Ruth Okafor"]) == 1.0
    assert containment("It was Ruth who knew Okafor.", ["Ruth Okafor"]) == 0.0
    assert containment("Unruth Okafor", ["ruth Okafor"]) == 0.0
    assert containment("anything", ["the", ""]) == 0.0


def test_rouge_l_by_hand() -> None:
    """Lin 2004's example: "police killed the gunman" has 3 of 4 in common with the first."""
    assert rouge_l("police kill the gunman", ["police killed the gunman"]) == pytest.approx(0.75)
    assert rouge_l("the gunman kill police", ["police killed the gunman"]) == pytest.approx(0.5)
    assert rouge_l("", ["x"]) == rouge_l("x", []) == 0.0


def test_words_are_counted_between_white_space() -> None:
    assert word_count(" Two\nwords ") == 2
