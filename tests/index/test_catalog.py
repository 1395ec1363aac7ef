from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.catalog import Catalog, check_integrity
from index.chunk import chunk
from index.errors import (
    CatalogUnreadableError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    EmbedderMismatchError,
    StorageError,
    StorageFullError,
)
from index.load import build_document
from index.testing import HashingEmbedder
from index.tokens import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from index.types import Document

EMBEDDER = HashingEmbedder()
RECIPE = "recipe 1"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(tmp_path / "catalog.sqlite3")
    opened.ensure_collection("c", embedder=EMBEDDER.name, dimension=EMBEDDER.dimension)
    yield opened
    opened.close()


def make_document(text: str, *, source: str = "s", name: str = "a.txt") -> Document:
    return build_document(text.encode(), name=name, collection="c", source=source)


def stage(catalog: Catalog, document: Document, *, recipe: str = RECIPE) -> int:
    version = catalog.stage(document, recipe)
    passages = chunk(document, size=60)
    catalog.add_passages(version, passages, EMBEDDER.embed_passages(passages))
    return version


def publish(catalog: Catalog, document: Document) -> list[str]:
    return catalog.publish(stage(catalog, document))


def limit_room(monkeypatch: pytest.MonkeyPatch, path: Path, *, spare_pages: int) -> None:
    """Let every new connection write no more than some pages beyond what the file has."""
    connect = sqlite3.connect

    def connect_to_full_disk(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        if args[0] == path:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + spare_pages}")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_to_full_disk)


def test_a_staged_version_is_invisible_until_it_is_published(catalog: Catalog) -> None:
    document = make_document("A heron waits. A heron hunts.")
    version = stage(catalog, document)
    assert catalog.records() == []
    assert catalog.live_ids("c") == set()
    assert catalog.match_words("c", ["heron"], limit=9) == []
    assert catalog.live_passages("c", list(catalog.staged(version))) == {}
    with pytest.raises(DocumentNotFoundError):
        catalog.document(document.id)
    catalog.publish(version)
    assert catalog.document(document.id) == document
    assert catalog.live_ids("c") == catalog.staged(version)
    assert catalog.match_words("c", ["heron"], limit=9) == [p.id for p in chunk(document, size=60)]


def test_publishing_replaces_the_version_before_at_once_and_wholly(catalog: Catalog) -> None:
    old, new = make_document("A heron waits."), make_document("An otter swims.")
    publish(catalog, old)
    version = stage(catalog, new)
    assert catalog.document(old.id).text == old.text
    assert catalog.match_words("c", ["otter"], limit=9) == []
    assert catalog.publish(version) == [p.id for p in chunk(old, size=60)]
    assert catalog.document(old.id) == new
    assert catalog.match_words("c", ["heron"], limit=9) == []
    assert catalog.live_ids("c") == {p.id for p in chunk(new, size=60)}
    assert len(catalog.records()) == 1


def test_a_markdown_document_comes_back_as_it_went_in(catalog: Catalog) -> None:
    document = make_document("Intro.\n\n# One\n\n- a\n- b\n\n## Two\n\nEnd 🙂.\r\n", name="a.md")
    publish(catalog, document)
    assert catalog.document(document.id) == document
    record = catalog.record(document.id)
    assert (record.characters, record.passages) == (
        len(document.text),
        len(chunk(document, size=60)),
    )


def test_passages_come_back_with_their_vectors(catalog: Catalog) -> None:
    document = make_document(
        "A heron waits. It hunts.\n\nAn otter swims under the ice of the lake."
    )
    publish(catalog, document)
    passages = chunk(document, size=60)
    found = catalog.live_passages("c", [p.id for p in passages])
    assert [found[p.id][0] for p in passages] == list(passages)
    for passage, expected in zip(passages, EMBEDDER.embed_passages(passages), strict=True):
        embedded = found[passage.id][1]
        assert embedded.vector == pytest.approx(expected.vector)
        assert embedded.sentences == pytest.approx(expected.sentences, abs=1e-3)


def test_deleting_removes_a_document_and_its_words(catalog: Catalog) -> None:
    gone, kept = make_document("A heron waits."), make_document("A heron hunts.", source="kept")
    publish(catalog, gone)
    publish(catalog, kept)
    assert catalog.delete(gone.id) == ("c", [p.id for p in chunk(gone, size=60)])
    assert [r.source for r in catalog.records("c")] == ["kept"]
    kept_ids = [p.id for p in chunk(kept, size=60)]
    assert catalog.match_words("c", ["heron"], limit=9) == kept_ids
    with pytest.raises(DocumentNotFoundError) as caught:
        catalog.delete(gone.id)
    assert caught.value.fix


def test_an_interrupted_version_is_taken_up_again(tmp_path: Path, catalog: Catalog) -> None:
    document = make_document("A heron waits for a very long time. An otter swims under the ice.")
    passages = chunk(document, size=60)
    version = catalog.stage(document, RECIPE)
    catalog.add_passages(version, passages[:1], EMBEDDER.embed_passages(passages[:1]))
    catalog.close()
    again = Catalog(tmp_path / "catalog.sqlite3")
    assert again.stage(document, RECIPE) == version
    assert again.staged(version) == {passages[0].id}
    again.close()


def test_a_batch_with_too_few_vectors_is_added_not_even_in_part(catalog: Catalog) -> None:
    document = make_document("A heron waits for a very long time. An otter swims under the ice.")
    passages = chunk(document, size=60)
    version = catalog.stage(document, RECIPE)
    with pytest.raises(ValueError, match="shorter"):
        catalog.add_passages(version, passages, EMBEDDER.embed_passages(passages[:1]))
    assert catalog.staged(version) == set()


@pytest.mark.parametrize("recipe", [RECIPE, "recipe 2"])
def test_staging_something_else_drops_what_was_interrupted(catalog: Catalog, recipe: str) -> None:
    interrupted = stage(catalog, make_document("A heron waits."))
    text = "A heron waits." if recipe != RECIPE else "An otter swims."
    version = catalog.stage(make_document(text), recipe)
    assert version != interrupted or catalog.staged(version) == set()
    assert catalog.staged(version) == set()


def test_vectors_of_live_passages_of_the_same_recipe_are_reusable(catalog: Catalog) -> None:
    document = make_document("A heron waits.")
    publish(catalog, document)
    reusable = catalog.reusable(document, RECIPE)
    assert [text for text, _ in reusable] == ["A heron waits."]
    assert catalog.reusable(document, "recipe 2") == {}
    assert catalog.reusable(make_document("A heron waits.", source="other"), RECIPE) == {}


def test_is_live_asks_for_the_same_content_recipe_and_title(catalog: Catalog) -> None:
    document = make_document("A heron waits.")
    version = stage(catalog, document)
    assert not catalog.is_live(document, RECIPE)
    catalog.publish(version)
    assert catalog.is_live(document, RECIPE)
    assert not catalog.is_live(document, "recipe 2")
    assert not catalog.is_live(make_document("An otter swims."), RECIPE)
    assert not catalog.is_live(make_document("A heron waits.", name="b.txt"), RECIPE)


def test_a_full_disk_leaves_the_old_version_and_nothing_of_the_new(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalog.sqlite3"
    old = make_document("A heron waits.")
    new = make_document(" ".join(f"Otter number {n} swims." for n in range(2_000)))
    publish(catalog, old)
    catalog.close()
    with monkeypatch.context() as patch:
        limit_room(patch, path, spare_pages=4)
        full = Catalog(path)
        with pytest.raises(StorageFullError) as caught:
            stage(full, new)
        assert caught.value.fix
        assert full.document(old.id) == old
        full.close()
    assert check_integrity(path) == "ok"
    roomy = Catalog(path)
    assert roomy.document(old.id) == old
    assert len(roomy.match_words("c", ["heron"], limit=9)) == 1
    publish(roomy, new)
    assert roomy.document(old.id) == new
    roomy.close()


def test_a_disk_that_fills_while_passages_are_added_keeps_none_of_that_batch(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalog.sqlite3"
    document = make_document(" ".join(f"Otter number {n} swims." for n in range(500)))
    passages = chunk(document, size=60)
    version = catalog.stage(document, RECIPE)
    catalog.close()
    with monkeypatch.context() as patch:
        limit_room(patch, path, spare_pages=8)
        full = Catalog(path)
        with pytest.raises(StorageFullError):
            full.add_passages(version, passages, EMBEDDER.embed_passages(passages))
        assert full.staged(version) == set()
        full.close()
    assert check_integrity(path) == "ok"


@pytest.mark.parametrize(
    "content", [b"not a database " * 500, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_file_that_is_no_catalog_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(content)
    with pytest.raises(CatalogUnreadableError, match=r"catalog\.sqlite3") as caught:
        Catalog(path)
    assert caught.value.fix
    assert path.read_bytes() == content


def test_a_catalog_of_the_first_schema_is_read_and_its_words_are_indexed_anew(
    tmp_path: Path,
) -> None:
    path = tmp_path / "catalog.sqlite3"
    document = make_document("阿里巴巴宣布投资计划。 The heron waits.")
    with closing(Catalog(path)) as catalog:
        catalog.ensure_collection("c", embedder=EMBEDDER.name, dimension=EMBEDDER.dimension)
        publish(catalog, document)
    with closing(sqlite3.connect(path)) as db:  # as the first schema had it
        db.execute("DROP TABLE words_1")
        db.execute(
            "CREATE VIRTUAL TABLE words_1 USING fts5(text, content='passages', "
            "content_rowid='number', tokenize='porter unicode61 remove_diacritics 2')"
        )
        db.execute("INSERT INTO words_1(rowid, text) SELECT number, text FROM passages")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    with closing(Catalog(path)) as catalog:
        assert catalog.match_words("c", tokenize("投资"), limit=9)
        assert catalog.match_words("c", ["heron"], limit=9)
        catalog.delete(document.id)
        assert catalog.match_words("c", [*tokenize("投资"), "heron"], limit=9) == []
    assert check_integrity(path) == "ok"


def test_a_catalog_of_another_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(CatalogUnreadableError, match="schema 99") as caught:
        Catalog(path)
    assert "FOOTNOTE_HOME" in caught.value.fix


def test_a_folder_in_the_catalogs_place_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        Catalog(tmp_path)


def test_a_collection_keeps_to_the_embedder_it_began_with(catalog: Catalog) -> None:
    with pytest.raises(EmbedderMismatchError, match="'other'") as caught:
        catalog.ensure_collection("c", embedder="other", dimension=64)
    assert caught.value.fix
    with pytest.raises(EmbedderMismatchError):
        catalog.check_embedder("c", "other")
    catalog.check_embedder("c", EMBEDDER.name)
    assert catalog.collections() == [("c", EMBEDDER.name, EMBEDDER.dimension)]


def test_an_unknown_collection_is_answered_with_the_known_ones(catalog: Catalog) -> None:
    for ask in (catalog.live_ids, catalog.records, catalog.collection_number):
        with pytest.raises(CollectionNotFoundError, match=r"'nope'.*'c'"):
            ask("nope")
    assert not catalog.has_collection("nope")


def test_collections_do_not_see_each_others_passages(catalog: Catalog) -> None:
    catalog.ensure_collection("d", embedder=EMBEDDER.name, dimension=EMBEDDER.dimension)
    publish(catalog, make_document("A heron waits."))
    assert catalog.match_words("d", ["heron"], limit=9) == []
    assert catalog.live_passages("d", list(catalog.live_ids("c"))) == {}
    assert catalog.records("d") == []


@given(st.text())
def test_words_of_a_question_hold_no_query_operators(question: str) -> None:
    assert all(word.isalnum() for word in tokenize(question))


@pytest.mark.parametrize(
    "question",
    [
        'a "heron" waits',
        'heron" OR text : "',
        "heron AND NOT (waits",
        "heron* ^heron NEAR(heron, 2)",
        "'; DROP TABLE passages; -- heron",
        "HERON",
        "heron -waits {x} [y] \x00",
    ],
)
def test_operators_and_quotes_in_a_question_are_only_words(catalog: Catalog, question: str) -> None:
    document = make_document("The herons.")
    publish(catalog, document)
    found = catalog.match_words("c", tokenize(question), limit=9)
    assert found == [p.id for p in chunk(document, size=60)]


def test_a_question_of_thousands_of_words_can_be_asked(catalog: Catalog) -> None:
    publish(catalog, make_document("A heron waits."))
    words = [f"word{n}" for n in range(5_000)]
    assert len(catalog.match_words("c", [*words, "heron"], limit=9)) == 1


def test_the_passage_that_holds_more_of_the_words_comes_first(catalog: Catalog) -> None:
    publish(catalog, make_document("A heron waits.", source="1"))
    both = make_document("A heron and an otter.", source="2")
    publish(catalog, both)
    for number in range(3, 9):
        publish(catalog, make_document("Nothing of it.", source=str(number)))
    assert catalog.match_words("c", ["heron", "otter"], limit=1) == [
        p.id for p in chunk(both, size=60)
    ]


def test_readers_see_exactly_one_version_while_a_document_is_replaced(catalog: Catalog) -> None:
    """Every version holds its own number in every passage; a mixture would show two."""
    versions = [make_document(f"Version v{n} one.\n\n" * 12) for n in range(12)]
    publish(catalog, versions[0])
    collection_ids = {n: {p.id for p in chunk(d, size=60)} for n, d in enumerate(versions)}
    start, stop = threading.Barrier(4), threading.Event()
    seen: list[set[str]] = []
    texts: list[str] = []

    def read() -> None:
        start.wait(timeout=10)
        while not stop.is_set():
            seen.append(catalog.live_ids("c"))
            texts.append(catalog.document(versions[0].id).text)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    start.wait(timeout=10)
    for version in versions[1:]:
        publish(catalog, version)
    stop.set()
    for reader in readers:
        reader.join(timeout=10)
    assert seen
    assert all(ids in collection_ids.values() for ids in seen)
    assert set(texts) <= {v.text for v in versions}


def test_connections_of_ended_threads_are_not_kept(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remember(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", remember)
    for _ in range(5):
        thread = threading.Thread(target=catalog.records)
        thread.start()
        thread.join(timeout=10)
    assert len(opened) == 5
    for connection in opened[:-1]:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
