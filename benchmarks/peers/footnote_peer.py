"""Footnote itself under the peers' protocol: its chain, with the server that all peers ask.

A language model behind a base URL is asked as a large one by default; this server's is the shipped
small model, with its adapter for who asks for it, so it is read as `local` is. A citation counts as
exact only if the text of the documents file has its quote at its offsets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import sentence_transformers  # noqa: F401  loading libraries is not part of the ingest
from protocol import TIMEOUT_SECONDS, Cited, Given, Options, Place, Source, run

from index.embed import SentenceTransformerEmbedder
from index.library import Upload
from index.load import name_document
from qa.bootstrap import build_library, build_service
from qa.chain import answer
from qa.models import LocalReader
from qa.settings import Settings
from qa.types import TRAINED, Answer, Ask, Citation

COLLECTION = "benchmark"


@dataclass(frozen=True)
class Running:
    """The server that all peers ask, as one of the shipped model's."""

    url: str
    key: str
    ready: bool = True

    def address(self, timeout: float) -> str:
        """Give where it listens."""
        del timeout
        return self.url.removesuffix("/").removesuffix("/v1")

    def close(self) -> None:
        """Do nothing: it is not ours."""


class Footnote:
    """The service, opened in the work folder."""

    def __init__(self, options: Options) -> None:
        settings = Settings(base_url=None, model="local").model_copy(update={"home": options.work})
        embedder = SentenceTransformerEmbedder(
            str(options.embedder),
            label=options.embedder.name,
            dimension=384,
            precision=settings.precision,
        )
        server = Running(options.base_url, options.api_key)
        self.service = build_service(
            settings,
            library=build_library(settings, embedder=embedder),
            reader=LocalReader(options.model, server, profile=TRAINED, timeout=TIMEOUT_SECONDS),
        )
        self.loop = asyncio.new_event_loop()
        self.sources: dict[str, Source] = {}

    def ingest(self, documents: Sequence[Source]) -> int:
        """Add the documents."""
        library = self.service.library
        for d in documents:
            self.sources[name_document(COLLECTION, d.id)] = d
            library.ingest(
                Upload(d.text.encode(), "document.txt", COLLECTION, source=d.id, title=d.title)
            )
        return sum(record.passages for record in library.documents(COLLECTION))

    def ask(self, question: str) -> Given:
        """Answer or refuse."""
        given = self.loop.run_until_complete(answer(self.service.chain, Ask(question, COLLECTION)))
        return Given(
            given.text,
            self._places(given),
            [self._cited(citation) for citation in given.citations],
            refused=not given.answered,
        )

    def _places(self, given: Answer) -> list[Place]:
        passages = [hit.passage for hit in given.passages]
        return [Place(self.sources[p.document_id].id, p.start, p.end) for p in passages]

    def _cited(self, citation: Citation) -> Cited:
        source = self.sources[citation.document_id]
        exact = source.text[citation.start : citation.end] == citation.quote
        return Cited(source.id, citation.start, citation.end, exact)


if __name__ == "__main__":
    run(Footnote)
