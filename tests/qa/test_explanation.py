from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.explanation import FEATURES, REACH, Judged, choose, load, measure
from qa.types import Evidence


def passage(*relevant: float, first: int = 1, chance: float = 0.1) -> Judged:
    sentences = tuple(
        Evidence(n, "d", "D", 10 * n, 10 * n + 8, f"Number {n}", chance=chance)
        for n in range(first, first + len(relevant))
    )
    return Judged(sentences, relevant, answerable=0.0)


def chosen(*passages: Judged, named: tuple[int, ...] = ()) -> list[int]:
    return [e.number for e in choose(passages, frozenset(named))]


def test_every_feature_has_a_weight() -> None:
    fitted = load()
    assert set(fitted.model.weights) == set(FEATURES)
    assert 0 < fitted.least < 1
    signs = {name: weight > 0 for name, weight in fitted.model.weights.items()}
    assert signs == dict.fromkeys(FEATURES, True) | {"average": False}


def test_what_explains_comes_in_the_order_of_the_passages() -> None:
    assert chosen(passage(-6.0, 4.0, -6.0), passage(4.0, -6.0, first=4)) == [2, 4]


def test_where_nothing_explains_the_likeliest_sentence_is_given() -> None:
    assert chosen(passage(-9.0, -5.0, -5.5)) == [2]
    assert chosen(passage(-5.0, -5.0, -5.0), named=(3,)) == [3]


def test_what_two_passages_say_in_the_same_words_is_quoted_once() -> None:
    one, other = passage(4.0, -6.0, -6.0), passage(3.5, -6.0, 3.5, first=4)
    said = "Ottawa has %s people."
    texts = {1: said % "1990", 4: said % "1990"}
    assert chosen(say(one, texts), say(other, texts)) == [4, 6]
    assert chosen(say(one, texts), say(other, texts | {4: said % "1991"})) == [1, 4, 6]
    turned = {1: "Acme sued Stripe.", 4: "Stripe sued Acme."}
    assert chosen(say(one, turned), say(other, turned)) == [1, 4, 6]


def test_what_one_passage_says_twice_is_quoted_twice() -> None:
    steps = passage(4.0, -6.0, 4.0, -6.0)
    assert chosen(say(steps, {1: "Press.", 3: "Press."})) == [1, 3]
    rules = {1: "---", 4: "---"}
    rows = passage(4.0, -6.0), passage(4.0, -6.0, first=4)
    assert chosen(*(say(each, rules) for each in rows)) == [1, 4]


def say(passage: Judged, texts: dict[int, str]) -> Judged:
    told = (replace(e, text=texts.get(e.number, e.text)) for e in passage.sentences)
    return replace(passage, sentences=tuple(told))


def test_a_sentence_stands_out_in_a_passage_that_is_doubted() -> None:
    """The same log-odds say more where all others have less."""
    doubted = measure(passage(-5.0, 0.5, -5.0), frozenset())[1]
    believed = measure(passage(3.0, 0.5, 3.0), frozenset())[1]
    model = load().model
    assert model.estimate(doubted) > model.estimate(believed)


def test_odds_beyond_reach_say_no_more() -> None:
    least, most = REACH
    assert measure(passage(-40.0, 40.0), frozenset()) == measure(passage(least, most), frozenset())


def test_features_by_hand() -> None:
    told = measure(passage(1.0, -2.0, first=5, chance=0.0), frozenset({6}))
    assert told[0] == {
        "relevant": 1.0,
        "average": -0.5,
        "named": 0.0,
        "chance": pytest.approx(-9.2103, abs=1e-4),
    }
    assert told[1]["named"] == 1.0


@given(
    st.lists(st.lists(st.floats(-20, 20), min_size=1, max_size=6), min_size=1, max_size=3),
    st.frozensets(st.integers(1, 18)),
)
def test_something_is_always_chosen_and_only_what_was_judged(
    odds: list[list[float]], named: frozenset[int]
) -> None:
    passages = [passage(*row, first=1 + 6 * n) for n, row in enumerate(odds)]
    found = choose(passages, named)
    everything = [e for p in passages for e in p.sentences]
    assert found
    assert [e for e in everything if e in found] == list(found)
