from __future__ import annotations

import random
from math import log2

import pytest

from qa.evaluation.ranking import hit_at, ndcg_at, recall_at, reciprocal_rank


def test_ndcg_by_hand() -> None:
    """Relevant at places 2 and 3 of three, two relevant: (1/log2 3 + 1/2) / (1 + 1/log2 3)."""
    expected = (1 / log2(3) + 1 / 2) / (1 + 1 / log2(3))
    assert ndcg_at(["x", "a", "b"], {"a", "b"}, 10) == pytest.approx(expected)
    assert ndcg_at(["x", "a", "b"], {"a", "b"}, 1) == 0.0
    assert ndcg_at(["a"], set(), 10) == 0.0


def test_ndcg_agrees_with_trec_eval() -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    draw = random.Random(7)  # noqa: S311  cases that can be made again
    for _ in range(50):
        ids = [f"d{i}" for i in range(40)]
        ranked = draw.sample(ids, draw.randint(1, 30))
        relevant = set(draw.sample(ids, draw.randint(1, 15)))
        evaluator = pytrec_eval.RelevanceEvaluator(
            {"q": dict.fromkeys(relevant, 1)}, {"ndcg_cut.10", "recip_rank", "recall.5"}
        )
        scores = {id_: float(len(ranked) - place) for place, id_ in enumerate(ranked)}
        theirs = evaluator.evaluate({"q": scores})["q"]
        assert ndcg_at(ranked, relevant, 10) == pytest.approx(theirs["ndcg_cut_10"], abs=1e-9)
        assert reciprocal_rank(ranked, relevant) == pytest.approx(theirs["recip_rank"], abs=1e-9)
        assert recall_at(ranked, relevant, 5) == pytest.approx(theirs["recall_5"], abs=1e-9)


def test_recall_is_the_share_of_the_relevant_and_a_repeated_id_counts_once() -> None:
    assert recall_at(["a", "a", "b", "c"], {"b", "z"}, 2) == 0.5
    assert recall_at(["a"], set(), 5) == 0.0


def test_the_reciprocal_rank_is_of_the_first_relevant_one() -> None:
    assert reciprocal_rank(["x", "x", "a", "b"], {"a", "b"}) == 0.5
    assert reciprocal_rank(["x"], {"a"}) == 0.0


def test_a_hit_holds_a_whole_gold_span_of_the_right_source() -> None:
    ranked = [("e", 0, 50), ("d", 0, 9), ("d", 5, 20)]
    assert hit_at(ranked, "d", [(10, 20)], 3) == 1.0
    assert hit_at(ranked, "d", [(10, 20)], 2) == 0.0
    assert hit_at(ranked, "d", [(10, 21)], 3) == 0.0
    assert hit_at(ranked, "d", [(30, 40), (0, 4)], 2) == 1.0
