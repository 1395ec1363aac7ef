from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from index.library import Library
from qa.bootstrap import build_service
from qa.errors import ModelUnavailableError, QuestionTooLongError
from qa.evaluation.evaluate import InterruptedRunError, evaluate
from qa.evaluation.judge import Judge
from qa.evaluation.runs import RunWriter, read_run
from qa.evaluation.targets import REFUSALS, ChainTarget, ModelTarget, SearchTarget, describe
from qa.evaluation.types import Header, Question, Record
from qa.models import PlainReader
from qa.settings import Settings
from qa.testing import ScriptedChatModel, always
from qa.types import SMALL

HEADER = Header("one", "2026-01-02", "q.jsonl", "d" * 64)
QUESTIONS = [Question(str(i), f"Question {i}?", True, ("yes",)) for i in range(6)]


class FakeTarget:
    """Answers yes; says what it was asked, and fails where it is told to."""

    def __init__(self, failing: dict[str, Exception] | None = None) -> None:
        self.failing = failing or {}
        self.asked: list[str] = []
        self.closed = False

    async def prepare(self) -> None:
        """Nothing to load."""

    async def answer(self, question: Question) -> Record:
        """Answer after another task had its turn."""
        self.asked.append(question.id)
        await asyncio.sleep(0)
        if question.id in self.failing:
            raise self.failing[question.id]
        return Record(question, answered=True, answer="yes")

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


def run(
    target: FakeTarget, path: Path, *, concurrency: int = 1, questions: Sequence[Question] = ()
) -> list[Record]:
    seen: list[Record] = []
    with RunWriter.resume(path, HEADER) as writer:
        asyncio.run(
            evaluate(
                questions or QUESTIONS,
                target,
                writer,
                concurrency=concurrency,
                progress=seen.append,
            )
        )
    return seen


@pytest.mark.parametrize("concurrency", [1, 4])
def test_every_question_is_asked_once_and_recorded(tmp_path: Path, concurrency: int) -> None:
    target = FakeTarget()
    seen = run(target, tmp_path / "run.jsonl", concurrency=concurrency)
    assert sorted(target.asked) == [q.id for q in QUESTIONS]
    assert read_run(tmp_path / "run.jsonl").records == tuple(seen)
    assert target.closed


def test_a_system_that_goes_away_ends_the_run_and_what_it_answered_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    target = FakeTarget({"3": ModelUnavailableError("The server is gone.")})
    with pytest.raises(InterruptedRunError, match=r"gone\. 3 of 6 answers are recorded") as caught:
        run(target, path)
    assert "--resume" in caught.value.fix
    assert target.closed
    again = FakeTarget()
    run(again, path)
    assert again.asked == ["3", "4", "5"]
    assert {r.question.id for r in read_run(path).records} == {q.id for q in QUESTIONS}


def test_a_question_at_fault_is_recorded_with_its_error_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    target = FakeTarget({"2": QuestionTooLongError("Too long.")})
    records = run(target, tmp_path / "run.jsonl")
    assert [r.error for r in records] == [None, None, "Too long.", None, None, None]


ASKED = Question("q", "how much will Alibaba invest?", True, ("€50 billion",))


def ask_chain(library: Library, reply: str, question: Question = ASKED) -> Record:
    model = ScriptedChatModel(script=always(reply))
    service = build_service(
        Settings(home=library.home),
        library=library,
        reader=PlainReader("fake", model, SMALL, runtime="program 1"),
    )
    target = ChainTarget(service, "default")
    told = describe(service)
    assert (told["model"], told["runtime"], told["risk"]) == ("fake", "program 1", "balanced")
    assert (told["adapter"], told["verifier"], len(told["confidence"])) == (None, None, 64)

    async def go() -> Record:
        await target.prepare()
        return await target.answer(question)

    return asyncio.run(go())


def test_the_chains_answer_is_recorded_with_quotes_in_their_surroundings(
    seed_library: Library, seed_text: str
) -> None:
    record = ask_chain(seed_library, "€50 billion ($53.5 billion)")
    assert (record.answered, record.answer) == (True, "€50 billion ($53.5 billion)")
    (quote,) = record.citations or ()
    assert quote.exact
    assert seed_text[quote.start : quote.end] == quote.quote
    around = quote.before + quote.quote + quote.after
    assert around in seed_text
    assert around != quote.quote
    assert 0 < (record.confidence or 0) <= 1
    assert record.seconds > 0
    assert record.evidence


def test_the_chains_refusal_has_its_reason(seed_library: Library) -> None:
    record = ask_chain(seed_library, "NOT STATED")
    assert (record.answered, record.reason, record.confidence) == (False, "not_stated", 0.0)
    assert record.passages


def test_a_search_has_passages_and_no_answer(seed_library: Library) -> None:
    record = asyncio.run(SearchTarget(seed_library, "default").answer(ASKED))
    assert record.reason == "retrieval_only"
    assert record.passages
    assert record.citations is None


def test_a_search_rewrites_follow_ups_where_it_has_a_reader(seed_library: Library) -> None:
    model = ScriptedChatModel(script=always("How much will Alibaba invest?"))
    target = SearchTarget(seed_library, "default", reader=PlainReader("scripted", model))
    asyncio.run(target.answer(ASKED))
    assert model.asked == []
    follow_up = replace(ASKED, text="And how much?", history=("Who plans to invest?",))
    assert asyncio.run(target.answer(follow_up)).passages
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("reply", "answered"), [("€50 billion.", True), ("I don't know.", False), ("", False)]
)
def test_another_product_answers_or_says_that_it_does_not_know(reply: str, answered: bool) -> None:  # noqa: FBT001
    target = ModelTarget(ScriptedChatModel(script=always(reply)), "other")
    record = asyncio.run(target.answer(ASKED))
    assert record.answered is answered
    assert record.passages is None


@pytest.mark.parametrize(
    "text",
    [
        "The documents do not mention it.",
        "It is not stated.",
        "That isn\u2019t provided in the context.",
        "The answer cannot be determined.",
    ],
)
def test_ways_to_say_that_one_does_not_know(text: str) -> None:
    assert REFUSALS.search(text)


def test_a_judge_hears_every_quote_of_an_answer(seed_library: Library) -> None:
    record = ask_chain(seed_library, "€50 billion ($53.5 billion)")
    for ruling, share in (("Yes.", 1.0), ("no", 0.0)):
        judge = Judge(ScriptedChatModel(script=always(ruling)))
        heard = asyncio.run(judge.hear(record))
        assert (heard.judged_recall, heard.judged_precision) == (share, share)
