"""What can be evaluated: a target takes a question and gives the record of its answer."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from index.library import Library
from index.types import Hit
from qa.bootstrap import Service, needed_weights, warm_embedder, warm_reader
from qa.chain import answer
from qa.confidence import WEIGHTS
from qa.conversation import stand_alone, stands_alone
from qa.errors import ModelUnavailableError
from qa.evaluation.types import SEARCHED, Place, Question, Quote, Record
from qa.models import Reader
from qa.types import Ask, Citation, Exchange
from qa.weights import ADAPTERS, EXPLAINER, VERIFIER

CONTEXT = 160
"""How much of the source is kept on each side of a quote, in code points."""

DEEP = 50

REFUSALS = re.compile(
    r"\b(?:not stated|(?:do|does|did)(?:n['\u2019]t| not)"
    r" (?:know|say|state|mention|provide|specify)"
    r"|(?:not|\w+n['\u2019]t) (?:mentioned|provided|specified|given|available)|no information"
    r"|(?:cannot|can['\u2019]t|unable to) (?:be )?(?:determined?|answer(?:ed)?|find|found))\b",
    re.IGNORECASE,
)
"""How a product without a field for it says that it does not know."""


class Target(Protocol):
    """A system under evaluation."""

    async def prepare(self) -> None:
        """Load what the first question would wait for."""

    async def answer(self, question: Question) -> Record:
        """Answer. Raises `FootnoteError`; `BadInputError` where only this question is at fault."""

    async def close(self) -> None:
        """Release what the target holds; a model that was given to it stays open."""


class SearchTarget:
    """A library's search: records have `passages` and nothing else.

    `limit` is how many passages are found; `DEEP` of them make ten documents. With a `reader`, its
    model rewrites a follow-up, as in the chain; without one no language model is asked.
    """

    def __init__(
        self, library: Library, collection: str, *, limit: int = DEEP, reader: Reader | None = None
    ) -> None:
        self._library = library
        self._collection = collection
        self._limit = limit
        self._reader = reader
        self._sources = {d.id: d.source for d in library.documents(collection)}

    async def prepare(self) -> None:
        """Load the embedding model."""
        await asyncio.to_thread(self._library.embedder.embed_queries, ["warm"])

    async def answer(self, question: Question) -> Record:
        """Search."""
        began = time.perf_counter()
        asked = question.text
        if self._reader is not None and question.history and not stands_alone(asked):
            history = tuple(Exchange(earlier) for earlier in question.history)
            asked = await stand_alone(asked, history, await self._reader.chat())
        hits = await asyncio.to_thread(
            self._library.search,
            asked,
            collection=self._collection,
            limit=self._limit,
            beside=() if asked == question.text else (question.text,),
        )
        return found(question, places(hits, self._sources), time.perf_counter() - began)

    async def close(self) -> None:
        """Do nothing: the library is its owner's."""


class ChainTarget:
    """Footnote's own chain, in this process, over one collection."""

    def __init__(self, service: Service, collection: str) -> None:
        self._service = service
        self._collection = collection
        self._sources = {d.id: d.source for d in service.library.documents(collection)}
        self._texts: dict[str, str] = {}

    async def prepare(self) -> None:
        """Load both models."""
        await asyncio.to_thread(warm_embedder, self._service)
        await warm_reader(self._service)

    async def answer(self, question: Question) -> Record:
        """Ask the chain that serves."""
        history = tuple(Exchange(earlier) for earlier in question.history)
        given = await answer(self._service.chain, Ask(question.text, self._collection, history))
        return Record(
            question=question,
            answered=given.answered,
            answer=given.text,
            reason=None if given.refusal is None else given.refusal.code.value,
            confidence=given.confidence,
            citations=tuple([await self._quote(c) for c in given.citations]),
            passages=places(given.passages, self._sources),
            evidence=tuple(
                Place(self._sources[e.document_id], e.start, e.end) for e in given.evidence
            ),
            seconds=given.timings.total,
            first_token=given.timings.first_token,
            input_tokens=None if given.usage is None else given.usage.input_tokens,
            output_tokens=None if given.usage is None else given.usage.output_tokens,
        )

    async def close(self) -> None:
        """Do nothing: the service is its owner's."""

    async def _quote(self, citation: Citation) -> Quote:
        id_ = citation.document_id
        if id_ not in self._texts:
            document = await asyncio.to_thread(self._service.library.document, id_)
            self._texts[id_] = document.text
        return quote(
            self._sources[id_],
            self._texts[id_],
            span=(citation.start, citation.end),
            said=citation.quote,
            claim=(citation.answer_start, citation.answer_end),
        )


class ModelTarget:
    """Any OpenAI-compatible endpoint, asked the bare question: another product, or a model alone.

    It has no citations and no passages that could be scored. An answer counts as refused where it
    is empty or says so (`REFUSALS`).
    """

    def __init__(self, model: BaseChatModel, name: str) -> None:
        self._model = model
        self._name = name

    async def prepare(self) -> None:
        """Do nothing: it is running already."""

    async def answer(self, question: Question) -> Record:
        """Ask, and time the first token. Raises `ModelUnavailableError`."""
        earlier = [HumanMessage(text) for text in question.history]
        began = time.perf_counter()
        text, first, usage = "", None, None
        try:
            async for chunk in self._model.astream([*earlier, HumanMessage(question.text)]):
                text += str(chunk.text)
                if first is None and text:
                    first = time.perf_counter() - began
                usage = chunk.usage_metadata or usage
        except Exception as error:  # every provider raises its own tree; this is where it ends
            raise ModelUnavailableError(
                f"{self._name} broke off: {type(error).__name__}: {error}",
                fix="Check that the server runs, then go on with --resume.",
            ) from error
        answered = bool(text.strip()) and REFUSALS.search(text) is None
        return Record(
            question=question,
            answered=answered,
            answer=text.strip() if answered else "",
            reason=None if answered else "said_so",
            citations=None,
            passages=None,
            evidence=None,
            seconds=time.perf_counter() - began,
            first_token=first,
            input_tokens=None if usage is None else usage["input_tokens"],
            output_tokens=None if usage is None else usage["output_tokens"],
        )

    async def close(self) -> None:
        """Do nothing: the model is its owner's."""


def found(question: Question, passages: tuple[Place, ...], seconds: float) -> Record:
    """Give the record of a search without an answer."""
    return Record(
        question=question,
        answered=False,
        reason=SEARCHED,
        citations=None,
        passages=passages,
        evidence=None,
        seconds=seconds,
    )


def places(hits: Sequence[Hit], sources: Mapping[str, str]) -> tuple[Place, ...]:
    """Give where hits stand, by their documents' sources."""
    passages = [h.passage for h in hits]
    return tuple(Place(sources[p.document_id], p.start, p.end) for p in passages)


def quote(
    source: str, text: str, *, span: tuple[int, int], said: str, claim: tuple[int, int]
) -> Quote:
    """Hold a citation against its source's text, and keep what stands around it."""
    start, end = span
    return Quote(
        source=source,
        start=start,
        end=end,
        quote=said,
        exact=text[start:end] == said,
        answer_start=claim[0],
        answer_end=claim[1],
        before=text[max(0, start - CONTEXT) : start],
        after=text[end : end + CONTEXT],
    )


def describe(service: Service) -> Mapping[str, Any]:
    """Give the settings, and the digests of the models, that answers depend on."""
    settings = service.settings
    return {
        "model": service.reader.name,
        "model_base_url": settings.base_url,
        "runtime": service.reader.runtime,
        "risk": settings.risk,
        "embedder": service.library.embedder.name,
        "passages": settings.passages,
        "evidence_sentences": settings.evidence_sentences,
        "evidence_characters": settings.evidence_characters,
        "weights": {w.name: {f.path: f.sha256 for f in w.files} for w in needed_weights(settings)},
        "adapter": _digest(ADAPTERS.get(service.reader.name)),
        "verifier": _digest(None if service.verifier is None else VERIFIER),
        "explainer": _digest(None if service.verifier is None else EXPLAINER),
        "confidence": _digest(WEIGHTS),
    }


def _digest(path: Path | None) -> str | None:
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
