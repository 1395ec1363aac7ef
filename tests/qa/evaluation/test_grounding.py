from __future__ import annotations

from qa.evaluation.grounding import alce_precision, alce_recall, span_precision, span_recall


def test_precision_is_the_share_of_citations_that_overlap_the_gold() -> None:
    golds = [("d", 10, 20)]
    assert span_precision([("d", 0, 11), ("d", 20, 30), ("e", 10, 20)], golds) == 1 / 3
    assert span_precision([], golds) is None


def test_recall_wants_one_alternative_whole_or_each_joint_span_touched() -> None:
    golds = [("d", 10, 20), ("d", 40, 50)]
    assert span_recall([("d", 5, 25)], golds, every=False) == 1.0
    assert span_recall([("d", 12, 25)], golds, every=False) == 0.0
    assert span_recall([("d", 12, 25)], golds, every=True) == 0.5
    assert span_recall([], golds, every=True) == 0.0
    assert span_recall([("d", 5, 25)], [], every=False) is None


def contains_all(premise: str, claim: str) -> bool:
    return set(claim.split()) <= set(premise.split())


def test_alce_by_hand() -> None:
    """Of three statements two are entailed; "c" and the useless second quote of "x" do not help."""
    statements = [("a b", ["a", "b"]), ("c", []), ("x", ["x", "y"]), ("z", ["w"])]
    assert alce_recall(statements, contains_all) == 2 / 4
    assert alce_precision(statements, contains_all) == 3 / 5
    assert alce_recall([], contains_all) is None
    assert alce_precision([("c", [])], contains_all) is None
