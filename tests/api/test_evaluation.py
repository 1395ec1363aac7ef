from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import pytest

from qa.evaluation.runs import read_run


class Served(Protocol):
    """A server on loopback."""

    home: Path
    address: str


DOCUMENTS = [
    {"id": "invest", "title": "Invest", "text": "Alibaba will invest €50 billion ($53.5 billion)."},
    {"id": "heron", "title": "Heron", "text": "The heron waits in the reeds. It eats fish."},
]
QUESTIONS = [
    {
        "id": "q1",
        "question": "How much will Alibaba invest?",
        "answers": ["€50 billion"],
        "document": "invest",
        "evidence": [[20, 31]],
    },
    {"id": "q2", "question": "How much will Tencent invest?", "answerable": False},
    {
        "id": "q3",
        "question": "How many billion will Alibaba invest?",
        "answers": ["€50 billion"],
        "document": "invest",
        "evidence": [[20, 31]],
    },
]


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Give a question set, its documents, and where runs go."""
    return {
        "questions": lines(tmp_path / "questions.jsonl", QUESTIONS),
        "documents": lines(tmp_path / "documents.jsonl", DOCUMENTS),
        "out": tmp_path / "runs" / "one.jsonl",
    }


@pytest.fixture
def evaluate(run_command: Any, served: Served, files: dict[str, Path]) -> Any:
    """Give what evaluates the served chain, whose model always answers the sum."""

    def run(*options: str | Path, out: Path | None = None) -> Any:
        return run_command(
            "evaluate",
            files["questions"],
            *("--documents", files["documents"], "--url", served.address),
            *("--out", out or files["out"]),
            *options,
        )

    return run


def test_a_run_against_a_server_is_scored_and_kept(evaluate: Any, files: dict[str, Path]) -> None:
    ran = evaluate()
    assert ran.code == 0, ran.err
    for metric in ("exact match", "F1, HasAns", "nDCG@10", "calibration error", "seconds, p99"):
        assert metric in ran.out
    run = read_run(files["out"])
    assert [r.question.id for r in run.records] == ["q1", "q2", "q3"]
    assert [r.answered for r in run.records] == [True, False, True]
    (quote,) = run.records[0].citations or ()
    assert (quote.source, quote.exact) == ("invest", True)
    assert run.records[0].evidence
    assert run.header.details["target"] == "server"
    assert run.header.details["versions"]["footnote"]


def test_figures_can_be_read_by_a_program(evaluate: Any) -> None:
    ran = evaluate("--json", "--concurrency", "2")
    figures = {f["name"]: f for f in json.loads(ran.out)["figures"]}
    assert figures["right"]["value"] == 1.0
    assert figures["right"]["n"] == 3


def test_a_run_is_gone_on_with_only_where_that_is_asked(
    evaluate: Any, files: dict[str, Path]
) -> None:
    assert evaluate().code == 0
    again = evaluate()
    assert again.code == 1
    assert "is there already" in again.err
    whole = files["out"].read_bytes().splitlines(keepends=True)
    files["out"].write_bytes(b"".join(whole[:2]) + whole[2][:9])
    assert evaluate("--resume").code == 0
    assert len(read_run(files["out"]).records) == 3
    other = evaluate("--resume", "--sample", "2")
    assert other.code == 1
    assert "sample was None and is 2" in other.err


def test_a_search_is_scored_without_a_model(evaluate: Any) -> None:
    ran = evaluate("--retrieval-only")
    assert ran.code == 0, ran.err
    assert "MRR" in ran.out
    assert "exact match" not in ran.out


def test_rewriting_is_for_a_search_in_this_process(evaluate: Any) -> None:
    for options in (("--rewrite",), ("--rewrite", "--retrieval-only")):  # it asks a server
        ran = evaluate(*options)
        assert ran.code == 1
        assert "--rewrite is for a search in this process" in ran.err


def test_a_bad_line_stops_the_run_or_is_skipped(evaluate: Any, files: dict[str, Path]) -> None:
    text = files["questions"].read_text(encoding="utf-8")
    files["questions"].write_text(text + "oops\n", encoding="utf-8")
    ran = evaluate()
    assert ran.code == 1
    assert "questions.jsonl, line 4: not JSON" in ran.err
    assert not files["out"].exists()
    ran = evaluate("--skip-bad-lines")
    assert ran.code == 0
    assert "skipped: questions.jsonl, line 4" in ran.err


def test_evidence_outside_its_document_is_named(evaluate: Any, files: dict[str, Path]) -> None:
    lines(files["questions"], [{**QUESTIONS[0], "evidence": [[40, 400]]}])
    ran = evaluate()
    assert ran.code == 1
    assert "ends outside 'invest', which has" in ran.err


def test_a_server_that_is_not_there_is_named(run_command: Any, files: dict[str, Path]) -> None:
    ran = run_command("evaluate", files["questions"], "--url", "http://127.0.0.1:9", "--out", "x")
    assert ran.code == 1
    assert "did not answer" in ran.err
    assert "footnote serve" in ran.err


def test_two_runs_are_compared_and_bounds_are_held(
    evaluate: Any, run_command: Any, files: dict[str, Path]
) -> None:
    other = files["out"].with_name("two.jsonl")
    assert evaluate().code == 0
    assert evaluate(out=other).code == 0
    text = other.read_text(encoding="utf-8")
    assert '"answer":"€50 billion ($53.5 billion)"' in text
    wrong = text.replace('"answer":"€50 billion ($53.5 billion)"', '"answer":"ten"')
    other.write_text(wrong, encoding="utf-8")
    ran = run_command("compare", files["out"], other)
    assert ran.code == 0, ran.err
    assert "answers: right" in ran.out
    assert "2 questions: loss" in ran.out
    ran = run_command("compare", files["out"], other, "--fail-under", "90")
    assert ran.code == 1
    assert "right: 33.3 % is under 90 %" in ran.err
    ran = run_command("compare", files["out"], other, "--max-regression", "5")
    assert ran.code == 1
    assert "right fell by 66.7 points, more than 5" in ran.err
    assert run_command("compare", files["out"], files["out"], "--max-regression", "0").code == 0


def test_what_cannot_be_compared_is_said(run_command: Any, files: dict[str, Path]) -> None:
    assert "One run cannot be compared" in run_command("compare", files["out"]).err
    ran = run_command("compare", files["questions"], files["questions"])
    assert ran.code == 1
    assert "not a run of `footnote evaluate`" in ran.err
