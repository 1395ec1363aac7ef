"""Confidence: what it is estimated from, and what a risk makes of it."""

from __future__ import annotations

import json

import pytest

from qa.citations import Claim
from qa.confidence import (
    FEATURES,
    WEIGHTS,
    Model,
    estimate,
    load,
    measure,
    threshold,
)
from qa.types import Evidence

TEXT = "The bridge was opened by Ruth Okafor in 1931. It was never painted red."
FIRST, SECOND = (0, 45), (46, 71)
EVIDENCE = tuple(
    Evidence(number, "d", "Halden", start, end, TEXT[start:end], chance=chance)
    for number, (start, end), chance in ((1, FIRST, 0.7), (2, SECOND, 0.2))
)


SURE = {"stated": 8.0, "least": -0.01, "answerable": 5.0}
"""What a trained reader and a verifier say of an answer that they are sure of."""


def features(question: str, *cited: int) -> dict[str, float]:
    return measure(question, EVIDENCE, [Claim(0, 11, cited or (1,))])


@pytest.mark.parametrize(
    ("question", "held"),
    [
        ("Who opened the bridge?", 1.0),
        ("Who opened the Halden bridge?", 1.0),
        ("Who closed the bridge?", 0.5),
        ("Who sold the tunnel?", 0.0),
        ("Who?", 1.0),
    ],
)
def test_words_of_the_question_are_looked_for(question: str, held: float) -> None:
    assert features(question)["held"] == held


def test_numbers_must_stand_in_what_is_cited() -> None:
    assert features("What did Ruth Okafor open in 1931?")["numbers"] == 0
    assert features("What did Ruth Okafor open in 1932?")["numbers"] == 1


@pytest.mark.parametrize(
    ("question", "cited", "expected"),
    [
        ("Who did not open the bridge?", 1, 1.0),
        ("Who opened the bridge?", 1, 0.0),
        ("What colour was it not painted?", 2, 0.0),
        ("Who didn\u2019t open it?", 1, 1.0),
    ],
)
def test_a_negation_wants_a_negation(question: str, cited: int, expected: float) -> None:
    assert features(question, cited)["negation"] == expected


def test_without_evidence_and_claims_there_is_nothing_to_measure_and_no_error() -> None:
    found = measure("Who?", [], [])
    assert set(found) == set(FEATURES["unchecked"])
    assert 0 <= estimate(found) <= 1


def test_a_logistic_model_weighs_what_it_names() -> None:
    model = Model(-1.0, {"check": 2.0})
    assert model.estimate({"check": 0.5, "other": 9.0}) == pytest.approx(0.5)
    assert model.estimate({"check": 1e6}) == pytest.approx(1.0)
    assert model.estimate({"check": -1e6}) == pytest.approx(0.0, abs=1e-9)


def test_the_check_counts_where_there_is_one() -> None:
    plain = features("Who opened the bridge?")
    yes, no = ({**plain, "check": odds} for odds in (4.0, -4.0))
    assert estimate(no) < estimate(yes)


def test_the_chances_of_a_trained_reader_count_where_it_tells_them() -> None:
    told = {**features("Who opened the bridge?"), **SURE}
    assert estimate({**told, "least": -5.0}) < estimate(told)


def test_a_verifier_counts_where_there_is_one() -> None:
    told = {**features("Who opened the bridge?"), **SURE}
    assert estimate({**told, "answerable": -5.0}) < estimate(told)


def test_whole_sentences_are_believed_the_more_the_nearer_a_passage_is() -> None:
    told = {**features("Why was the bridge opened?"), **SURE, "stated": 1.0, "least": -0.5}
    told |= {"similarity": 0.6, "whole": 1.0}
    near, far = ({**told, "near": cosine} for cosine in (0.7, 0.2))
    assert estimate(far) < estimate(near)
    assert estimate({**near, "similarity": 0.1}) < estimate(near)
    assert estimate({**near, "stated": -3.0}) < estimate(near)
    assert estimate({**near, "whole": -3.0}) < estimate(near)
    assert estimate({**near, "least": -9.0}) == estimate(near), "code wrote the words, not it"


def test_the_shipped_weights_name_features_and_risks() -> None:
    for name, model in load().models.items():
        assert set(model.weights) == set(FEATURES[name])
    assert 0.0 == threshold("open") < threshold("balanced") <= threshold("strict") < 1.0
    assert json.loads(WEIGHTS.read_text())["about"]


def test_a_number_is_the_chance_to_be_wrong() -> None:
    assert threshold(0.25) == 0.75
    assert threshold(0) == 1.0
    assert threshold(1) == 0.0
