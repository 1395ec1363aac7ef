"""The retrieval chain, one LangChain runnable that streams events.

`rewrite | retrieve | choose | read | prove`: each step takes what the one before it gives, and
`read` lets a verifier read first, where there is one. The chain is asynchronous and is streamed
with `astream`, which gives tuples of events, or run whole with `ainvoke`, which gives all of them
in one tuple; the last event holds the `Answer`. `ainvoke` runs one step after the other, so only
`astream`, and `answer` over it, time the first token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from index.types import Hit
from qa.conclusion import Draft, Rival, Shown, Turn, Word, conclude, draft, passages_cited, weigh
from qa.confidence import estimate, threshold
from qa.conversation import stand_alone, stands_alone
from qa.disagreement import differ, find_others
from qa.errors import (
    EmptyQuestionError,
    ModelError,
    ModelUnavailableError,
    QuestionTooLongError,
)
from qa.evidence import narrow, renumber, select, whole_passages
from qa.explanation import Judged, choose
from qa.gate import Gate
from qa.models import Reader, TokenChances
from qa.prompts import check_messages, cited_messages, flatten, quote_messages, trained_messages
from qa.question import read_question
from qa.retriever import read_hits
from qa.types import (
    Answer,
    Ask,
    Assent,
    Certainty,
    Cited,
    Ended,
    Event,
    Refusal,
    RefusalCode,
    Refused,
    Risk,
    Started,
    Token,
    Usage,
)
from qa.verifier import WIDE, Reach, Verifier
from qa.verify import check_question
from qa.words import visible

Retrievers: TypeAlias = Callable[[str, tuple[str, ...]], BaseRetriever]
"""Given a collection's name and other wordings of the question, a retriever."""
Piece: TypeAlias = Turn | str | Usage | Certainty | Assent | Rival
Pieces: TypeAlias = tuple[Piece, ...]
"""What is streamed in reading: the turn, and again when it is verified, the model's text, its
usage, its own word on the answer, and another answer that other documents give.

Tuples add up for `ainvoke`.
"""
BUILDERS = {"quotes": quote_messages, "trained": trained_messages, "cited": cited_messages}
Chain: TypeAlias = Runnable[Ask, tuple[Event, ...]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a question (`characters`) and of its evidence; None leaves it to the model's.

    `risk` is what a question accepts that does not say.
    """

    question_characters: int = 2000
    evidence_sentences: int | None = None
    evidence_characters: int | None = None
    risk: Risk | float = "balanced"


def build_chain(  # noqa: C901  it only holds the five steps, which share its arguments
    retrievers: Retrievers,
    reader: Reader,
    gate: Gate,
    limits: Limits | None = None,
    verifier: Verifier | None = None,
) -> Chain:
    """Compose the chain. Its errors are `BadInputError`, `NotFoundError` and `ModelError`."""
    bounds = limits or Limits()

    def least_of(turn: Turn) -> float:
        return threshold(bounds.risk if turn.ask.risk is None else turn.ask.risk)

    def reach_of() -> Reach:
        profile = reader.profile
        return Reach(
            bounds.evidence_sentences or profile.sentences,
            bounds.evidence_characters or profile.characters,
            profile.worth,
        )

    async def rewrite(ask: Ask) -> Turn:
        began = time.perf_counter()
        question = check_length(ask.question, bounds.question_characters)
        if reader.profile.style != "cited":
            question = read_question(question)
        if ask.history and not stands_alone(question):
            async with gate.enter():
                question = await _rewrite(question, ask, reader)
        return Turn(ask, began, question)

    async def retrieve(turn: Turn) -> Turn:
        # A rewriting can go wrong; what was typed is looked up beside it, but for orders.
        asked = read_question(turn.typed)
        beside = () if turn.question in (turn.typed, asked) else (asked,)
        documents = await retrievers(turn.ask.collection, beside).ainvoke(turn.question)
        hits = tuple(read_hits(documents))
        return replace(turn, hits=hits, found=time.perf_counter())

    def choose(turn: Turn) -> Turn:
        reach = WIDE if verifier is not None else reach_of()
        evidence = select(
            turn.hits,
            sentences=reach.sentences,
            characters=reach.characters,
            worth=reach.worth,
        )
        return replace(turn, evidence=evidence, refusal=refuse_early(turn.question, turn.hits))

    async def read(turns: AsyncIterator[Turn]) -> AsyncIterator[Pieces]:
        async for turn in turns:
            yield (turn,)
            if turn.refusal is None:
                async with gate.enter():
                    narrowed = turn
                    if verifier is not None:
                        narrowed = await asyncio.to_thread(
                            narrow_evidence, turn, verifier, reach_of()
                        )
                        yield (narrowed,)
                    async for piece in _read_all(narrowed, reader, verifier, least_of(turn)):
                        yield (piece,)

    async def prove(groups: AsyncIterator[Pieces]) -> AsyncIterator[tuple[Event, ...]]:
        turn: Turn | None = None
        shown = Shown()
        async for piece in _flatten(groups):
            if isinstance(piece, Turn):
                if turn is None:
                    yield (Started(piece.question, reader.name, piece.question != piece.typed),)
                turn, shown.doubted = piece, piece.doubted
            elif isinstance(piece, Usage | Certainty | Assent | Rival):
                shown.take(piece)
            elif text := shown.add(piece):
                yield (Token(text),)
        if turn is None:
            return
        if turn.refusal is None and (rest := shown.finish()):
            yield (Token(rest),)
        concluded = conclude(turn, shown, reader.name, least_of(turn))
        # Sentences that were named by their numbers, or another document's answer.
        if rest := _find_unsent(answer_of(concluded), shown.sent):
            yield (Token(rest),)
        yield concluded

    return (
        RunnableLambda(rewrite, name="rewrite")
        | RunnableLambda(retrieve, name="retrieve")
        | RunnableLambda(choose, name="choose")
        | RunnableGenerator(read, name="read")
        | RunnableGenerator(prove, name="prove")
    )


def check_length(question: str, most: int) -> str:
    """Give the question without white space around it.

    Raises `EmptyQuestionError` or `QuestionTooLongError`.
    """
    stripped = question.strip()
    if not any(c.isalnum() for c in stripped):
        raise EmptyQuestionError("The question is empty.")
    if len(stripped) > most:
        raise QuestionTooLongError(
            f"The question has {len(stripped):,} characters; the limit is {most:,}."
        )
    return stripped


def refuse_early(question: str, hits: tuple[Hit, ...]) -> Refusal | None:
    """Refuse what no reading could answer."""
    if not hits:
        return Refusal(RefusalCode.NOTHING_INDEXED, "There are no documents here yet.")
    return check_question(question, hits)


def tell(known: Answer, ask: Ask) -> Iterator[tuple[Event, ...]]:
    """Give the events of an answer that is known, as if it were new; `ask` is what was asked."""
    rewritten = known.question != ask.question.strip()
    yield (Started(known.question, known.model, rewritten),)
    if known.answered:
        yield (Token(known.text),)
        yield (*(Cited(c) for c in known.citations), Ended(known))
    else:
        yield (Refused(known),)


def answer_of(events: tuple[Event, ...]) -> Answer:
    """Give the answer that a chain's events end with."""
    last = events[-1]
    if isinstance(last, Ended | Refused):
        return last.answer
    raise ValueError("The events do not end with an answer.")


async def answer(chain: Chain, ask: Ask) -> Answer:
    """Ask, and give the answer that the events end with."""
    events: tuple[Event, ...] = ()
    async for group in chain.astream(ask):
        events = group or events
    return answer_of(events)


def _find_unsent(told: Answer, sent: str) -> str:
    return told.text[len(sent) :] if told.text.startswith(sent) else ""


async def _flatten(groups: AsyncIterator[Pieces]) -> AsyncIterator[Piece]:
    async for group in groups:
        for piece in group:
            yield piece


async def _read_all(
    turn: Turn, reader: Reader, verifier: Verifier | None, least: float
) -> AsyncIterator[Piece]:
    """Read, look at the answer again, and look for another one in other documents."""
    raw = ""
    word = Word()
    async for piece in _read(turn, reader):
        raw += piece if isinstance(piece, str) else ""
        word = replace(word, certainty=piece) if isinstance(piece, Certainty) else word
        yield piece
    drafted = draft(turn, raw)
    if verifier is not None and drafted.quoted and drafted.refusal is None:
        turn = await _explain(turn, drafted, verifier)
        drafted = draft(turn, raw)
        yield turn
    if assent := await _check(drafted, word, turn, reader):
        yield assent
        word = replace(word, assent=assent)
    if word and _is_worth_others(drafted, turn, word, least):
        async for found in _read_others(drafted, turn, reader, verifier):
            yield found


async def _read(turn: Turn, reader: Reader) -> AsyncIterator[str | Usage | Certainty]:
    build = BUILDERS[reader.profile.style]
    chances = TokenChances()
    # Another model's chances are told on another scale than the one that the weights are for.
    is_trained = reader.profile.style == "trained"
    with _translated(reader.name):
        model = await reader.answering()
        async for chunk in model.astream(build(turn.question, turn.evidence)):
            chances.add(chunk.response_metadata)
            # Before the text, because it decides whether the text may be shown already.
            if is_trained and (certainty := chances.weigh()):
                yield certainty
            yield visible(str(chunk.text))
            if told := chunk.usage_metadata:
                yield Usage(told["input_tokens"], told["output_tokens"])


def narrow_evidence(turn: Turn, verifier: Verifier, reach: Reach) -> Turn:
    """Let a verifier read the evidence, and leave of it what is worth a reader's time."""
    verdict = verifier.verify(turn.question, turn.evidence)
    kept = narrow(
        turn.evidence,
        verdict.relevant,
        sentences=reach.sentences,
        characters=reach.characters,
    )
    evidence = renumber([turn.evidence[place] for place in kept])
    shown = [flatten(e.text) for e in evidence]
    seen = replace(
        verdict,
        relevant=tuple(verdict.relevant[place] for place in kept),
        phrases=tuple(p for p in verdict.phrases if any(p in text for text in shown)),
    )
    return replace(turn, evidence=evidence, verdict=seen)


def judge_passages(turn: Turn, drafted: Draft, verifier: Verifier) -> list[Judged]:
    """Let a verifier judge the passages that whole sentences are from; a tenth of a second each."""
    hits = passages_cited(turn, drafted)
    judged = []
    for hit, sentences in zip(hits, whole_passages(turn.evidence, hits), strict=True):
        told = verifier.explain(turn.question, hit.passage.title, sentences)
        judged.append(Judged(sentences, told.relevant, told.answerable))
    return judged


async def _reread(turn: Turn, drafted: Draft, verifier: Verifier) -> tuple[Turn, Sequence[Judged]]:
    """Let a verifier read the passages whole of which a reader named sentences."""
    hits = passages_cited(turn, drafted)
    if turn.verdict is None or not hits:
        return turn, ()
    texts = [f"{hit.passage.title}. {hit.passage.text}" for hit in hits]
    near = await asyncio.to_thread(verifier.compare, turn.question, texts)
    judged = await asyncio.to_thread(judge_passages, turn, drafted, verifier)
    whole = max(passage.answerable for passage in judged)
    return replace(turn, verdict=replace(turn.verdict, near=near, whole=whole)), judged


async def _explain(turn: Turn, drafted: Draft, verifier: Verifier) -> Turn:
    """Choose which sentences to quote, of all of the passages of which a reader named some."""
    turn, judged = await _reread(turn, drafted, verifier)
    if not judged:
        return turn
    chosen = choose(judged, frozenset(n for claim in drafted.claims for n in claim.numbers))
    added = [e for e in chosen if e.number > len(turn.evidence)]
    return replace(
        turn,
        evidence=(*turn.evidence, *added),
        quotes=tuple(e.number for e in chosen),
    )


async def _check(drafted: Draft, word: Word, turn: Turn, reader: Reader) -> Assent | None:
    """Ask the reader whether the cited sentences say its answer, where it tells no certainty."""
    if drafted.refusal is not None or word.certainty is not None:
        return None  # what tells its certainty has nothing to add to it (docs/decisions/0019)
    cited = {n for claim in drafted.claims for n in claim.numbers}
    quotes = [e.text for e in turn.evidence if e.number in cited]
    with _translated(reader.name):
        asked = check_messages(quotes, turn.question, drafted.parsed.text)
        return await reader.assent(asked)


def _is_worth_others(drafted: Draft, turn: Turn, word: Word, least: float) -> bool:
    return drafted.refusal is None and estimate(weigh(turn, drafted, word)) >= least


async def _read_others(
    drafted: Draft, turn: Turn, reader: Reader, verifier: Verifier | None
) -> AsyncIterator[Usage | Rival]:
    """Read what documents say that the answer does not cite, where that is worth the time."""
    others = find_others(turn.evidence, drafted.claims)
    if not others:
        return
    beside = replace(turn, evidence=others, verdict=None, quotes=())
    raw = ""
    word = Word()
    async for piece in _read(beside, reader):
        if isinstance(piece, Usage):
            yield piece
        elif isinstance(piece, Certainty):
            word = Word(piece)
        else:
            raw += piece
    other = draft(beside, raw)
    if other.refusal is None and differ(drafted.parsed.text, other.parsed.text):
        if verifier is not None:
            told = await asyncio.to_thread(verifier.verify, beside.question, beside.evidence)
            beside = replace(beside, verdict=told)
            if other.quoted:
                beside, _ = await _reread(beside, other, verifier)
        assent = await _check(other, word, beside, reader)
        if assent is not None and assent.usage is not None:
            yield assent.usage
        yield Rival(other, beside, replace(word, assent=assent))


async def _rewrite(question: str, ask: Ask, reader: Reader) -> str:
    with _translated(reader.name):
        return await stand_alone(question, ask.history, await reader.chat())


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # every provider raises its own tree; this is where they meet ours
        message = f"{name} broke off: {type(error).__name__}: {error}"
        raise ModelUnavailableError(message) from error
