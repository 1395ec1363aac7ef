"""The nouns of an answer. All are frozen; offsets count Unicode code points, half-open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from index.types import Hit

Risk: TypeAlias = Literal["strict", "balanced", "open"]
Style: TypeAlias = Literal["quotes", "trained", "cited"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question as it arrived. `history` holds the conversation so far, oldest first.

    `fresh` asks for a new answer, also where one is known. `risk` is the one that is accepted, a
    name or the chance to be wrong, 0 to 1; None leaves it to the setting. `explain` asks for what
    the confidence was estimated from.
    """

    question: str
    collection: str
    history: tuple[Exchange, ...] = ()
    fresh: bool = False
    risk: Risk | float | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question and what was answered."""

    question: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence shown to the model: `text` is the source's own, `number` counts from 1.

    `chance` is the search's: of all sentences that it found, that this is the one.
    """

    number: int
    document_id: str
    title: str
    start: int
    end: int
    text: str
    section: str | None = None
    page: int | None = None
    chance: float = 0.0


@dataclass(frozen=True, slots=True)
class Citation:
    """A span of a source that carries a span of the answer.

    `document.text[start:end] == quote`, always; `answer[answer_start:answer_end]` is the claim.
    """

    marker: int
    document_id: str
    title: str
    quote: str
    start: int
    end: int
    page: int | None
    section: str | None
    answer_start: int
    answer_end: int

    @property
    def url(self) -> str:
        """The view of the source with this span highlighted, relative to the service."""
        return f"/documents/{self.document_id}/view#{self.start}-{self.end}"


class RefusalCode(StrEnum):
    """Why there is no answer."""

    NOTHING_INDEXED = "nothing_indexed"
    NAME_NOT_IN_EVIDENCE = "name_not_in_evidence"
    NUMBER_NOT_IN_EVIDENCE = "number_not_in_evidence"
    NOT_STATED = "not_stated"
    UNSUPPORTED_NUMBER = "unsupported_number"
    UNSUPPORTED_NAME = "unsupported_name"
    UNSUPPORTED_ANSWER = "unsupported_answer"
    CONTRADICTED = "contradicted"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason for people (`message`) and for programs (`code`, and the `terms` it turned on)."""

    code: RefusalCode
    message: str
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds, by step; `first_token` counts from the question's arrival, None where none came."""

    retrieve: float = 0.0
    read: float = 0.0
    total: float = 0.0
    first_token: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the model says it read and wrote for one answer."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Assent:
    """ln(P(yes) / P(no)) of a reply, and what it took to ask."""

    log_odds: float
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Certainty:
    """What a trained reader's own token chances say of its reply.

    `stated`: ln of the odds, at the first token, that the sentences say it and not NOT STATED.
    `least`: ln of the chance of the least likely token of the reply.
    """

    stated: float
    least: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a question: an answer with its citations, or a refusal with its reason.

    `passages` are the nearest ones either way. `dropped_markers` counts the model's markers that
    pointed at nothing. `confidence` is the chance, 0 to 1, that the answer is right, as fitted
    on public question sets; 0 for a refusal, but for one that is only not sure enough. `features`
    are what it was estimated from, where that was asked for. `usage` is None where a model does not
    tell. `disagreement` says that another document answers otherwise, and that the text tells both;
    `passages_dropped` counts the passages of which the model was shown nothing. `id` is what
    feedback names the answer by, None where nobody keeps it; `cached` says that it was known.
    """

    question: str
    answered: bool
    text: str
    refusal: Refusal | None
    citations: tuple[Citation, ...]
    passages: tuple[Hit, ...]
    model: str
    timings: Timings
    evidence: tuple[Evidence, ...] = ()
    dropped_markers: int = 0
    confidence: float = 0.0
    usage: Usage | None = None
    id: str | None = None
    cached: bool = False
    features: Mapping[str, float] = field(default_factory=dict)
    disagreement: bool = False
    passages_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """The stream begins; `question` is what is looked up, rewritten where a follow-up was asked."""

    question: str
    model: str
    rewritten: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """The next piece of the answer's text, not yet verified."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A verified citation."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Ended:
    """The verified answer; the last event."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Refused:
    """No answer; the last event. Tokens sent before it are withdrawn."""

    answer: Answer


Event: TypeAlias = Started | Token | Cited | Ended | Refused


@dataclass(frozen=True, slots=True)
class Profile:
    """How a model is best asked.

    `style` "quotes" asks for the shortest answer and leaves the markers to code, which is what a
    small model does best by itself; "trained" asks one that was trained for it, which replies with
    a phrase, with sentences' numbers, or that it is not stated, and tells its `Certainty`; "cited"
    asks for sentences with `[n]` markers. `sentences` and `characters` bound the evidence,
    `answer_tokens` the reply. `worth` is the least chance of being the one, for each 100 code
    points, that makes a sentence worth the time to read it.
    """

    style: Style
    sentences: int
    characters: int
    answer_tokens: int
    worth: float = 0.0


SMALL = Profile(style="quotes", sentences=5, characters=900, answer_tokens=64, worth=0.014)
TRAINED = Profile(style="trained", sentences=5, characters=900, answer_tokens=64, worth=0.014)
LARGE = Profile(style="cited", sentences=24, characters=6000, answer_tokens=500)
