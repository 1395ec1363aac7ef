from __future__ import annotations

import pytest

from qa.citations import Claim, Parsed
from qa.disagreement import JOINT, LEAST_CHANCE, differ, find_others, join
from qa.types import Evidence


def sentence(number: int, document: str, chance: float) -> Evidence:
    return Evidence(number, document, "T", 0, 1, "x", chance=chance)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("24 million crowns", "31 million crowns", True),
        ("24 million crowns", "24 million crowns (about $3 million)", False),
        ("24 million", "24 billion", True),
        ("24 million crowns", "24", False),
        ("three years", "3 years", False),
        ("in 1931", "in 1932", True),
        ("in 1931", "a century ago", False),
        ("Ruth Okafor", "Paul Lindqvist", True),
        ("Ruth Okafor", "the mayor, Ruth Okafor", False),
        ("Yes, it was published", "No, it was not published", True),
        ("Yes", "Yes, by the mayor", False),
        ("Paris", "PARIS.", False),
    ],
)
def test_answers_differ_that_cannot_be_told_as_one(one: str, other: str, *, expected: bool) -> None:
    assert differ(one, other) is expected
    assert differ(other, one) is expected


def test_only_other_documents_that_are_likely_enough_are_read_again() -> None:
    evidence = (
        sentence(1, "a", 0.5),
        sentence(2, "b", LEAST_CHANCE),
        sentence(3, "b", 0.0),
        sentence(4, "a", 0.1),
    )
    assert [e.number for e in find_others(evidence, [Claim(0, 1, (1,))])] == [2, 3]
    assert find_others(evidence, [Claim(0, 1, (1, 2))]) == ()
    assert find_others(evidence[2:], [Claim(0, 1, (4,))]) == ()


def test_both_answers_keep_their_claims() -> None:
    one, other = Parsed("24 million", (), 1), Parsed("31 million", (), 0)
    parsed, claims = join(one, [Claim(0, 10, (1,))], other, [Claim(0, 10, (2,))])
    assert parsed.text == f"24 million{JOINT}31 million"
    assert [(parsed.text[c.start : c.end], c.numbers) for c in claims] == [
        ("24 million", (1,)),
        ("31 million", (2,)),
    ]
    assert parsed.dropped == 1
