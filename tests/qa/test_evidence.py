from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.types import Hit, Passage, SentenceHit, Span
from qa.evidence import narrow, renumber, select, whole_passages, worth_reading
from qa.types import Evidence

DOCUMENTS = {"d1": "One two. Three four five. Six.", "d2": "Alpha beta. Gamma."}


def hit(document: str, start: int, *scored: tuple[int, int, float]) -> Hit:
    end = max(s[1] for s in scored)
    text = DOCUMENTS[document][start:end]
    passage = Passage("p", document, start, end, text, document.upper(), "Intro", 7)
    sentences = tuple(SentenceHit(Span(a, b), score, score) for a, b, score in scored)
    return Hit(passage, 1.0, 1.0, sentences=sentences)


ONE = (0, 8, 0.2)
THREE = (9, 25, 0.9)
SIX = (26, 30, 0.5)
ALPHA = (0, 11, 0.6)
GAMMA = (12, 18, 0.1)


def test_sentences_come_in_document_order_and_are_counted_from_one() -> None:
    chosen = select([hit("d1", 0, ONE, THREE, SIX)], sentences=2, characters=100)
    assert [(e.number, e.text) for e in chosen] == [(1, "Three four five."), (2, "Six.")]


def test_documents_come_in_the_order_of_their_best_sentence() -> None:
    hits = [hit("d2", 0, ALPHA, GAMMA), hit("d1", 0, ONE, THREE)]
    chosen = select(hits, sentences=9, characters=100)
    assert [e.text for e in chosen] == ["One two.", "Three four five.", "Alpha beta.", "Gamma."]


def test_a_sentence_that_does_not_fit_is_passed_over_for_one_that_does() -> None:
    chosen = select([hit("d1", 0, ONE, THREE, SIX)], sentences=9, characters=21)
    assert [e.text for e in chosen] == ["Three four five.", "Six."]


def test_the_best_sentence_is_shown_even_where_it_alone_breaks_the_budget() -> None:
    chosen = select([hit("d1", 0, ONE, THREE, SIX)], sentences=9, characters=5)
    assert [e.text for e in chosen] == ["Three four five."]


def test_evidence_remembers_where_it_stands() -> None:
    (chosen,) = select([hit("d1", 9, THREE)], sentences=1, characters=100)
    assert (chosen.document_id, chosen.title, chosen.section, chosen.page) == (
        "d1",
        "D1",
        "Intro",
        7,
    )
    assert DOCUMENTS["d1"][chosen.start : chosen.end] == chosen.text


def test_a_long_sentence_must_promise_more_than_a_short_one() -> None:
    """By hand: one percent for each 100 code points; the second needs 2 %, the third 0.5 %."""
    kept = worth_reading(
        [100, 200, 50, 10],
        [0.9, 0.015, 0.01, 0.0001],
        sentences=9,
        characters=999,
        worth=0.01,
    )
    assert kept == [0, 2]
    assert worth_reading([500], [0.001], sentences=9, characters=999, worth=0.01) == [0]


def test_without_a_worth_only_the_budget_counts() -> None:
    kept = worth_reading([10, 10, 10], [0.9, 0.1, 0.0], sentences=9, characters=99, worth=0.0)
    assert kept == [0, 1, 2]


def evidence(*texts: str, chances: Sequence[float] = ()) -> list[Evidence]:
    even = chances or [1 / len(texts)] * len(texts)
    return [
        Evidence(n, "d", "D", 0, len(text), text, chance=chance)
        for n, (text, chance) in enumerate(zip(texts, even, strict=True), start=1)
    ]


def test_what_a_verifier_finds_relevant_stays_in_its_order() -> None:
    told = evidence("one", "two", "three", "four")
    kept = narrow(told, [-1.0, -5.0, 2.0, 0.0], sentences=9, characters=99)
    assert kept == [0, 2, 3]
    assert [(e.number, e.text) for e in renumber([told[place] for place in kept])] == [
        (1, "one"),
        (2, "three"),
        (3, "four"),
    ]


@pytest.mark.parametrize(
    ("sentences", "characters", "kept"),
    [(2, 99, [1, 2]), (9, 8, [1, 2]), (9, 7, [0, 2]), (9, 1, [2])],
)
def test_the_most_relevant_ones_fill_the_budget(
    sentences: int, characters: int, kept: list[int]
) -> None:
    told = evidence("a", "two", "three")
    odds = [0.5, 1.0, 3.0]
    assert narrow(told, odds, sentences=sentences, characters=characters) == kept


def test_the_best_two_stay_however_little_relevant_they_are() -> None:
    told = evidence("one", "two", "three")
    assert narrow(told, [-9.0, -8.0, -7.0], sentences=5, characters=99) == [1, 2]
    assert narrow([], [], sentences=5, characters=99) == []


def test_of_what_is_as_relevant_the_search_decides() -> None:
    told = evidence("one", "two", "three", chances=(0.1, 0.6, 0.3))
    assert narrow(told, [-9.0] * 3, sentences=5, characters=99) == [1, 2]


def test_all_sentences_of_a_passage_come_in_order_and_known_ones_keep_their_numbers() -> None:
    hits = [hit("d1", 0, THREE, ONE, SIX), hit("d2", 0, ALPHA)]
    known = select(hits, sentences=2, characters=100)
    assert [(e.number, e.text) for e in known] == [(1, "Three four five."), (2, "Alpha beta.")]
    passages = whole_passages(known, hits)
    assert [[(e.number, e.text) for e in passage] for passage in passages] == [
        [(3, "One two."), (1, "Three four five."), (4, "Six.")],
        [(2, "Alpha beta.")],
    ]
    assert passages[0][1] is known[0]
    assert [DOCUMENTS["d1"][e.start : e.end] for e in passages[0]] == [e.text for e in passages[0]]
    assert whole_passages(known, []) == []


def test_nothing_found_gives_no_evidence() -> None:
    assert select([], sentences=4, characters=100) == ()


@given(
    st.lists(st.tuples(st.integers(1, 60), st.floats(0, 1)), min_size=1, max_size=20),
    st.integers(1, 10),
    st.integers(1, 200),
)
def test_evidence_keeps_to_its_budget_and_its_order(
    lengths: list[tuple[int, float]], most: int, characters: int
) -> None:
    text, scored = "", []
    for length, score in lengths:
        scored.append(SentenceHit(Span(len(text), len(text) + length), score, score))
        text += "x" * length + " "
    passage = Passage("p", "d", 0, len(text), text, "t")
    chosen = select(
        [Hit(passage, 1.0, 1.0, sentences=tuple(scored))], sentences=most, characters=characters
    )
    assert 1 <= len(chosen) <= most
    assert len(chosen) == 1 or sum(len(e.text) for e in chosen) <= characters
    assert all(one.end <= other.start for one, other in pairwise(chosen))
    assert [e.number for e in chosen] == list(range(1, len(chosen) + 1))
    assert max(s.score for s in scored) in {
        s.score for s in scored if s.span.start in {e.start for e in chosen}
    }


@pytest.mark.parametrize(
    ("copy", "kept"),
    [
        ("The bridge over the Halden was opened in the year 1931 by the mayor.", 1),
        ("the bridge over the Halden was opened in the year 1931, by the mayor", 1),
        ("The bridge over the Halden was opened in the year 1932 by the mayor.", 2),
        ("The bridge over the Varna was opened in the year 1931 by the mayor.", 2),
        ("The bridge over the Halden was not opened in the year 1931 by the mayor.", 2),
        ("It was the mayor by whom the bridge over the Halden opened, in the year 1931.", 2),
    ],
)
def test_a_copy_of_a_better_sentence_is_not_shown_again(copy: str, kept: int) -> None:
    first = "The bridge over the Halden was opened in the year 1931 by the mayor."
    hits = [
        Hit(
            Passage(name, name, 0, len(text), text, name),
            1.0,
            1.0,
            sentences=(SentenceHit(Span(0, len(text)), score, score),),
        )
        for name, text, score in (("a", first, 0.6), ("b", copy, 0.4))
    ]
    assert len(select(hits, sentences=9, characters=900)) == kept
