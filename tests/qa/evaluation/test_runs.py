from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.errors import RunError
from qa.evaluation.runs import RunWriter, read_run
from qa.evaluation.types import Header, Place, Question, Quote, Record

HEADER = Header("one", "2026-01-02T03:04:05+00:00", "q.jsonl", "d" * 64, {"seed": 1, "m": [1, 2]})


def record(id_: str, answer: str = "Ruth") -> Record:
    quote = Quote("d", 0, 4, "Ruth", True, 0, 4, "", " Okafor")
    return Record(
        Question(id_, "Who?", answers=("Ruth",), document="d", evidence=((0, 4),)),
        answered=True,
        answer=answer,
        confidence=0.5,
        citations=(quote,),
        passages=(Place("d", 0, 11),),
        evidence=None,
        seconds=1.25,
        first_token=0.5,
        input_tokens=90,
    )


def write(path: Path, *ids: str) -> Path:
    with RunWriter.create(path, HEADER) as writer:
        for id_ in ids:
            writer.add(record(id_))
    return path


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = read_run(write(tmp_path / "runs" / "one.jsonl", "a", "b"))
    assert run.header == HEADER
    assert run.records == (record("a"), record("b"))


@given(answer=st.text(st.characters()))
def test_any_answer_comes_back(tmp_path_factory: pytest.TempPathFactory, answer: str) -> None:
    path = tmp_path_factory.mktemp("run") / "one.jsonl"
    with RunWriter.create(path, HEADER) as writer:
        writer.add(record("a", answer))
    assert read_run(path).records[0].answer == answer


def test_an_answer_is_in_the_file_before_the_run_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    with RunWriter.create(path, HEADER) as writer:
        writer.add(record("a"))
        assert [r.question.id for r in read_run(path).records] == ["a"]


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_a_line_that_was_cut_off_is_dropped_and_asked_again(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "one.jsonl", "a", "b")
    path.write_bytes(path.read_bytes()[:-cut])
    assert [r.question.id for r in read_run(path).records] == ["a"]
    with RunWriter.resume(path, HEADER) as writer:
        assert writer.done == {"a"}
        writer.add(record("b"))
    assert [r.question.id for r in read_run(path).records] == ["a", "b"]


def test_a_run_that_was_killed_before_its_first_line_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.touch()
    with RunWriter.resume(path, HEADER) as writer:
        assert writer.done == set()
    assert read_run(path).header == HEADER


def test_a_run_is_never_written_over(tmp_path: Path) -> None:
    path = write(tmp_path / "one.jsonl", "a")
    before = path.read_bytes()
    with pytest.raises(RunError, match="is there already") as caught:
        RunWriter.create(path, HEADER)
    assert "--resume" in caught.value.fix
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (Header("one", "", "other.jsonl", "e" * 64, HEADER.details), "answers q.jsonl, not other"),
        (Header("one", "", "q.jsonl", "d" * 64, {"seed": 2, "m": [1, 2]}), "seed was 1 and is 2"),
    ],
)
def test_a_run_with_other_questions_or_settings_is_not_gone_on_with(
    tmp_path: Path, header: Header, said: str
) -> None:
    path = write(tmp_path / "one.jsonl", "a")
    before = path.read_bytes()
    with pytest.raises(RunError, match=said):
        RunWriter.resume(path, header)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: not a run"),
        (b"hello\n", "line 1: not a run"),
        (b'{"id": "q1", "question": "Who?"}\n', "line 1: not a run"),
        (b"[]\n", "line 1: not a run"),
    ],
)
def test_another_file_is_no_run(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(content)
    with pytest.raises(RunError, match=said):
        read_run(path)


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "one.jsonl", "a", "b")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"oops\n" + lines[2])
    with pytest.raises(RunError, match="line 2: not a run"):
        read_run(path)


def test_a_later_format_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "one.jsonl", "a")
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":9', 1))
    with pytest.raises(RunError, match="has the format 9"):
        read_run(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        RunWriter.create(tmp_path / "file" / "one.jsonl", HEADER)
    with pytest.raises(RunError, match="cannot be read"):
        read_run(tmp_path / "absent.jsonl")
