"""What `footnote evaluate` asks: the chain here, a server, or another product's endpoint."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from api.client import AsyncFootnote, Footnote, StreamEnd, StreamRefused, StreamToken
from api.schemas import AnswerResponse, CitationBody, PassageBody
from api.terminal import err, fetch_weights
from index.library import Library, Upload
from index.load import decode
from qa.bootstrap import build_library, build_reader, build_service
from qa.errors import QuestionSetError
from qa.evaluation.questions import read_documents
from qa.evaluation.targets import (
    DEEP,
    ChainTarget,
    ModelTarget,
    SearchTarget,
    Target,
    describe,
    found,
    quote,
)
from qa.evaluation.types import Place, Question, Quote, Record
from qa.models import openai_compatible
from qa.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked for, as the command line has it."""

    questions: Path
    documents: Path | None = None
    collection: str | None = None
    out: Path | None = None
    resume: bool = False
    limit: int | None = None
    sample: int | None = None
    seed: int = 0
    concurrency: int = 1
    retrieval_only: bool = False
    rewrite: bool = False
    field: str = "question"
    joint_evidence: bool = False
    skip_bad_lines: bool = False
    judge: str | None = None
    url: str | None = None
    openai: str | None = None
    model: str | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A target that is open: what it is made of, and the length of each document it has."""

    target: Target
    details: Mapping[str, Any]
    lengths: Mapping[str, int] | None


class ServerTarget:
    """A Footnote server, over its own API; with `search_only`, its search alone."""

    def __init__(
        self, url: str, collection: str, sources: Mapping[str, str], *, search_only: bool
    ) -> None:
        self._client = AsyncFootnote(url)
        self._collection = collection
        self._sources = sources
        self._search_only = search_only
        self._texts: dict[str, str] = {}

    async def prepare(self) -> None:
        """Do nothing: a server loads its models when it starts."""

    async def answer(self, question: Question) -> Record:
        """Ask, or search."""
        return await (self._find(question) if self._search_only else self._ask(question))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, question: Question) -> Record:
        clock = asyncio.get_running_loop().time
        began, first, given = clock(), None, None
        async for event in self._client.stream(
            question.text, collection=self._collection, history=question.history, fresh=True
        ):
            match event:
                case StreamToken():
                    first = first or clock() - began
                case StreamEnd(answer) | StreamRefused(answer):
                    given = answer
        assert given is not None  # noqa: S101  a stream that ends without one raises
        return await self._record(question, given, clock() - began, first)

    async def _find(self, question: Question) -> Record:
        clock = asyncio.get_running_loop().time
        began = clock()
        response = await self._client.search(question.text, collection=self._collection, limit=DEEP)
        return found(question, self._places(response.passages), clock() - began)

    async def _record(
        self, question: Question, given: AnswerResponse, seconds: float, first: float | None
    ) -> Record:
        return Record(
            question=question,
            answered=given.answered,
            answer=given.answer,
            reason=None if given.reason is None else given.reason.code,
            confidence=given.confidence,
            citations=tuple([await self._quote(c) for c in given.citations]),
            passages=self._places(given.passages),
            evidence=tuple(
                Place(self._source(e.document_id), e.start, e.end) for e in given.evidence
            ),
            seconds=seconds,
            first_token=first,
            input_tokens=None if given.usage is None else given.usage.input_tokens,
            output_tokens=None if given.usage is None else given.usage.output_tokens,
        )

    async def _quote(self, citation: CitationBody) -> Quote:
        id_ = citation.document_id
        if id_ not in self._texts:
            self._texts[id_] = await self._client.text(id_)
        return quote(
            self._source(id_),
            self._texts[id_],
            span=(citation.start, citation.end),
            said=citation.quote,
            claim=(citation.answer_start, citation.answer_end),
        )

    def _places(self, passages: Sequence[PassageBody]) -> tuple[Place, ...]:
        return tuple(Place(self._source(p.document_id), p.start, p.end) for p in passages)

    def _source(self, document_id: str) -> str:
        return self._sources.get(document_id, document_id)


@contextmanager
def open_target(options: Options) -> Iterator[Opened]:
    """Open what is to be asked, its documents ingested. Raises `FootnoteError`."""
    if options.rewrite and (not options.retrieval_only or options.url or options.openai):
        raise QuestionSetError(
            "--rewrite is for a search in this process.",
            fix="Add --retrieval-only and leave --url and --openai out; when asked, the chain "
            "rewrites by itself.",
        )
    if options.openai is not None:
        yield _open_model(options)
    elif options.url is not None:
        with _open_server(options, options.url) as opened:
            yield opened
    else:
        with _open_chain(options) as opened:
            yield opened


def _open_model(options: Options) -> Opened:
    if options.retrieval_only:
        raise QuestionSetError("--openai has no search.", fix="Leave --retrieval-only out.")
    if options.model is None or options.openai is None:
        raise QuestionSetError(
            "--openai needs the name of a model.", fix="Add --model NAME, as the server has it."
        )
    settings = Settings()
    key = settings.api_key.get_secret_value() if settings.api_key else "none"
    model = openai_compatible(
        options.model, options.openai, key, answer_tokens=500, timeout=settings.model_timeout
    )
    details = {"target": "openai", "model": options.model, "url": options.openai}
    return Opened(ModelTarget(model, options.model), details, None)


@contextmanager
def _open_server(options: Options, url: str) -> Iterator[Opened]:
    collection = _collection(options)
    with Footnote(url) as client:
        if options.documents is not None:
            for upload in _track(read_documents(options.documents), "ingesting"):
                client.add(
                    decode(upload.data, name=upload.name),
                    title=upload.title,
                    source=upload.source,
                    collection=collection,
                    markdown=upload.name.lower().endswith((".md", ".markdown")),
                )
        documents = client.documents(collection)
    target = ServerTarget(
        url,
        collection,
        {d.id: d.source for d in documents},
        search_only=options.retrieval_only,
    )
    details = {"target": "server", "url": url, "collection": collection}
    yield Opened(target, details, {d.source: d.characters for d in documents})


@contextmanager
def _open_chain(options: Options) -> Iterator[Opened]:
    settings = Settings()
    reads = options.rewrite or not options.retrieval_only
    fetch_weights(settings, language_model=reads)
    collection = _collection(options)
    with ExitStack() as stack:
        library = stack.enter_context(build_library(settings))
        if options.documents is not None:
            _ingest(library, read_documents(options.documents), collection)
        lengths = {d.source: d.characters for d in library.documents(collection)}
        if options.retrieval_only:
            details = {"target": "search", "embedder": library.embedder.name, "passages": DEEP}
            reader = stack.enter_context(closing(build_reader(settings))) if reads else None
            if reader is not None:
                details |= {"rewritten_by": reader.name}
            yield Opened(SearchTarget(library, collection, reader=reader), details, lengths)
        else:
            service = stack.enter_context(closing(build_service(settings, library=library)))
            details = {"target": "chain", "collection": collection, **describe(service)}
            yield Opened(ChainTarget(service, collection), details, lengths)


def _ingest(library: Library, uploads: Sequence[Upload], collection: str) -> None:
    for upload in _track(uploads, "ingesting"):
        library.ingest(Upload(upload.data, upload.name, collection, upload.source, upload.title))


def _collection(options: Options) -> str:
    if options.collection is not None:
        return options.collection
    if options.documents is None:
        return "default"
    digest = hashlib.sha256(str(options.documents.resolve()).encode()).hexdigest()[:12]
    return f"evaluation-{digest}"


def _track(uploads: Sequence[Upload], what: str) -> Iterator[Upload]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as bar:
        yield from bar.track(uploads)
