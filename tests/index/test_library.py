from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from index.errors import (
    CatalogUnreadableError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    DocumentTooLargeError,
    EmbedderMismatchError,
    EmptyDocumentError,
    InvalidNameError,
    LibraryInUseError,
)
from index.library import (
    Library,
    Upload,
    announce_address,
    check_collection,
    read_address,
    withdraw_address,
)
from index.testing import HashingEmbedder

if TYPE_CHECKING:
    from tests.index.conftest import CountingEmbedder

ROOT = Path(__file__).parents[2]
OPEN_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from index.errors import LibraryInUseError
from index.library import Library
from index.testing import HashingEmbedder
try:
    Library(Path(sys.argv[1]), HashingEmbedder()).close()
except LibraryInUseError as error:
    print(error, error.fix)
    sys.exit(3)
"""
HERON = Upload(b"A heron waits. It hunts at dawn.", "heron.txt")


def open_elsewhere(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", OPEN_IN_ANOTHER_PROCESS, str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_upload_is_read_without_being_stored_and_added_afterwards(library: Library) -> None:
    document = library.read(HERON)
    before = library.documents()
    added = library.add(document)

    assert before == []
    assert added.outcome == "created"
    assert library.document(added.record.id) == document
    assert library.ingest(HERON).outcome == "unchanged"


def test_an_open_folder_is_refused_to_others_by_the_address_of_its_server(
    library: Library, embedder: CountingEmbedder
) -> None:
    announce_address(library.home, "http://127.0.0.1:8123")
    with pytest.raises(LibraryInUseError, match=r"http://127\.0\.0\.1:8123") as caught:
        Library(library.home, embedder)
    assert caught.value.fix
    elsewhere = open_elsewhere(library.home)
    assert elsewhere.returncode == 3, elsewhere.stderr
    assert "http://127.0.0.1:8123" in elsewhere.stdout
    library.ingest(HERON)


def test_a_folder_without_a_server_is_refused_by_its_path(
    library: Library, embedder: CountingEmbedder
) -> None:
    with pytest.raises(LibraryInUseError, match="home"):
        Library(library.home, embedder)


def test_a_closed_folder_can_be_used_again_at_once(
    tmp_path: Path, embedder: CountingEmbedder
) -> None:
    with Library(tmp_path, embedder) as first:
        record = first.ingest(HERON).record
        announce_address(tmp_path, "http://127.0.0.1:8123")
    assert read_address(tmp_path) is None
    with Library(tmp_path, embedder) as second:
        assert second.repaired == 0
        assert second.document(record.id).text == HERON.data.decode()
        assert second.search("heron")[0].passage.document_id == record.id
    assert open_elsewhere(tmp_path).returncode == 0


def test_another_thread_can_close_the_folder(tmp_path: Path, embedder: CountingEmbedder) -> None:
    """As a server does, whose start and stop run in threads of a pool."""
    library = Library(tmp_path, embedder)
    closer = threading.Thread(target=library.close)
    closer.start()
    closer.join(timeout=10)
    Library(tmp_path, embedder).close()


def test_a_folder_that_fails_to_open_is_not_kept_locked(
    tmp_path: Path, embedder: CountingEmbedder
) -> None:
    broken = tmp_path / "catalog.sqlite3"
    broken.write_bytes(b"not a database " * 500)
    kept = []  # a traceback keeps the half-opened library, and with it the lock, from the collector
    for _ in range(2):
        with pytest.raises(CatalogUnreadableError) as caught:
            Library(tmp_path, embedder)
        kept.append(caught)
    broken.unlink()
    Library(tmp_path, embedder).close()


def test_a_lost_vector_store_is_rebuilt_without_embedding_anything(
    tmp_path: Path, embedder: CountingEmbedder
) -> None:
    with Library(tmp_path, embedder) as first:
        first.ingest(HERON)
        first.ingest(Upload(b"An otter swims.", "otter.txt", collection="other"))
    (tmp_path / "vectors" / "store" / "chroma.sqlite3").write_bytes(b"garbage" * 1000)
    (tmp_path / "vectors" / "open").touch()
    embedder.embedded.clear()
    with Library(tmp_path, embedder) as second:
        assert second.repaired == 2
        assert second.search("heron")[0].dense_rank == 1
        assert second.search("otter", collection="other")[0].dense_rank == 1
    assert embedder.embedded == []


def test_files_of_no_bytes_or_too_many_are_refused(tmp_path: Path) -> None:
    with Library(tmp_path, HashingEmbedder(), max_document_bytes=10) as library:
        library.ingest(Upload(b"x" * 10, "fits.txt"))
        with pytest.raises(DocumentTooLargeError, match=r"a\.txt has 11 bytes; the limit is 10"):
            library.ingest(Upload(b"x" * 11, "a.txt"))
        with pytest.raises(EmptyDocumentError, match=r"a\.txt has 0 bytes"):
            library.ingest(Upload(b"", "a.txt"))
        assert [r.source for r in library.documents()] == ["fits.txt"]


@pytest.mark.parametrize("name", ["a", "Ünï côdé", "9 lives", "a.b-c_d", "名前", "x" * 100])
def test_names_of_letters_digits_and_separators_can_be_collections(name: str) -> None:
    check_collection(name)


@pytest.mark.parametrize("name", ["", " a", ".", "-a", "a/b", "a\n", "a\x00", "x" * 101, "../up"])
def test_other_names_are_refused(library: Library, name: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        library.ingest(Upload(b"text", "a.txt", collection=name))
    assert caught.value.fix
    assert library.catalog.collections() == []


@pytest.mark.parametrize("source", ["a\nb", "\x00", "x" * 1001, "\ud800", "\u202e"])
def test_a_source_is_short_and_printable(library: Library, source: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        library.ingest(Upload(b"text", "a.txt", source=source))
    assert caught.value.fix


def test_the_default_collection_is_empty_before_its_first_document(library: Library) -> None:
    assert library.search("heron") == []
    assert library.documents("default") == []
    assert library.documents() == []


def test_an_unknown_collection_is_an_error_and_is_not_created(library: Library) -> None:
    library.ingest(HERON)
    for ask in (lambda: library.search("heron", collection="x"), lambda: library.documents("x")):
        with pytest.raises(CollectionNotFoundError, match="'x'") as caught:
            ask()
        assert caught.value.fix
    assert not library.catalog.has_collection("x")


def test_the_same_source_in_two_collections_is_two_documents(library: Library) -> None:
    first = library.ingest(HERON).record
    second = library.ingest(Upload(HERON.data, HERON.name, collection="other")).record
    assert first.id != second.id
    assert len(library.documents()) == 2
    assert [r.id for r in library.documents("other")] == [second.id]
    assert {h.passage.document_id for h in library.search("heron")} == {first.id}


def test_a_deleted_document_is_gone_and_can_be_sent_again(library: Library) -> None:
    record = library.ingest(HERON).record
    library.delete(record.id)
    assert library.search("heron") == []
    for ask in (library.delete, library.document):
        with pytest.raises(DocumentNotFoundError):
            ask(record.id)
    assert library.ingest(HERON).outcome == "created"
    assert library.search("heron")


def test_opening_with_another_embedder_refuses_to_search_what_it_cannot_compare(
    tmp_path: Path,
) -> None:
    with Library(tmp_path, HashingEmbedder(64)) as first:
        first.ingest(HERON)
    with Library(tmp_path, HashingEmbedder(32)) as second:
        with pytest.raises(EmbedderMismatchError) as caught:
            second.search("heron")
        assert caught.value.fix
        second.ingest(Upload(HERON.data, HERON.name, collection="new"))
        assert second.search("heron", collection="new")


def test_documents_sent_from_several_threads_all_arrive(library: Library) -> None:
    def send(number: int) -> None:
        library.ingest(Upload(f"A heron, number n{number}.".encode(), f"{number}.txt"))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert {r.source for r in library.documents()} == {f"{n}.txt" for n in range(8)}
    assert library.vectors.ids("default") == library.catalog.live_ids("default")


@pytest.mark.parametrize("content", ["", "{}", "not json"])
def test_a_damaged_address_is_no_address(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.json").write_text(content)
    assert read_address(tmp_path) is None


def test_an_address_can_be_withdrawn_twice(tmp_path: Path) -> None:
    announce_address(tmp_path, "http://[::1]:1")
    assert read_address(tmp_path) == "http://[::1]:1"
    withdraw_address(tmp_path)
    withdraw_address(tmp_path)
    assert read_address(tmp_path) is None
