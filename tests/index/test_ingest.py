from __future__ import annotations

import hashlib
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from index import ingest as ingest_module
from index.errors import EmbedderMismatchError, StorageFullError
from index.ingest import ingest, reconcile, remove
from index.load import build_document
from index.testing import HashingEmbedder
from index.vectors import VectorIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from index.ingest import Ingested, Progress
    from index.library import Library
    from index.types import Embedder, Vectors
    from tests.index.conftest import CountingEmbedder

PARAGRAPHS = [f"Paragraph {n} tells of heron {n}. It has a second sentence." for n in range(12)]


def run(
    library: Library,
    paragraphs: Sequence[str],
    *,
    name: str = "a.txt",
    embedder: Embedder | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Ingested:
    data = "\n\n".join(paragraphs).encode()
    return ingest(
        build_document(data, name=name, collection="c", source="s", title="T"),
        catalog=library.catalog,
        vectors=library.vectors,
        embedder=embedder or library.embedder,
        size=60,
        progress=progress,
    )


def digest_files(home: Path) -> dict[str, str]:
    return {
        str(p.relative_to(home)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in home.rglob("*")
        if p.is_file()
    }


def assert_in_line(library: Library) -> None:
    assert library.vectors.ids("c") == library.catalog.live_ids("c")


def test_a_document_is_created_then_unchanged_then_replaced(library: Library) -> None:
    assert run(library, PARAGRAPHS).outcome == "created"
    assert run(library, PARAGRAPHS).outcome == "unchanged"
    replaced = run(library, PARAGRAPHS[:3])
    assert replaced.outcome == "replaced"
    assert replaced.record.passages == 3
    assert_in_line(library)


def test_the_same_content_again_writes_nothing(
    library: Library, embedder: CountingEmbedder
) -> None:
    first = run(library, PARAGRAPHS)
    before, count = digest_files(library.home), len(embedder.embedded)
    again = run(library, PARAGRAPHS)
    assert digest_files(library.home) == before
    assert again.record == first.record
    assert len(embedder.embedded) == count


def test_unchanged_passages_keep_their_vectors(
    library: Library, embedder: CountingEmbedder
) -> None:
    run(library, PARAGRAPHS)
    embedder.embedded.clear()
    run(library, ["A new beginning.", *PARAGRAPHS])
    assert embedder.embedded == ["A new beginning."]
    assert_in_line(library)


def test_the_same_words_divided_otherwise_are_embedded_again(library: Library) -> None:
    """As plain text these are one sentence, as Markdown two: each needs a vector of its own."""
    run(library, ["- heron\n- otter"])
    assert run(library, ["- heron\n- otter"], name="a.md").outcome == "replaced"
    (found,) = library.catalog.live_passages("c", list(library.catalog.live_ids("c"))).values()
    assert len(found[0].sentences) == 2
    assert found[1].sentences.shape == (2, library.embedder.dimension)
    assert library.search("otter", collection="c")[0].sentences


def test_progress_counts_up_to_all_passages(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "BATCH", 5)
    seen: list[tuple[int, int]] = []
    run(library, PARAGRAPHS, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 12), (5, 12), (10, 12), (12, 12)]


def test_an_interrupted_ingest_goes_on_where_it_was(
    library: Library, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "BATCH", 5)

    def interrupt(done: int, _total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(library, PARAGRAPHS, progress=interrupt)
    assert library.catalog.records() == []
    embedder.embedded.clear()
    seen: list[int] = []
    assert run(library, PARAGRAPHS, progress=lambda done, _: seen.append(done)).outcome == "created"
    assert embedder.embedded == PARAGRAPHS[10:]
    assert seen == [10, 12]
    assert_in_line(library)


class FailingEmbedder(HashingEmbedder):
    """Stands for a model that breaks on a passage."""

    def embed_passages(self, passages: Sequence[object]) -> list[object]:  # type: ignore[override]
        """Fail, whatever the passages."""
        raise RuntimeError(len(passages))


def test_a_failing_embedder_leaves_the_old_version_live(library: Library) -> None:
    run(library, PARAGRAPHS[:2])
    with pytest.raises(RuntimeError):
        run(library, PARAGRAPHS[2:], embedder=FailingEmbedder())  # type: ignore[arg-type]
    hits = library.search("heron", collection="c")
    assert {h.passage.text for h in hits} == set(PARAGRAPHS[:2])


def test_a_full_vector_store_leaves_the_old_version_live(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(library, PARAGRAPHS[:2])

    def fail(_self: VectorIndex, _collection: str, _ids: Sequence[str], _vectors: Vectors) -> None:
        raise StorageFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(VectorIndex, "upsert", fail)
        with pytest.raises(StorageFullError):
            run(library, PARAGRAPHS[2:])
    assert {h.passage.text for h in library.search("heron", collection="c")} == set(PARAGRAPHS[:2])
    assert run(library, PARAGRAPHS[2:]).outcome == "replaced"
    assert_in_line(library)


def test_another_embedder_of_the_same_collection_is_refused(library: Library) -> None:
    run(library, PARAGRAPHS)
    with pytest.raises(EmbedderMismatchError):
        run(library, PARAGRAPHS, embedder=HashingEmbedder(32))
    assert_in_line(library)


def test_removing_takes_a_document_out_of_both_stores(library: Library) -> None:
    record = run(library, PARAGRAPHS).record
    remove(record.id, catalog=library.catalog, vectors=library.vectors)
    assert library.catalog.live_ids("c") == set()
    assert library.vectors.ids("c") == set()


def test_reconciling_restores_lost_rows_and_drops_strays_without_embedding(
    library: Library, embedder: CountingEmbedder
) -> None:
    run(library, PARAGRAPHS)
    embedder.embedded.clear()
    lost = sorted(library.catalog.live_ids("c"))[:4]
    library.vectors.delete("c", lost)
    library.vectors.upsert("c", ["stray"], embedder.embed_queries(["stray"]))
    assert reconcile(catalog=library.catalog, vectors=library.vectors) == 5
    assert_in_line(library)
    assert embedder.embedded == []
    assert reconcile(catalog=library.catalog, vectors=library.vectors) == 0
    hits = library.search(PARAGRAPHS[0], collection="c", limit=1)
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-5)


def test_searching_while_a_document_is_replaced_finds_one_version_at_a_time(
    library: Library,
) -> None:
    versions = [[f"Version v{n} heron {p}." for p in range(4)] for n in range(10)]
    run(library, versions[0])
    start, stop = threading.Barrier(3), threading.Event()
    found: list[set[str]] = []

    def look() -> None:
        start.wait(timeout=10)
        while not stop.is_set():
            hits = library.search("heron", collection="c")
            found.append({h.passage.text.split()[1] for h in hits})

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    start.wait(timeout=10)
    for version in versions[1:]:
        run(library, version)
    stop.set()
    for reader in readers:
        reader.join(timeout=10)
    assert found
    assert {len(names) for names in found} == {1}


def test_an_unchanged_ingest_leaves_the_database_version_alone(library: Library) -> None:
    run(library, PARAGRAPHS)
    watcher = sqlite3.connect(library.home / "catalog.sqlite3")
    before = watcher.execute("PRAGMA data_version").fetchone()
    run(library, PARAGRAPHS)
    assert watcher.execute("PRAGMA data_version").fetchone() == before
    run(library, PARAGRAPHS[1:])
    assert watcher.execute("PRAGMA data_version").fetchone() != before
    watcher.close()
