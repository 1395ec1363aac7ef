import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from index.errors import CollectionNotFoundError
from index.library import Library
from index.types import Hit
from qa.retriever import FootnoteRetriever, read_hits

QUESTION = "How much will Alibaba invest?"


def test_each_document_says_where_its_text_stands(seed_library: Library, seed_text: str) -> None:
    found = FootnoteRetriever(library=seed_library).invoke(QUESTION)
    assert found
    for document in found:
        where = document.metadata
        assert seed_text[where["start"] : where["end"]] == document.page_content
        assert where["title"] == "alibaba-ai-investment"
        assert seed_library.document(where["document_id"]).text == seed_text


def test_the_hits_of_the_library_come_back_unchanged(seed_library: Library) -> None:
    found = FootnoteRetriever(library=seed_library, limit=2).invoke(QUESTION)
    assert read_hits(found) == seed_library.search(QUESTION, limit=2)
    assert len(found) <= 2


def test_the_asynchronous_form_finds_the_same(seed_library: Library) -> None:
    retriever = FootnoteRetriever(library=seed_library)
    assert asyncio.run(retriever.ainvoke(QUESTION)) == retriever.invoke(QUESTION)


def test_searching_runs_on_the_executor_and_not_on_the_loop(
    seed_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    search = seed_library.search

    def watched(query: str, **options: Any) -> list[Hit]:
        threads.append(threading.current_thread().name)
        return search(query, **options)

    monkeypatch.setattr(seed_library, "search", watched)
    with ThreadPoolExecutor(1, thread_name_prefix="searching") as executor:
        retriever = FootnoteRetriever(library=seed_library, executor=executor)
        asyncio.run(retriever.ainvoke(QUESTION))
    assert [name.startswith("searching") for name in threads] == [True]


def test_an_unknown_collection_is_an_error_in_both_forms(seed_library: Library) -> None:
    retriever = FootnoteRetriever(library=seed_library, collection="nowhere")
    with pytest.raises(CollectionNotFoundError):
        retriever.invoke(QUESTION)
    with pytest.raises(CollectionNotFoundError):
        asyncio.run(retriever.ainvoke(QUESTION))
