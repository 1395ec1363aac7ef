from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qa.errors import QuestionSetError
from qa.evaluation.questions import check_places, choose, read_documents, read_questions
from qa.evaluation.types import Question

GOOD: dict[str, Any] = {
    "id": "q1",
    "question": "Who opened the bridge?",
    "answerable": True,
    "answers": ["Ruth Okafor"],
    "document": "bridge",
    "evidence": [[4, 15]],
}


def write(path: Path, *lines: object) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def test_a_question_is_read_with_its_gold_answers_and_spans(tmp_path: Path) -> None:
    found = read_questions(write(tmp_path / "q.jsonl", GOOD))
    assert found.questions == (
        Question("q1", "Who opened the bridge?", True, ("Ruth Okafor",), "bridge", ((4, 15),)),
    )
    assert found.name == "q.jsonl"
    assert len(found.digest) == 64


def test_a_set_for_retrieval_has_relevant_documents_and_history(tmp_path: Path) -> None:
    row = {"id": "r", "question": "And when?", "relevant": ["d1", "d2"], "history": ["Who?"]}
    (question,) = read_questions(write(tmp_path / "q.jsonl", row)).questions
    assert (question.relevant, question.history) == (("d1", "d2"), ("Who?",))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "not JSON"),
        ("[1, 2]", "not an object"),
        ({"id": "x"}, "question: Field required"),
        ({**GOOD, "id": 7}, "id: Input should be a valid string"),
        ({**GOOD, "id": "x", "answers": "Ruth"}, "answers: Input should be a valid array"),
        ({**GOOD, "id": "x", "evidence": [[9, 4]]}, "evidence [9, 4] is no span"),
        ({**GOOD, "id": "x", "document": None}, "evidence without a document"),
        (GOOD, "the id 'q1' was there before"),
    ],
    ids=str,
)
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, line: object, said: str) -> None:
    path = write(tmp_path / "q.jsonl", GOOD, "", line)
    with pytest.raises(QuestionSetError, match="line 3: ") as caught:
        read_questions(path)
    assert said in str(caught.value)
    assert "--skip-bad-lines" in caught.value.fix


def test_bad_lines_are_reported_and_left_out_where_that_is_asked(tmp_path: Path) -> None:
    complaints: list[str] = []
    path = write(tmp_path / "q.jsonl", "oops", GOOD, GOOD)
    found = read_questions(path, complain=complaints.append)
    assert [q.id for q in found.questions] == ["q1"]
    assert [c.split(":")[0] for c in complaints] == ["q.jsonl, line 1", "q.jsonl, line 3"]


def test_bytes_that_are_no_utf_8_are_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b'{"question": "\xff"}\n')
    with pytest.raises(QuestionSetError, match="line 1: not JSON"):
        read_questions(path)


def test_a_csv_of_questions_and_answers_is_read_and_an_empty_answer_is_none(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "q.csv", "question,answer", '"Who, then?",Ruth', "What else?,")
    first, second = read_questions(path).questions
    assert (first.text, first.answers, first.answerable) == ("Who, then?", ("Ruth",), True)
    assert (second.answers, second.answerable) == ((), False)
    assert first.id != second.id


def test_a_csv_without_a_question_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuestionSetError, match="no column `question`"):
        read_questions(write(tmp_path / "q.csv", "q,a", "Who?,Ruth"))


def test_the_question_can_be_taken_from_another_field(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", {**GOOD, "rewrite": "Who opened it?"})
    assert read_questions(path, field="rewrite").questions[0].text == "Who opened it?"
    with pytest.raises(QuestionSetError, match="no field 'other'"):
        read_questions(path, field="other")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_questions_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(content)
    with pytest.raises(QuestionSetError, match="no questions"):
        read_questions(path)
    with pytest.raises(QuestionSetError, match="cannot be read"):
        read_questions(tmp_path / "absent.jsonl")


def test_a_sample_is_the_same_for_the_same_seed_and_keeps_the_order() -> None:
    questions = [Question(str(i), "?") for i in range(50)]
    one = choose(questions, limit=None, sample=10, seed=1)
    assert one == choose(questions, limit=None, sample=10, seed=1)
    assert one != choose(questions, limit=None, sample=10, seed=2)
    assert [int(q.id) for q in one] == sorted(int(q.id) for q in one)
    assert choose(questions, limit=3, sample=None, seed=0) == questions[:3]
    assert choose(questions, limit=None, sample=99, seed=0) == questions


def test_documents_are_read_from_lines_or_from_a_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", {"id": "a/b", "title": "B", "text": "Text."})
    (upload,) = read_documents(path)
    assert (upload.source, upload.title, upload.data) == ("a/b", "B", b"Text.")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "note.md").write_text("# Note")
    (folder / "image.png").write_bytes(b"")
    assert [u.source for u in read_documents(folder)] == ["note"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"id": "a"}], "line 1: no document"),
        (["x"], "line 1: no document"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "2 documents with the id 'a'"),
        ([""], "no documents"),
    ],
)
def test_bad_documents_are_refused(tmp_path: Path, lines: list[object], said: str) -> None:
    with pytest.raises(QuestionSetError, match=said):
        read_documents(write(tmp_path / "d.jsonl", *lines))


def test_gold_spans_are_held_against_their_documents() -> None:
    question = Question("q1", "?", document="d", evidence=((0, 9),))
    check_places([question], {"d": 9})
    with pytest.raises(QuestionSetError, match=r"'q1'.* ends outside 'd', which has 8"):
        check_places([question], {"d": 8})
    with pytest.raises(QuestionSetError, match="names the document 'd', which is not there"):
        check_places([question], {})
    with pytest.raises(QuestionSetError, match="names the document 'r'"):
        check_places([Question("q2", "?", relevant=("r",))], {"d": 1})
