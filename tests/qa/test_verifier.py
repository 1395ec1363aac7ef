"""What a verifier's scores say of a question and of a phrase."""

from __future__ import annotations

import numpy as np
import pytest

from qa.types import Evidence
from qa.verifier import UNLIKELY, Verdict, shown

TEXT = "Ruth Okafor opened the bridge; Ruth Okafor closed it."
TOKENS = [(0, 4), (5, 11), (12, 18), (19, 22), (23, 29), (29, 30), (31, 35), (36, 42), (43, 49)]


def verdict(**odds: tuple[float, float]) -> Verdict:
    """Give a verdict in which the tokens of the places named begin and end an answer so likely."""
    starts, ends = (np.full(len(TOKENS), -9.0, np.float32) for _ in range(2))
    for place, (start, end) in odds.items():
        starts[int(place[1:])], ends[int(place[1:])] = start, end
    return Verdict(0.5, TEXT, starts, ends, np.array(TOKENS))


def test_the_best_phrase_ends_where_it_begins_or_later() -> None:
    assert verdict(t3=(2.0, -9.0), t4=(-9.0, 1.5)).best == pytest.approx(3.5)
    assert verdict(t4=(2.0, -9.0), t3=(-9.0, 1.5)).best == pytest.approx(-7.0)


def test_a_phrase_has_the_odds_of_its_likeliest_place() -> None:
    told = verdict(t0=(-1.0, -9.0), t1=(-9.0, -2.0), t6=(3.0, -9.0), t7=(-9.0, 1.0))
    assert told.of("Ruth Okafor") == pytest.approx(4.0)
    assert told.of("ruth  okafor") == pytest.approx(4.0), "as a person reads it"
    assert told.of("Ruth Okafor opened") == pytest.approx(-10.0)


def test_a_phrase_that_is_not_there_as_it_is_has_the_odds_of_its_longest_run() -> None:
    told = verdict(t2=(1.0, -9.0), t4=(-9.0, 2.0))
    assert told.of("solemnly opened the bridge") == pytest.approx(3.0)
    assert told.of("'opened the bridge!'") == pytest.approx(3.0)


@pytest.mark.parametrize("phrase", ["Paul Lindqvist", "", "(red)"])
def test_a_phrase_that_is_nowhere_has_the_least_odds(phrase: str) -> None:
    assert verdict().of(phrase) == UNLIKELY


def test_odds_have_a_floor_and_no_text_has_no_phrase() -> None:
    told = verdict(t2=(-40.0, -40.0))
    assert told.of("opened") == UNLIKELY
    nothing = np.zeros(0, np.float32)
    empty = Verdict(0.5, "", nothing, nothing, np.zeros((0, 2), np.int64))
    assert (empty.best, empty.of("Ruth")) == (UNLIKELY, UNLIKELY)


def test_a_long_phrase_is_not_looked_for() -> None:
    tokens = np.array([(n, n + 1) for n in range(60)])
    starts, ends = np.full(60, -5.0, np.float32), np.full(60, -5.0, np.float32)
    starts[0], ends[59] = 9.0, 9.0
    assert Verdict(0.0, "x" * 60, starts, ends, tokens).best == pytest.approx(4.0)


def test_what_is_shown_is_on_one_line_and_visible() -> None:
    evidence = [
        Evidence(n, "d", "T", 0, 1, text) for n, text in enumerate(["One\n two.", "Th\u200bree."])
    ]
    assert shown("Is\nit?", evidence) == ("Is it?", "One two. Three.")
