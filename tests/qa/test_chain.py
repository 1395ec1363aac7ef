import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from index.errors import CollectionNotFoundError
from index.library import Library, Upload
from index.search import FUSION_K
from index.testing import HashingEmbedder
from index.types import Span
from qa.bootstrap import Service, build_service
from qa.chain import answer, answer_of, check_length
from qa.confidence import threshold
from qa.errors import (
    EmptyQuestionError,
    ModelBusyError,
    ModelUnavailableError,
    QuestionTooLongError,
)
from qa.models import PlainReader
from qa.prompts import flatten
from qa.settings import Settings
from qa.testing import ScriptedChatModel, ScriptedVerifier
from qa.types import (
    LARGE,
    SMALL,
    TRAINED,
    Answer,
    Ask,
    Assent,
    Cited,
    Ended,
    Event,
    Exchange,
    Profile,
    Refusal,
    RefusalCode,
    Refused,
    Risk,
    Started,
    Token,
    Usage,
)

INVEST = "How much will Alibaba invest?"
PLAN = "Alibaba will invest €50 billion ($53.5 billion) [2]."
"""The seed's second sentence holds the figures; all sentences are shown, in document order."""


class Desk:
    """The seed document, a scripted model, and the chain between them."""

    def __init__(self, service: Service, model: ScriptedChatModel) -> None:
        self.service = service
        self.model = model

    def ask(self, question: str, *history: Exchange, collection: str = "default") -> list[Event]:
        """Give the streamed events of one question, in order."""

        async def stream() -> list[Event]:
            ask = Ask(question, collection, history)
            return [e async for events in self.service.chain.astream(ask) for e in events]

        return asyncio.run(stream())


Desks = Callable[..., Desk]


@pytest.fixture
def desk(seed_library: Library, tmp_path: Path) -> Iterator[Desks]:
    """Give a function that builds a desk for what the model replies."""
    built: list[Service] = []

    def build(
        script: Callable[[str], str | Exception] | str | Exception,
        *,
        library: Library = seed_library,
        profile: Profile = LARGE,
        settings: Settings | None = None,
    ) -> Desk:
        model = ScriptedChatModel(script=script if callable(script) else lambda _shown: script)
        service = build_service(
            settings or Settings(home=tmp_path),
            library=library,
            reader=PlainReader("scripted", model, profile),
        )
        built.append(service)
        return Desk(service, model)

    yield build
    for service in built:
        service.searching.shutdown()


def last_answer(events: list[Event]) -> Answer:
    return answer_of(tuple(events))


def shown_text(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, Token))


def refused(desk: Desk, question: str) -> Refusal:
    """Ask, see that no answer and no citation come, and give the reason."""
    events = desk.ask(question)
    assert isinstance(events[-1], Refused)
    assert not any(isinstance(e, Cited) for e in events)
    given = last_answer(events)
    assert (given.answered, given.text, given.citations) == (False, "", ())
    assert given.refusal is not None
    assert given.refusal.message
    return given.refusal


def test_an_answer_comes_with_the_exact_place_that_it_stands_on(
    desk: Desks, seed_text: str
) -> None:
    given = last_answer(desk(PLAN).ask(INVEST))
    assert given.answered
    assert given.refusal is None
    assert given.text == "Alibaba will invest €50 billion ($53.5 billion)."
    (citation,) = given.citations
    assert seed_text[citation.start : citation.end] == citation.quote
    assert "€50 billion ($53.5 billion)" in citation.quote
    assert citation.marker == 1
    claim = given.text[citation.answer_start : citation.answer_end]
    assert claim == given.text.removesuffix(".")
    assert given.passages
    assert given.dropped_markers == 0


def test_events_come_in_order_and_the_tokens_are_the_answer(desk: Desks) -> None:
    events = desk("It will invest €50 billion [2]. Jack Ma retains a stake [12].").ask(INVEST)
    kinds = [type(e) for e in events]
    tokens, cited = kinds.count(Token), kinds.count(Cited)
    assert tokens > 1
    assert cited == 2
    assert kinds == [Started, *[Token] * tokens, *[Cited] * cited, Ended]
    given = last_answer(events)
    assert shown_text(events) == given.text
    assert tuple(e.citation for e in events if isinstance(e, Cited)) == given.citations


def test_a_run_as_a_whole_gives_the_events_of_the_stream(desk: Desks) -> None:
    sitting = desk(PLAN)
    streamed = sitting.ask(INVEST)
    whole = asyncio.run(sitting.service.chain.ainvoke(Ask(INVEST, "default")))
    assert [e for e in whole if not isinstance(e, Ended)] == streamed[:-1]
    one, other = answer_of(whole), last_answer(streamed)
    assert (one.text, one.citations, one.evidence) == (other.text, other.citations, other.evidence)


def test_an_answer_can_be_had_without_its_events(desk: Desks) -> None:
    given = asyncio.run(answer(desk(PLAN).service.chain, Ask(INVEST, "default")))
    assert given.citations
    assert given.timings.first_token is not None
    assert 0 < given.timings.retrieve <= given.timings.first_token <= given.timings.total


def test_events_without_an_end_hold_no_answer() -> None:
    with pytest.raises(ValueError, match="do not end"):
        answer_of((Started("What?", "scripted"),))


@pytest.mark.parametrize("reply", ["NOT STATED", "Not stated.", "NOT STATED [3]", ""])
def test_a_model_that_finds_nothing_is_believed_and_nothing_is_shown(
    desk: Desks, reply: str
) -> None:
    events = desk(reply).ask(INVEST)
    assert [type(e) for e in events] == [Started, Refused]
    refusal = last_answer(events).refusal
    assert refusal is not None
    assert refusal.code is RefusalCode.NOT_STATED


@pytest.mark.parametrize(
    ("question", "reply", "code", "terms"),
    [
        (INVEST, "It will invest €70 billion [2].", RefusalCode.UNSUPPORTED_NUMBER, ("70",)),
        (INVEST, "It was set by Pony Zhang [2].", RefusalCode.UNSUPPORTED_NAME, ("Pony", "Zhang")),
        (INVEST, "Penguins swim gracefully", RefusalCode.UNSUPPORTED_ANSWER, ()),
        ("Does Jack Ma still lead Alibaba?", "Yes [12].", RefusalCode.CONTRADICTED, ()),
        (
            "How many employees does Alibaba have?",
            "280 billion [6].",
            RefusalCode.UNSUPPORTED_ANSWER,
            ("employees",),
        ),
    ],
)
def test_what_the_cited_text_does_not_carry_is_refused_with_its_terms(
    desk: Desks, question: str, reply: str, code: RefusalCode, terms: tuple[str, ...]
) -> None:
    refusal = refused(desk(reply), question)
    assert (refusal.code, refusal.terms) == (code, terms)


@pytest.mark.parametrize(
    ("question", "code", "term"),
    [
        ("How much will Tencent invest?", RefusalCode.NAME_NOT_IN_EVIDENCE, "Tencent"),
        ("What was Alibaba's revenue in 2019?", RefusalCode.NUMBER_NOT_IN_EVIDENCE, "2019"),
    ],
)
def test_a_question_about_what_is_not_there_is_refused_before_the_model_is_asked(
    desk: Desks, question: str, code: RefusalCode, term: str
) -> None:
    sitting = desk(PLAN)
    refusal = refused(sitting, question)
    assert (refusal.code, refusal.terms) == (code, (term,))
    assert sitting.model.asked == []


def test_a_refusal_still_says_what_was_nearest(desk: Desks) -> None:
    given = last_answer(desk("NOT STATED").ask(INVEST))
    assert given.passages
    assert given.evidence


def test_a_marker_at_the_wrong_sentence_is_repaired(desk: Desks) -> None:
    given = last_answer(desk("Alibaba will invest €50 billion [13].").ask(INVEST))
    assert ["€50 billion" in c.quote for c in given.citations] == [True]


def test_markers_that_point_at_nothing_are_counted_and_the_claim_is_tied_by_its_words(
    desk: Desks,
) -> None:
    given = last_answer(desk("Alibaba will invest €50 billion [0] [99].").ask(INVEST))
    assert given.dropped_markers == 2
    assert "[" not in given.text
    assert ["€50 billion" in c.quote for c in given.citations] == [True]


def test_an_answer_without_markers_is_cited_by_its_words(desk: Desks) -> None:
    sitting = desk("€50 billion ($53.5 billion)", profile=SMALL)
    given = last_answer(sitting.ask(INVEST))
    assert ["€50 billion ($53.5 billion)" in c.quote for c in given.citations] == [True]
    assert "[1]" not in sitting.model.asked[0]


def test_an_unknown_collection_is_an_error(desk: Desks) -> None:
    with pytest.raises(CollectionNotFoundError) as raised:
        desk(PLAN).ask(INVEST, collection="nowhere")
    assert raised.value.fix


def test_without_documents_there_is_nothing_to_ask(desk: Desks, tmp_path: Path) -> None:
    with Library(tmp_path / "empty", HashingEmbedder()) as library:
        sitting = desk(PLAN, library=library)
        assert refused(sitting, INVEST).code is RefusalCode.NOTHING_INDEXED
        assert sitting.model.asked == []


@pytest.mark.parametrize("question", ["", "  \n", "?!"])
def test_an_empty_question_is_an_error(desk: Desks, question: str) -> None:
    with pytest.raises(EmptyQuestionError):
        desk(PLAN).ask(question)


def test_a_question_longer_than_the_setting_is_an_error(desk: Desks, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, max_question_characters=40)
    sitting = desk(PLAN, settings=settings)
    with pytest.raises(QuestionTooLongError, match="41"):
        sitting.ask("x" * 41)
    assert last_answer(sitting.ask(f"  {INVEST}  ")).answered


def test_white_space_around_a_question_does_not_count() -> None:
    assert check_length("  What?\n", 5) == "What?"


def test_a_model_that_breaks_off_is_unavailable_and_the_cause_is_kept(desk: Desks) -> None:
    cause = ConnectionResetError("gone")
    sitting = desk(cause)
    seen: list[Event] = []

    async def stream() -> None:
        async for events in sitting.service.chain.astream(Ask(INVEST, "default")):
            seen.extend(events)

    with pytest.raises(ModelUnavailableError, match=r"scripted broke off.*gone") as raised:
        asyncio.run(stream())
    assert raised.value.__cause__ is cause
    assert shown_text(seen) == "Half of an"
    assert not any(isinstance(e, Ended | Refused) for e in seen)


def rewriting(to: str, reply: str = PLAN) -> Callable[[str], str]:
    """Give a script that rewrites follow-ups and answers all else."""
    return lambda shown: to if "Last question:" in shown else reply


def test_a_follow_up_is_looked_up_as_a_question_that_stands_alone(desk: Desks) -> None:
    sitting = desk(rewriting(INVEST))
    events = sitting.ask("And how much?", Exchange("Who plans to invest?", "Alibaba"))
    assert events[0] == Started(INVEST, "scripted", rewritten=True)
    assert last_answer(events).question == INVEST
    rewrite, asked = sitting.model.asked
    assert "Who plans to invest?" in rewrite
    assert asked.endswith(f"Question: {INVEST}")


def test_what_was_typed_is_looked_up_beside_its_rewriting(desk: Desks) -> None:
    sitting = desk(rewriting(INVEST))
    alone = last_answer(sitting.ask(INVEST)).passages
    both = last_answer(sitting.ask("Since when?", Exchange("Who plans to invest?"))).passages
    # Two rankings give at most 2 / 61, four twice that.
    assert max(hit.score for hit in alone) <= 2 / (FUSION_K + 1)
    assert max(hit.score for hit in both) > 2 / (FUSION_K + 1)
    assert [(h.similarity, h.dense_rank) for h in both if h.dense_rank == 1] == [
        (h.similarity, h.dense_rank) for h in alone if h.dense_rank == 1
    ]


def test_a_question_that_already_stands_alone_is_not_called_rewritten(desk: Desks) -> None:
    events = desk(rewriting(INVEST)).ask(f" {INVEST} ", Exchange("Who plans to invest?"))
    assert events[0] == Started(INVEST, "scripted", rewritten=False)


def test_orders_on_the_form_are_not_part_of_what_a_small_model_is_asked(desk: Desks) -> None:
    sitting = desk("€50 billion ($53.5 billion)", profile=SMALL)
    events = sitting.ask(f"{INVEST} If not found, return 'unknown'.")
    assert events[0] == Started(INVEST, "scripted", rewritten=True)
    assert sitting.model.asked[0].endswith(f"Question: {INVEST}")
    told = last_answer(events)
    assert told.answered
    assert max(hit.score for hit in told.passages) <= 2 / (FUSION_K + 1)


def test_a_large_model_is_asked_all_that_was_typed(desk: Desks) -> None:
    sitting = desk(PLAN)
    typed = f"{INVEST} Answer in one sentence."
    assert sitting.ask(typed)[0] == Started(typed, "scripted", rewritten=False)
    assert sitting.model.asked[0].endswith(f"Question: {typed}")


def test_a_model_that_breaks_off_over_a_follow_up_is_unavailable(desk: Desks) -> None:
    with pytest.raises(ModelUnavailableError):
        desk(TimeoutError("slow")).ask("And how much?", Exchange("Who plans to invest?"))


def test_a_question_over_the_queue_is_told_so_and_the_place_is_free_afterwards(
    desk: Desks, tmp_path: Path
) -> None:
    sitting = desk(PLAN, settings=Settings(home=tmp_path, queue=0))
    chain, ask = sitting.service.chain, Ask(INVEST, "default")

    async def scenario() -> None:
        reading = chain.astream(ask)
        async for events in reading:
            if isinstance(events[0], Token):
                break
        with pytest.raises(ModelBusyError):
            await answer(chain, ask)
        rest = [e async for events in reading for e in events]
        assert isinstance(rest[-1], Ended)
        assert (await answer(chain, ask)).answered

    asyncio.run(scenario())


def test_a_reader_who_leaves_gives_the_place_back(desk: Desks, tmp_path: Path) -> None:
    begun = asyncio.Event()

    def script(_shown: str) -> str:
        begun.set()
        return PLAN

    sitting = desk(script, settings=Settings(home=tmp_path, queue=0))
    chain, ask = sitting.service.chain, Ask(INVEST, "default")

    async def read_a_little() -> None:
        async for events in chain.astream(ask):
            if isinstance(events[0], Token):
                await asyncio.Event().wait()

    async def scenario() -> None:
        leaving = asyncio.create_task(read_a_little())
        await begun.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert (await answer(chain, ask)).answered

    asyncio.run(scenario())


@pytest.mark.parametrize(("sentences", "characters"), [(3, 10_000), (50, 500), (4, 560)])
def test_the_model_is_shown_few_sentences_in_document_order(
    desk: Desks, tmp_path: Path, sentences: int, characters: int
) -> None:
    settings = Settings(home=tmp_path, evidence_sentences=sentences, evidence_characters=characters)
    sitting = desk("NOT STATED", settings=settings)
    evidence = last_answer(sitting.ask(INVEST)).evidence
    assert 1 < len(evidence) <= sentences
    assert sum(len(e.text) for e in evidence) <= characters
    assert all(one.end <= other.start for one, other in pairwise(evidence))
    lines = sitting.model.asked[0].split("\n\n")[0].splitlines()
    assert lines == [f"[{e.number}] ({e.title}) {' '.join(e.text.split())}" for e in evidence]


def test_citations_of_two_documents_name_their_own(desk: Desks, tmp_path: Path) -> None:
    texts = {
        "bridge": "The Halden Bridge cost 24 million crowns.",
        "tower": "The Varna Tower cost 99 million crowns.",
    }
    with Library(tmp_path / "two", HashingEmbedder()) as library:
        for name, text in texts.items():
            library.ingest(Upload(text.encode(), f"{name}.txt"))
        sitting = desk("The tower cost 99 million. The bridge cost 24 million.", library=library)
        given = last_answer(sitting.ask("What did the bridge and the tower cost?"))
    assert [(c.marker, c.title) for c in given.citations] == [(1, "tower"), (2, "bridge")]
    assert all(texts[c.title][c.start : c.end] == c.quote for c in given.citations)


class CheckedReader(PlainReader):
    """A reader that can be asked whether its answer stands where it says."""

    odds: float | Exception | None = None
    seen: list[str]

    async def assent(self, messages: Sequence[BaseMessage]) -> Assent | None:
        """Give what the test set."""
        self.seen.append(str(messages[-1].text))
        if isinstance(self.odds, Exception):
            raise self.odds
        return None if self.odds is None else Assent(self.odds, Usage(60, 1))


def checked(
    library: Library, tmp_path: Path, odds: float | Exception | None, **values: Any
) -> tuple[CheckedReader, Service]:
    model = ScriptedChatModel(script=lambda _shown: "€50 billion ($53.5 billion)")
    reader = CheckedReader("scripted", model, SMALL)
    object.__setattr__(reader, "odds", odds)
    object.__setattr__(reader, "seen", [])
    settings = Settings(home=tmp_path, **values)
    return reader, build_service(settings, library=library, reader=reader)


def given(service: Service, **values: Any) -> Answer:
    return asyncio.run(answer(service.chain, Ask(INVEST, "default", **values)))


def test_the_reader_is_asked_about_the_sentence_that_its_answer_cites(
    seed_library: Library, tmp_path: Path
) -> None:
    reader, service = checked(seed_library, tmp_path, 20.0)
    told = given(service, explain=True)
    (asked,) = reader.seen
    assert "plans to invest €50 billion" in asked
    assert f"Question: {INVEST}" in asked
    assert "Answer: €50 billion ($53.5 billion)" in asked
    assert told.answered
    assert told.features["check"] == 20.0
    assert told.usage == Usage(60, 1)  # the scripted reader tells of no tokens of its own
    assert told.confidence > threshold("strict")
    service.searching.shutdown()


def test_what_the_reader_doubts_is_refused_as_the_risk_says(
    seed_library: Library, tmp_path: Path
) -> None:
    _, service = checked(seed_library, tmp_path, -20.0)
    told = given(service)
    assert not told.answered
    assert told.refusal is not None
    assert told.refusal.code is RefusalCode.UNCERTAIN
    assert told.citations == ()
    assert 0 < told.confidence < threshold("balanced")
    assert given(service, risk="open").answered
    assert given(service, risk=1.0).answered
    service.searching.shutdown()


@pytest.mark.parametrize(("risk", "answered"), [("strict", False), ("open", True), (0.0, False)])
def test_the_setting_says_what_a_question_accepts_that_does_not(
    seed_library: Library, tmp_path: Path, risk: Any, *, answered: bool
) -> None:
    _, service = checked(seed_library, tmp_path, -20.0, risk=risk)
    assert given(service).answered is answered
    service.searching.shutdown()


def test_a_reader_that_cannot_tell_is_not_refused_for_it(
    seed_library: Library, tmp_path: Path
) -> None:
    _, service = checked(seed_library, tmp_path, None, risk="strict")
    told = given(service, explain=True)
    assert told.answered
    assert told.features
    assert "check" not in told.features
    service.searching.shutdown()


def test_what_is_refused_for_its_words_costs_no_check(
    seed_library: Library, tmp_path: Path
) -> None:
    reader, service = checked(seed_library, tmp_path, 20.0)
    asked = Ask("How much will Tencent invest?", "default")
    assert not asyncio.run(answer(service.chain, asked)).answered
    assert reader.seen == []
    service.searching.shutdown()


def test_a_check_that_fails_is_the_models_failure(seed_library: Library, tmp_path: Path) -> None:
    _, service = checked(seed_library, tmp_path, RuntimeError("out of memory"))
    with pytest.raises(ModelUnavailableError, match="out of memory"):
        given(service)
    service.searching.shutdown()


def test_what_a_model_hides_in_its_answer_is_taken_out(desk: Desks) -> None:
    events = desk("Alibaba will in\u200bvest €50\u202e billion\U000e0041 ($53.5 billion) [2].").ask(
        INVEST
    )
    assert last_answer(events).text == shown_text(events) == PLAN.removesuffix(" [2].") + "."


class CertainChatModel(ScriptedChatModel):
    """A model that tells how likely its tokens were, as llama.cpp's server does."""

    stated: float = 0.99
    least: float = 0.9

    async def _astream(self, *given: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in super()._astream(*given, **options):
            top = [{"token": "NOT", "logprob": math.log(1 - self.stated)}]
            content = [{"logprob": math.log(self.least), "top_logprobs": top}]
            chunk.generation_info = {"logprobs": {"content": content}}
            yield chunk


def trained(
    library: Library, home: Path, reply: str, chances: tuple[float, float], odds: float = 6.0
) -> Service:
    """Build a service whose reader is so sure that it is stated, and of its least likely token."""
    stated, least = chances
    model = CertainChatModel(script=lambda _shown: reply, stated=stated, least=least)
    return verified(library, home, model, ScriptedVerifier(odds))


def verified(
    library: Library, home: Path, model: ScriptedChatModel, verifier: ScriptedVerifier
) -> Service:
    """Build a service whose reader was trained."""
    reader = PlainReader("scripted", model, TRAINED)
    return build_service(Settings(home=home), library=library, reader=reader, verifier=verifier)


def test_a_trained_reader_is_sure_by_its_own_tokens(seed_library: Library, tmp_path: Path) -> None:
    service = trained(seed_library, tmp_path, "€50 billion ($53.5 billion)", (0.999, 0.9))
    sure = given(service, explain=True)
    assert sure.answered
    assert sure.features["stated"] == pytest.approx(math.log(0.999 / 0.001), abs=0.01)
    assert sure.features["least"] == pytest.approx(math.log(0.9))
    assert "check" not in sure.features
    service = trained(seed_library, tmp_path, "€50 billion ($53.5 billion)", (0.6, 0.01), -3.0)
    doubted = given(service)
    assert doubted.refusal is not None
    assert doubted.refusal.code is RefusalCode.UNCERTAIN
    assert doubted.confidence < sure.confidence


def test_an_answer_that_the_verifier_does_not_find_is_refused(
    seed_library: Library, tmp_path: Path
) -> None:
    answers = [
        given(
            trained(seed_library, tmp_path, "€50 billion ($53.5 billion)", (0.9, 0.8), odds),
            explain=True,
        )
        for odds in (6.0, -9.0)
    ]
    assert [told.answered for told in answers] == [True, False]
    assert [told.features["answerable"] for told in answers] == [6.0, -9.0]


def test_a_trained_reader_is_shown_what_the_verifier_finds_relevant(
    seed_library: Library, tmp_path: Path
) -> None:
    model = CertainChatModel(script=lambda _shown: "€50 billion ($53.5 billion)", stated=0.99)
    verifier = ScriptedVerifier(relevant=lambda text: 4.0 if "billion" in text else -len(text))
    service = verified(seed_library, tmp_path, model, verifier)
    told = given(service)
    assert told.answered
    assert all("billion" in e.text for e in told.evidence)
    assert [e.number for e in told.evidence] == list(range(1, len(told.evidence) + 1))
    lines = [f"[{e.number}] {flatten(e.text)}" for e in told.evidence]
    assert model.asked == ["\n".join(lines) + f"\n\nQuestion: {INVEST}"]


@pytest.mark.parametrize(
    ("phrases", "whole"),
    [
        (("plans to invest €50 billion",), "plans to invest €50 billion"),
        (("€50 billion in ships", "invest €50 billion"), "invest €50 billion"),
        ((), "€50 billion"),
    ],
)
def test_a_phrase_is_completed_from_the_sentences_that_are_shown(
    seed_library: Library, tmp_path: Path, phrases: tuple[str, ...], whole: str
) -> None:
    model = CertainChatModel(script=lambda _shown: "€50 billion", stated=0.99)
    service = verified(seed_library, tmp_path, model, ScriptedVerifier(phrases=phrases))
    told = given(service)
    assert told.text == whole
    assert all(whole in c.quote for c in told.citations)


def test_the_token_chances_of_a_model_that_was_not_trained_decide_nothing(
    seed_library: Library, tmp_path: Path
) -> None:
    model = CertainChatModel(script=lambda _shown: "€50 billion ($53.5 billion)", stated=0.01)
    reader = PlainReader("scripted", model, SMALL)
    service = build_service(Settings(home=tmp_path), library=seed_library, reader=reader)
    told = given(service, explain=True)
    assert told.answered
    assert "stated" not in told.features


def test_a_reader_that_tells_its_certainty_is_not_asked_again(
    seed_library: Library, tmp_path: Path
) -> None:
    model = CertainChatModel(script=lambda _shown: "€50 billion ($53.5 billion)", stated=0.9)
    reader = CheckedReader("scripted", model, TRAINED)
    object.__setattr__(reader, "odds", 3.0)
    object.__setattr__(reader, "seen", [])
    service = build_service(
        Settings(home=tmp_path), library=seed_library, reader=reader, verifier=ScriptedVerifier(0.0)
    )
    told = given(service, explain=True)
    assert reader.seen == []
    assert not {"check", "similarity"} & told.features.keys()


def test_what_a_trained_reader_was_pressed_to_say_is_shown_only_when_it_is_believed(
    seed_library: Library, tmp_path: Path
) -> None:
    service = trained(seed_library, tmp_path, "€50 billion ($53.5 billion)", (0.01, 0.2), -3.0)

    async def stream(risk: Risk) -> list[Event]:
        asked = Ask(INVEST, "default", risk=risk)
        return [e async for events in service.chain.astream(asked) for e in events]

    refused = asyncio.run(stream("strict"))
    assert shown_text(refused) == ""
    told = last_answer(refused)
    assert told.refusal is not None
    assert told.refusal.code is RefusalCode.NOT_STATED
    assert told.confidence > 0
    given_all_the_same = asyncio.run(stream("open"))
    assert shown_text(given_all_the_same) == last_answer(given_all_the_same).text != ""


def test_what_the_verifier_doubts_is_shown_only_when_it_is_believed(
    seed_library: Library, tmp_path: Path
) -> None:
    for odds in (-1.0, 1.0):
        service = trained(seed_library, tmp_path, "€50 billion ($53.5 billion)", (0.99, 0.9), odds)

        async def stream(service: Service = service) -> list[Event]:
            asked = Ask(INVEST, "default", risk="open")
            return [e async for events in service.chain.astream(asked) for e in events]

        events = asyncio.run(stream())
        pieces = [e for e in events if isinstance(e, Token)]
        assert shown_text(events) == last_answer(events).text != ""
        assert (len(pieces) == 1) == (odds < 0)


def explained(
    library: Library, home: Path, reply: str, relevant: Callable[[str], float]
) -> list[Event]:
    """Ask a service whose reader replies with numbers, at the open risk."""
    model = CertainChatModel(script=lambda _shown: reply, stated=0.999, least=0.9)
    service = verified(library, home, model, ScriptedVerifier(relevant=relevant))

    async def stream() -> list[Event]:
        asked = Ask(INVEST, "default", risk="open", explain=True)
        return [e async for events in service.chain.astream(asked) for e in events]

    return asyncio.run(stream())


def test_sentences_that_a_trained_reader_names_are_told_and_cited_whole(
    seed_library: Library, tmp_path: Path
) -> None:
    events = explained(seed_library, tmp_path, "[2] [3]", lambda _text: 1.0)
    told = last_answer(events)
    assert told.answered
    assert told.text == shown_text(events)
    assert told.features["similarity"] == max(hit.similarity for hit in told.passages)
    assert told.features["whole"] == ScriptedVerifier().odds
    assert len(told.citations) >= 2
    named = {(e.document_id, e.start) for e in told.evidence if e.number in (2, 3)}
    assert named <= {(c.document_id, c.start) for c in told.citations}
    for citation in told.citations:
        claim = told.text[citation.answer_start : citation.answer_end]
        assert claim == " ".join(citation.quote.split())


def test_of_the_passages_that_a_reader_names_the_sentences_are_quoted_that_explain(
    seed_library: Library, tmp_path: Path
) -> None:
    def explains(text: str) -> float:
        return 4.0 if "three years" in text else -6.0

    told = last_answer(explained(seed_library, tmp_path, "[1]", explains))
    plain = last_answer(explained(seed_library, tmp_path, "[1]", lambda _text: 4.0))
    (passage,) = (
        hit.passage for hit in told.passages if hit.passage.text.count(plain.citations[0].quote)
    )
    assert len(plain.citations) > 1
    assert all(passage.start <= c.start < c.end <= passage.end for c in plain.citations)
    assert told.text != plain.text
    assert all(c.quote == passage.slice(Span(c.start, c.end)) for c in told.citations)
    assert len({e.number for e in plain.evidence}) == len(plain.evidence)
    assert {(c.start, c.end) for c in plain.citations} <= {(e.start, e.end) for e in plain.evidence}


HERALD = "The Halden Bridge cost 24 million crowns."
GAZETTE = "The Halden Bridge cost 31 million crowns in all."


def ask_two_papers(
    tmp_path: Path, odds: float, *, second: str = GAZETTE
) -> tuple[list[Event], dict[str, str]]:
    """Ask what the bridge cost of two documents; the model reads the first sum that it is shown."""

    def read(shown: str) -> str:
        sums = re.findall(r"cost (\d+ million crowns)", shown.rsplit("Question:", 1)[0])
        return sums[0] if sums else "NOT STATED"

    reader = CheckedReader("scripted", ScriptedChatModel(script=read), SMALL)
    object.__setattr__(reader, "odds", odds)
    object.__setattr__(reader, "seen", [])
    texts = {"herald": HERALD, "gazette": second}
    with Library(tmp_path / "papers", HashingEmbedder()) as library:
        for name, text in texts.items():
            library.ingest(Upload(text.encode(), f"{name}.txt"))
        service = build_service(Settings(home=tmp_path), library=library, reader=reader)

        async def stream() -> list[Event]:
            asked = Ask("What did the Halden Bridge cost?", "default")
            return [e async for events in service.chain.astream(asked) for e in events]

        return asyncio.run(stream()), texts


def test_two_documents_that_disagree_are_both_told_and_cited(tmp_path: Path) -> None:
    events, texts = ask_two_papers(tmp_path, 20.0)
    told = last_answer(events)
    assert told.disagreement
    assert told.text == shown_text(events)
    assert sorted(re.findall(r"\d+ million", told.text)) == ["24 million", "31 million"]
    assert "Another document says:" in told.text
    assert {c.title for c in told.citations} == {"herald", "gazette"}
    for citation in told.citations:
        assert texts[citation.title][citation.start : citation.end] == citation.quote
        claim = told.text[citation.answer_start : citation.answer_end]
        assert claim in citation.quote


def test_documents_that_agree_are_told_once(tmp_path: Path) -> None:
    told = last_answer(ask_two_papers(tmp_path, 20.0, second=f"As known: {HERALD}")[0])
    assert told.answered
    assert not told.disagreement
    assert len(told.citations) == 1


def test_what_the_reader_doubts_is_no_disagreement(tmp_path: Path) -> None:
    told = last_answer(ask_two_papers(tmp_path, -20.0)[0])
    assert not told.answered
    assert not told.disagreement


def test_a_trained_reader_may_name_sentences_of_the_other_document_too(tmp_path: Path) -> None:
    model = CertainChatModel(
        script=lambda shown: "24 million crowns" if "24 million" in shown else "[2]", stated=0.999
    )
    with Library(tmp_path / "papers", HashingEmbedder()) as library:
        for name, text in (("herald", HERALD), ("gazette", GAZETTE)):
            library.ingest(Upload(text.encode(), f"{name}.txt"))
        service = verified(library, tmp_path, model, ScriptedVerifier(near=0.9))
        told = asyncio.run(
            answer(service.chain, Ask("What did the Halden Bridge cost?", "default"))
        )
    assert told.answered
    assert told.disagreement
    assert {c.title for c in told.citations} == {"herald", "gazette"}


def test_another_document_is_quoted_as_the_reader_names_it(tmp_path: Path) -> None:
    """Its passage is read whole too, for the confidence, and nothing of it is quoted beside."""
    second = f"{GAZETTE} Steel rose in price that year. Nobody had foreseen what it would cost."
    model = CertainChatModel(
        script=lambda shown: "24 million crowns" if "24 million" in shown else "[2]", stated=0.999
    )
    with Library(tmp_path / "papers", HashingEmbedder()) as library:
        for name, text in (("herald", HERALD), ("gazette", second)):
            library.ingest(Upload(text.encode(), f"{name}.txt"))
        verifier = ScriptedVerifier(relevant=lambda _text: 4.0, near=0.9)
        service = verified(library, tmp_path, model, verifier)
        told = asyncio.run(
            answer(service.chain, Ask("What did the Halden Bridge cost?", "default"))
        )
    assert told.disagreement
    for citation in told.citations:
        claim = told.text[citation.answer_start : citation.answer_end]
        assert claim in citation.quote
    assert told.text.count("Steel") == 0


def test_passages_that_the_model_was_shown_nothing_of_are_counted(
    desk: Desks, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, evidence_sentences=1)
    told = last_answer(desk(PLAN, settings=settings).ask(INVEST))
    assert len(told.evidence) == 1
    assert told.passages_dropped == len(told.passages) - 1 > 0


CHINESE = (
    "阿里巴巴集团宣布将在未来三年内投资500亿欧元。马云会见了习近平。"
    "该公司没有说明这笔资金将如何分配！"
)


@pytest.mark.parametrize(
    ("question", "reply", "quote"),
    [
        ("阿里巴巴将投资多少？", "500亿欧元", "阿里巴巴集团宣布将在未来三年内投资500亿欧元。"),
        ("马云会见了谁？", "习近平", "马云会见了习近平。"),
    ],
)
def test_a_text_without_spaces_is_searched_read_and_cited(
    tmp_path: Path, question: str, reply: str, quote: str
) -> None:
    reader = PlainReader("scripted", ScriptedChatModel(script=lambda _shown: reply), SMALL)
    with Library(tmp_path / "zh", HashingEmbedder()) as library:
        library.ingest(Upload(CHINESE.encode(), "zh.txt"))
        library.ingest(Upload("腾讯没有宣布任何计划。".encode(), "other.txt"))
        service = build_service(Settings(home=tmp_path), library=library, reader=reader)
        told = asyncio.run(answer(service.chain, Ask(question, "default")))
    assert told.answered, told.refusal
    (citation,) = told.citations
    assert citation.quote == quote
    assert CHINESE[citation.start : citation.end] == quote
    assert told.passages[0].keyword_rank == 1


def test_what_a_text_without_spaces_does_not_say_is_refused(tmp_path: Path) -> None:
    reader = PlainReader("scripted", ScriptedChatModel(script=lambda _shown: "华为"), SMALL)
    with Library(tmp_path / "zh", HashingEmbedder()) as library:
        library.ingest(Upload(CHINESE.encode(), "zh.txt"))
        service = build_service(Settings(home=tmp_path), library=library, reader=reader)
        told = asyncio.run(answer(service.chain, Ask("马云会见了谁？", "default")))
    assert told.refusal is not None
    assert told.refusal.code is RefusalCode.UNSUPPORTED_ANSWER
