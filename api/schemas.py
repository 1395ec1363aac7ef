"""What goes over the wire. Pydantic lives here and in the settings; inside are dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.feedback import Feedback, Rating
from api.widgets import DEFAULT_PER_MINUTE, Looks, Widget
from index.ingest import Ingested
from index.library import DEFAULT_COLLECTION
from index.types import DocumentRecord, Hit
from qa.types import Answer, Ask, Citation, Exchange


def _check_encodable(text: str) -> str:
    # JSON can spell half of a surrogate pair ("\\ud800"); it could not be sent back.
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("half of a surrogate pair is not a character")
    return text


Text: TypeAlias = Annotated[str, AfterValidator(_check_encodable)]


class Schema(BaseModel):
    """A body: unknown fields are an error, so that a typing mistake is not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExchangeBody(Schema):
    """An earlier question and its answer."""

    question: Text
    answer: Text = ""


class AskRequest(Schema):
    """A question, the collection to ask, and the conversation before it, oldest first.

    `fresh` asks for a new answer where one is known: the same question of the same documents.
    `risk` is the one that is accepted, by name or as the chance to be wrong, 0 to 1. `explain` asks
    what the confidence was estimated from.
    """

    question: Annotated[Text, Field(examples=["how much will Alibaba invest?"])]
    collection: str = DEFAULT_COLLECTION
    history: list[ExchangeBody | Text] = Field(default=[], max_length=100)
    stream: bool = False
    fresh: bool = False
    risk: Literal["strict", "balanced", "open"] | Annotated[float, Field(ge=0, le=1)] | None = None
    explain: bool = False

    def to_ask(self, collection: str) -> Ask:
        """Give the question as the chain takes it."""
        turns = (
            h if isinstance(h, ExchangeBody) else ExchangeBody(question=h) for h in self.history
        )
        history = tuple(Exchange(turn.question, turn.answer) for turn in turns)
        return Ask(
            self.question,
            collection,
            history,
            fresh=self.fresh,
            risk=self.risk,
            explain=self.explain,
        )


class SearchRequest(Schema):
    """A query for passages alone."""

    query: Annotated[Text, Field(examples=["investment in cloud computing"])]
    collection: str = DEFAULT_COLLECTION
    limit: int = Field(default=8, ge=1, le=50)


class DocumentRequest(Schema):
    """A document sent as text; `source` is its stable name, and a new version keeps it.

    Without a `source` the text is named by its content: another text never replaces it.
    """

    text: str
    title: str | None = Field(default=None, max_length=300)
    source: str | None = None
    collection: str = DEFAULT_COLLECTION
    markdown: bool = False


class CitationBody(Schema):
    """A span of a source: `text[start:end] == quote`, offsets in Unicode code points."""

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
    url: str

    @classmethod
    def of(cls, citation: Citation) -> CitationBody:
        """Convert a citation."""
        return cls(
            marker=citation.marker,
            document_id=citation.document_id,
            title=citation.title,
            quote=citation.quote,
            start=citation.start,
            end=citation.end,
            page=citation.page,
            section=citation.section,
            answer_start=citation.answer_start,
            answer_end=citation.answer_end,
            url=citation.url,
        )


class ReasonBody(Schema):
    """Why there is no answer."""

    code: str
    message: str
    terms: list[str]


class PassageBody(Schema):
    """A passage near the question, with its score and its place in both rankings."""

    id: str
    document_id: str
    title: str
    text: str
    start: int
    end: int
    page: int | None
    section: str | None
    score: float
    similarity: float
    dense_rank: int | None
    keyword_rank: int | None
    url: str

    @classmethod
    def of(cls, hit: Hit) -> PassageBody:
        """Convert a hit."""
        passage = hit.passage
        return cls(
            id=passage.id,
            document_id=passage.document_id,
            title=passage.title,
            text=passage.text,
            start=passage.start,
            end=passage.end,
            page=passage.page,
            section=passage.section,
            score=round(hit.score, 6),
            similarity=round(hit.similarity, 6),
            dense_rank=hit.dense_rank,
            keyword_rank=hit.keyword_rank,
            url=f"/documents/{passage.document_id}/view#{passage.start}-{passage.end}",
        )


class TimingsBody(Schema):
    """Seconds."""

    retrieve: float
    read: float
    total: float
    first_token: float | None


class UsageBody(Schema):
    """Tokens that the model read and wrote."""

    input_tokens: int
    output_tokens: int


class EvidenceBody(Schema):
    """A sentence that the model was shown."""

    document_id: str
    start: int
    end: int


class AnswerResponse(Schema):
    """An answer with its citations, or `answered: false` with a reason and the nearest passages.

    `confidence` is the chance, 0 to 1, that the answer is right, as fitted on public question sets.
    `disagreement` says that another document answers otherwise, and that `answer` tells both;
    `passages_dropped` counts the passages of which the model was shown nothing. `id` is what
    `POST /v1/feedback` names it by; `cached` says that it was known already;
    `explanation` has the features of its confidence, where they were asked for.
    """

    id: str | None = None
    answered: bool
    answer: str
    reason: ReasonBody | None
    citations: list[CitationBody]
    passages: list[PassageBody]
    evidence: list[EvidenceBody]
    confidence: float
    question: str
    model: str
    timings: TimingsBody
    usage: UsageBody | None
    disagreement: bool = False
    passages_dropped: int = 0
    cached: bool = False
    explanation: dict[str, float] | None = None

    @classmethod
    def of(cls, answer: Answer) -> AnswerResponse:
        """Convert an answer."""
        refusal, timings = answer.refusal, answer.timings
        return cls(
            id=answer.id,
            answered=answer.answered,
            answer=answer.text,
            reason=None
            if refusal is None
            else ReasonBody(
                code=refusal.code.value, message=refusal.message, terms=list(refusal.terms)
            ),
            citations=[CitationBody.of(c) for c in answer.citations],
            passages=[PassageBody.of(h) for h in answer.passages],
            evidence=[
                EvidenceBody(document_id=e.document_id, start=e.start, end=e.end)
                for e in answer.evidence
            ],
            confidence=round(answer.confidence, 4),
            question=answer.question,
            model=answer.model,
            cached=answer.cached,
            disagreement=answer.disagreement,
            passages_dropped=answer.passages_dropped,
            explanation=dict(answer.features) or None,
            usage=None
            if answer.usage is None
            else UsageBody(
                input_tokens=answer.usage.input_tokens, output_tokens=answer.usage.output_tokens
            ),
            timings=TimingsBody(
                retrieve=round(timings.retrieve, 4),
                read=round(timings.read, 4),
                total=round(timings.total, 4),
                first_token=None if timings.first_token is None else round(timings.first_token, 4),
            ),
        )


class SearchResponse(Schema):
    """The best passages, best first."""

    query: str
    passages: list[PassageBody]


class DocumentBody(Schema):
    """A document, without its text."""

    id: str
    collection: str
    source: str
    title: str
    media_type: str
    characters: int
    passages: int
    content_hash: str
    created_at: str
    updated_at: str
    url: str

    @classmethod
    def of(cls, record: DocumentRecord) -> DocumentBody:
        """Convert a record."""
        return cls(
            id=record.id,
            collection=record.collection,
            source=record.source,
            title=record.title,
            media_type=record.media_type,
            characters=record.characters,
            passages=record.passages,
            content_hash=record.content_hash,
            created_at=record.created_at,
            updated_at=record.updated_at,
            url=f"/documents/{record.id}/view",
        )


class DocumentsResponse(Schema):
    """The documents, by title."""

    documents: list[DocumentBody]


class CollectionBody(Schema):
    """A collection, and how much it holds."""

    name: str
    documents: int
    passages: int


class CollectionsResponse(Schema):
    """The collections by name; the default one is always there."""

    collections: list[CollectionBody]


class ProgressBody(Schema):
    """How far an upload is: passages embedded and stored, of how many."""

    done: int
    total: int


class IngestedResponse(Schema):
    """What became of an upload: `created`, `replaced` or `unchanged`."""

    outcome: str
    document: DocumentBody

    @classmethod
    def of(cls, ingested: Ingested) -> IngestedResponse:
        """Convert what became of a document."""
        return cls(outcome=ingested.outcome, document=DocumentBody.of(ingested.record))


class FeedbackRequest(Schema):
    """What somebody thinks of an answer, `up` or `down`; said again, it replaces what was said."""

    answer_id: Annotated[str, Field(examples=["a_0123456789abcdef0123"])]
    rating: Rating
    comment: Text = Field(default="", max_length=2000)


class QuotedBody(Schema):
    """A citation of a judged answer; `source` is its document's name in the collection."""

    marker: int
    document_id: str
    source: str | None
    title: str
    quote: str
    start: int
    end: int


class FeedbackBody(Schema):
    """A judged answer: what was asked and told, on what it stood, and what was thought of it.

    `looked_up` is what was understood of the question; `index_version` names what the collection
    held.
    """

    answer_id: str
    rating: Rating
    comment: str
    created_at: str
    updated_at: str
    collection: str
    widget: str | None
    question: str
    looked_up: str
    history: list[str]
    answered: bool
    answer: str
    reason: str | None
    citations: list[QuotedBody]
    model: str
    index_version: str
    given_at: str

    @classmethod
    def of(cls, feedback: Feedback) -> FeedbackBody:
        """Convert a judgement."""
        given = asdict(feedback.given)
        return cls(
            answer_id=given.pop("id"),
            rating=feedback.rating,
            comment=feedback.comment,
            created_at=feedback.created_at,
            updated_at=feedback.updated_at,
            **given,
        )


class FeedbackResponse(Schema):
    """Judged answers, the newest first; `total` counts them beyond the limit too."""

    total: int
    feedback: list[FeedbackBody]

    @classmethod
    def of(cls, found: Sequence[Feedback], total: int) -> FeedbackResponse:
        """Convert judgements."""
        return cls(total=total, feedback=[FeedbackBody.of(feedback) for feedback in found])


class LooksBody(Schema):
    """How a widget greets; texts are shown as text, `accent` is a colour like `#0b57d0`."""

    title: Text | None = Field(default=None, max_length=80)
    greeting: Text | None = Field(default=None, max_length=500)
    starters: list[Annotated[Text, Field(max_length=200)]] = Field(default=[], max_length=6)
    accent: str | None = None
    position: str | None = None
    language: str | None = Field(default=None, max_length=20)

    @classmethod
    def of(cls, looks: Looks) -> LooksBody:
        """Convert looks."""
        return cls(
            title=looks.title,
            greeting=looks.greeting,
            starters=list(looks.starters),
            accent=looks.accent,
            position=looks.position,
            language=looks.language,
        )

    def to_looks(self) -> Looks:
        """Give the looks. Raises `BadInputError`."""
        return Looks(
            title=self.title,
            greeting=self.greeting,
            starters=tuple(self.starters),
            accent=self.accent,
            position=self.position,
            language=self.language,
        )


class WidgetRequest(Schema):
    """A widget to create: without `origins` no page of another origin may use it."""

    collection: str = DEFAULT_COLLECTION
    origins: list[str] = Field(default=[], max_length=100, examples=[["https://example.com"]])
    per_minute: int = DEFAULT_PER_MINUTE
    looks: LooksBody = LooksBody()


class WidgetBody(Schema):
    """A public widget id, what it may do, and the line that puts it into a page."""

    id: str
    collection: str
    origins: list[str]
    per_minute: int
    looks: LooksBody
    created_at: str
    snippet: str

    @classmethod
    def of(cls, widget: Widget, snippet: str) -> WidgetBody:
        """Convert a widget."""
        return cls(
            id=widget.id,
            collection=widget.collection,
            origins=list(widget.origins),
            per_minute=widget.per_minute,
            looks=LooksBody.of(widget.looks),
            created_at=widget.created_at,
            snippet=snippet,
        )


class WidgetsResponse(Schema):
    """The widgets, the oldest first."""

    widgets: list[WidgetBody]


class HealthResponse(Schema):
    """Whether the process is alive, or ready; `waiting` says for what."""

    status: str
    version: str
    waiting: list[str] = []


class ReadyResponse(HealthResponse):
    """And what runs the language model on this machine; null where it runs elsewhere."""

    runtime: str | None


class Problem(BaseModel):
    """An error, as RFC 9457 has it; `fix` says what to do."""

    type: str
    title: str
    status: int
    detail: str
    fix: str
    instance: str | None = None
