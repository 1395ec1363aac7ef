"""A LangChain retriever over a library: what the chain asks, and what other chains can use."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from index.library import DEFAULT_COLLECTION, Library
from index.types import Hit


class FootnoteRetriever(BaseRetriever):
    """Find passages in one collection; each document's metadata says where its text stands.

    The hit itself rides along under `metadata["hit"]`, so that nothing goes back to the store.
    `beside` are other wordings of the query, looked up with it. Searching blocks, so the
    asynchronous form runs on `executor` (None: the loop's own).
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    library: Library
    collection: str = DEFAULT_COLLECTION
    limit: int = 8
    beside: tuple[str, ...] = ()
    executor: Executor | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        del run_manager
        hits = self.library.search(
            query, collection=self.collection, limit=self.limit, beside=self.beside
        )
        return [_to_langchain(hit) for hit in hits]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        loop = asyncio.get_running_loop()
        sync = run_manager.get_sync()
        return await loop.run_in_executor(
            self.executor, lambda: self._get_relevant_documents(query, run_manager=sync)
        )


def read_hits(documents: list[LangChainDocument]) -> list[Hit]:
    """Give the hits back that `FootnoteRetriever` sent along."""
    return [document.metadata["hit"] for document in documents]


def _to_langchain(hit: Hit) -> LangChainDocument:
    passage = hit.passage
    metadata = {
        "document_id": passage.document_id,
        "title": passage.title,
        "start": passage.start,
        "end": passage.end,
        "section": passage.section,
        "page": passage.page,
        "score": hit.score,
        "hit": hit,
    }
    return LangChainDocument(id=passage.id, page_content=passage.text, metadata=metadata)
