from __future__ import annotations

from dataclasses import replace

import pytest

from qa.errors import RunError
from qa.evaluation.comparison import compare
from qa.evaluation.types import Header, Question, Record, Run, Verdict


def record(id_: str, answer: str, *, answerable: bool = True) -> Record:
    golds = ("Ruth Okafor",) if answerable else ()
    question = Question(id_, f"Who opened {id_}?", answerable, golds)
    return Record(question, bool(answer), answer, confidence=0.5, seconds=1.0)


def run(name: str, *records: Record) -> Run:
    return Run(Header(name, "2026-01-02", "q.jsonl", "d" * 64), records)


A = run("a", *(record(str(i), "Ruth Okafor" if i < 3 else "Paul") for i in range(8)))
B = run("b", *(record(str(i), "Ruth Okafor" if i > 0 else "Paul") for i in reversed(range(9))))


def test_runs_are_paired_by_question_and_every_change_has_a_verdict() -> None:
    compared = compare(A, B)
    verdicts = {c.question.id: c.verdict for c in compared.changes}
    assert verdicts == {
        "0": Verdict.LOSS,
        "1": Verdict.SAME,
        "2": Verdict.SAME,
        **dict.fromkeys("34567", Verdict.WIN),
    }
    right = next(d for d in compared.differences if d.name == "right")
    assert (right.a, right.b, right.n) == (3 / 8, 7 / 8, 8)
    assert right.delta == pytest.approx(0.5)
    assert right.test == "McNemar"
    assert right.p == pytest.approx(2 * (1 + 6) / 2**6)
    assert {f.n for f in compared.figures_b if f.name == "right"} == {8}
    assert [c.points for c in compared.curves] == [((1.0, 5 / 8),), ((1.0, 1 / 8),)]


def test_questions_are_grouped_by_category_or_by_answerability() -> None:
    both = [record("x", "Paul"), record("y", "", answerable=False)]
    assert compare(run("a", *both), run("b", *both)).categories == (
        ("answerable", 1, 0.0, 0.0),
        ("unanswerable", 1, 1.0, 1.0),
    )
    named = replace(both[0], question=replace(both[0].question, category="names"))
    assert compare(run("a", named), run("b", named)).categories == (("names", 1, 0.0, 0.0),)


def test_runs_of_other_questions_are_not_compared() -> None:
    with pytest.raises(RunError, match="no question in common"):
        compare(A, run("c", record("elsewhere", "Paul")))
    other = record("0", "Paul")
    changed = replace(other, question=replace(other.question, text="What?"))
    with pytest.raises(RunError, match="different questions by the id '0'"):
        compare(A, run("c", changed))
