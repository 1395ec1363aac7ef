"""What a model wrote -> a verified answer with its citations, or a refusal. Pure, but for time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from index.types import Hit
from qa.citations import (
    MARKER,
    Claim,
    Parsed,
    cite,
    complete,
    ground,
    grow,
    parse_markers,
    quote_whole,
    split_stream,
)
from qa.confidence import Features, estimate, measure, threshold
from qa.disagreement import join
from qa.prompts import NOT_STATED, says_not_stated
from qa.types import (
    Answer,
    Ask,
    Assent,
    Certainty,
    Cited,
    Ended,
    Event,
    Evidence,
    Refusal,
    RefusalCode,
    Refused,
    Timings,
    Usage,
)
from qa.verifier import Verdict
from qa.verify import check_answer

NOT_SAID = Refusal(RefusalCode.NOT_STATED, "The documents found do not say.")
UNSURE = Refusal(RefusalCode.UNCERTAIN, "No passage found clearly answers this.")


@dataclass(frozen=True, slots=True)
class Word:
    """What a reader says of its own answer: by its tokens' chances, or in a second look."""

    certainty: Certainty | None = None
    assent: Assent | None = None

    def __bool__(self) -> bool:
        """Say whether it says anything of the answer."""
        return self.certainty is not None or self.assent is not None

    @property
    def pressed(self) -> bool:
        """Whether the reader would rather have said that nothing is stated."""
        return self.certainty is not None and self.certainty.stated <= 0


@dataclass(frozen=True, slots=True)
class Turn:
    """A question on its way through the chain; `began` and `found` are `perf_counter` seconds.

    `verdict` is what a verifier makes of the question and the evidence. `quotes` are the numbers of
    the sentences to quote in the place of those that a reader named, where it named any.
    """

    ask: Ask
    began: float
    question: str
    hits: tuple[Hit, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    verdict: Verdict | None = None
    quotes: tuple[int, ...] = ()
    refusal: Refusal | None = None
    found: float = 0.0

    @property
    def typed(self) -> str:
        """What was asked, before any rewriting."""
        return self.ask.question.strip()

    @property
    def doubted(self) -> bool:
        """Whether a verifier would rather say that there is no answer."""
        return self.verdict is not None and self.verdict.answerable <= 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply as far as its words alone tell: its claims, tied to evidence, or why it is none.

    `quoted` says that the reply was numbers of sentences, and its text is those sentences.
    """

    parsed: Parsed
    claims: tuple[Claim, ...]
    refusal: Refusal | None
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Rival:
    """Another answer, read in other documents than those that the first one cites.

    `turn` is the question with the sentences of those documents alone.
    """

    drafted: Draft
    turn: Turn
    word: Word


class Shown:
    """What of a model's text may be shown while it is still being written.

    Markers are taken out, and nothing is shown that may yet turn out to be the refusal's words, or
    that is doubted: that waits for its confidence.
    """

    def __init__(self) -> None:
        self.raw = ""
        self.first: float | None = None
        self.usage: Usage | None = None
        self.word = Word()
        self.doubted = False
        """Whether a verifier doubts that there is an answer."""
        self.rival: Rival | None = None
        self.sent = ""
        self._held = ""

    def add(self, piece: str) -> str:
        """Take the next piece of the model's text; give what can be shown now."""
        self.raw += piece
        if self.first is None and self.raw.strip():
            self.first = time.perf_counter()
        if self.doubted or self.word.pressed:
            return ""
        self._held += piece
        begun = self.raw.lstrip().upper()
        if NOT_STATED.startswith(begun) or begun.startswith(NOT_STATED):
            return ""
        text, self._held = split_stream(self._held)
        return self._send(text)

    def take(self, told: Usage | Certainty | Assent | Rival) -> None:
        """Take what a model used, a word on its answer, or what other documents say."""
        if isinstance(told, Usage):
            self._count(told)
        elif isinstance(told, Assent):
            self.word = replace(self.word, assent=told)
            self._count(told.usage)
        elif isinstance(told, Certainty):
            self.word = replace(self.word, certainty=told)
        else:
            self.rival = told

    def finish(self) -> str:
        """Give what was still held back, where it turned out to be text."""
        rest, self._held = self._held, ""
        if says_not_stated(self.raw) or self.doubted or self.word.pressed:
            return ""
        return self._send(MARKER.sub("", rest)).rstrip()

    def _count(self, usage: Usage | None) -> None:
        # Some providers tell it in parts, and a second look is a call of its own.
        if usage is not None:
            before = self.usage or Usage(0, 0)
            self.usage = Usage(
                before.input_tokens + usage.input_tokens, before.output_tokens + usage.output_tokens
            )

    def _send(self, text: str) -> str:
        fresh = text if self.sent else text.lstrip()
        self.sent += fresh
        return fresh


def draft(turn: Turn, raw: str) -> Draft:
    """Resolve the markers of a model's text and verify it, without asking anybody."""
    reply = complete(raw.strip(), turn.evidence)
    if turn.verdict is not None:
        reply = grow(reply, turn.verdict.phrases)
    whole = quote_whole(reply, turn.evidence, turn.quotes)
    parsed = whole or parse_markers(reply, len(turn.evidence))
    claims = ground(parsed, turn.question, turn.evidence)
    refusal = turn.refusal
    if refusal is None and says_not_stated(parsed.text):
        refusal = NOT_SAID
    if refusal is None:
        refusal = check_answer(turn.question, parsed.text, claims, turn.evidence)
    return Draft(parsed, claims, refusal, quoted=whole is not None)


def conclude(turn: Turn, shown: Shown, model: str, least: float) -> tuple[Event, ...]:
    """Resolve, verify, and give the stream's last events.

    `least` is the confidence that an answer needs where the reader could be asked about it.
    """
    drafted = draft(turn, shown.raw)
    parsed, claims, refusal = drafted.parsed, drafted.claims, drafted.refusal
    features: Features = {}
    confidence = 0.0
    disagreement = False
    if refusal is None:
        features = weigh(turn, drafted, shown.word)
        confidence = estimate(features)
        if shown.word and confidence < least:
            refusal = NOT_SAID if shown.word.pressed else UNSURE
    rival = shown.rival
    if refusal is None and rival is not None and _is_sure(rival, least):
        parsed, claims = join(parsed, claims, rival.drafted.parsed, rival.drafted.claims)
        disagreement = True
    citations = () if refusal else cite(parsed.text, claims, turn.evidence)
    answer = Answer(
        question=turn.question,
        answered=refusal is None,
        text="" if refusal else parsed.text,
        refusal=refusal,
        citations=citations,
        passages=turn.hits,
        model=model,
        timings=_time(turn, shown),
        evidence=turn.evidence,
        dropped_markers=parsed.dropped,
        confidence=confidence,
        usage=shown.usage,
        features=features if turn.ask.explain else {},
        disagreement=disagreement,
        passages_dropped=_count_unread(turn),
    )
    if refusal:
        return (Refused(answer),)
    return (*(Cited(c) for c in citations), Ended(answer))


def _is_sure(rival: Rival, least: float) -> bool:
    confidence = estimate(weigh(rival.turn, rival.drafted, rival.word))
    return confidence >= max(least, threshold("strict"))


def weigh(turn: Turn, drafted: Draft, word: Word) -> Features:
    """Give what the confidence of a draft's claims is estimated from."""
    features = measure(turn.question, turn.evidence, drafted.claims)
    if word.certainty is not None:
        features |= {"stated": word.certainty.stated, "least": word.certainty.least}
        if drafted.quoted:
            features |= {"similarity": max((hit.similarity for hit in turn.hits), default=0.0)}
    if word.assent is not None:
        features |= {"check": word.assent.log_odds}
    if turn.verdict is not None:
        features |= {"answerable": turn.verdict.answerable}
        if turn.verdict.near is not None:
            features |= {"near": turn.verdict.near}
        if turn.verdict.whole is not None:
            features |= {"whole": turn.verdict.whole}
    return features


def passages_cited(turn: Turn, drafted: Draft) -> list[Hit]:
    """Give the passages that the sentences of a reply are from, in the order of the evidence."""
    cited = {n for claim in drafted.claims for n in claim.numbers}
    sources = [_find_hit(turn.hits, e) for e in turn.evidence if e.number in cited]
    return list({hit.passage.id: hit for hit in sources if hit is not None}.values())


def _find_hit(hits: Sequence[Hit], e: Evidence) -> Hit | None:
    return next((hit for hit in hits if _holds(hit, e.document_id, e.start)), None)


def _holds(hit: Hit, document_id: str, start: int) -> bool:
    passage = hit.passage
    return document_id == passage.document_id and passage.start <= start < passage.end


def _count_unread(turn: Turn) -> int:
    """Count the passages found of which the model was shown nothing."""
    shown = {(e.document_id, e.start) for e in turn.evidence}
    return sum(not any(_holds(hit, *place) for place in shown) for hit in turn.hits)


def _time(turn: Turn, shown: Shown) -> Timings:
    now = time.perf_counter()
    return Timings(
        retrieve=turn.found - turn.began,
        read=now - turn.found,
        total=now - turn.began,
        first_token=None if shown.first is None else shown.first - turn.began,
    )
