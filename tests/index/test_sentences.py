from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.search import query_words
from index.sentences import FEATURES, WEIGHTS, match, measure, rank_sentences
from index.tokens import tokenize
from index.types import Embedded, Passage, Span

UP = np.array([1.0, 0.0], dtype=np.float32)
SIDE = np.array([0.0, 1.0], dtype=np.float32)


def passage(*sentences: str) -> tuple[Passage, Embedded]:
    """Sentences a space apart; their vectors all look up."""
    text = " ".join(sentences)
    spans, start = [], 0
    for sentence in sentences:
        spans.append(Span(start, start + len(sentence)))
        start += len(sentence) + 1
    return (
        Passage(text, "d", 0, len(text), text, "t", sentences=tuple(spans)),
        Embedded(UP, np.tile(UP, (len(sentences), 1))),
    )


def column(name: str, found: list[tuple[Passage, Embedded]], question: str) -> list[float]:
    features = measure(found, question, UP, query_words(question))
    return features[:, FEATURES.index(name)].tolist()


def test_words_are_compared_by_their_stems_and_rarer_ones_count_more() -> None:
    matched = match(["cats sleep", "the herons and the cats", "cats", "none"], ["heron", "cat"])
    assert matched.asked == {"heron", "cat"}
    assert matched.held[1] >= {"heron", "cat"}
    assert matched.bm25.argmax() == 1
    assert matched.bm25[3] == 0


@given(st.text(), st.lists(st.text(), max_size=4))
def test_any_question_can_be_matched_with_any_sentences(question: str, texts: list[str]) -> None:
    matched = match(texts, tokenize(question))
    assert len(matched.bm25) == len(matched.held) == len(texts)


def test_coverage_is_the_weighted_share_of_the_questions_words() -> None:
    """By hand: "heron" is in one of two sentences, ln(1 + 2/1.5); "eat" in none, ln(1 + 2/0.5)."""
    found = [passage("A heron waits."), passage("An otter.")]
    heron, eat = np.log(1 + 2 / 1.5), np.log(1 + 2 / 0.5)
    expected = [heron / (heron + eat), 0.0]
    assert column("coverage", found, "What does the heron eat?") == pytest.approx(expected)


def test_a_sentence_gains_what_the_one_before_it_adds_but_not_across_passages() -> None:
    found = [passage("The heron waits.", "It eats fish."), passage("It eats crabs.")]
    gained = column("with_the_sentence_before", found, "What does the heron eat?")
    assert gained[0] == 0
    assert gained[1] > 0
    assert gained[2] == 0
    whole = column("passage_coverage", found, "What does the heron eat?")
    assert whole[0] == whole[1] == pytest.approx(1)
    assert whole[2] < 1


def test_a_passages_similarity_counts_from_the_best_passages() -> None:
    first, (other, _) = passage("A heron."), passage("An otter.", "Ice.")
    found = [first, (other, Embedded(SIDE, np.stack([UP, SIDE])))]
    assert column("passage_similarity", found, "heron") == pytest.approx([0, -1, -1])
    assert column("similarity", found, "heron") == pytest.approx([1, 1, 0])


@pytest.mark.parametrize(
    ("feature", "question", "fits", "fails"),
    [
        ("time", "When was it founded?", "It was founded in 1931.", "It was founded by monks."),
        ("time", "In what year did it close?", "It closed in May.", "It closed."),
        ("quantity", "How many bridges are there?", "There are three.", "There are bridges."),
        ("name", "Who opened Halden Bridge?", "It was Ruth Okafor.", "Halden Bridge was opened."),
        ("name", "Where is the mill?", "It is in Varna.", "The mill is closed."),
    ],
)
def test_a_sentence_may_hold_the_kind_of_answer_that_is_asked_for(
    feature: str, question: str, fits: str, fails: str
) -> None:
    assert column(feature, [passage(fits, fails)], question) == [1.0, 0.0]
    assert column(feature, [passage(fits, fails)], "Why?") == [0.0, 0.0]


def test_numbers_of_the_question_are_looked_for() -> None:
    found = [passage("In 1931 it rained.", "In 1932 it did not.")]
    assert column("numbers", found, "What happened in 1931?") == [1.0, 0.0]
    assert column("numbers", found, "What happened?") == [0.0, 0.0]


def test_the_better_match_has_the_higher_score_and_the_chances_add_up_to_one() -> None:
    found = [passage("The heron waits in the reeds.", "Nothing else."), passage("An otter.")]
    ranked = rank_sentences(found, "Where does the heron wait?", UP, ["heron", "wait"])
    assert [len(r) for r in ranked] == [2, 1]
    flat = [s for r in ranked for s in r]
    assert max(flat, key=lambda s: s.score) is max(flat, key=lambda s: s.chance) is flat[0]
    assert sum(s.chance for s in flat) == pytest.approx(1)
    assert [s.span for s in ranked[0]] == list(found[0][0].sentences)


def test_nothing_found_gives_no_sentences() -> None:
    bare = Passage("p", "d", 0, 1, "x", "t")
    assert rank_sentences([], "heron", UP, ["heron"]) == []
    assert rank_sentences([(bare, Embedded(UP, np.zeros((0, 2))))], "heron", UP, ["heron"]) == [()]


@given(st.text(), st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_every_sentence_of_any_text_gets_a_finite_score(question: str, texts: list[str]) -> None:
    ranked = rank_sentences([passage(*texts)], question, UP, query_words(question))
    assert np.isfinite([s.score for s in ranked[0]]).all()


def test_the_weights_name_every_feature() -> None:
    assert set(json.loads(WEIGHTS.read_text())["weights"]) == set(FEATURES)
