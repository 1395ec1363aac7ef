from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from index.errors import StorageError
from index.vectors import VectorIndex, survives_probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from index.types import Vectors


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[VectorIndex]:
    opened = VectorIndex(tmp_path)
    yield opened
    opened.close()


def make_rows(*rows: list[float]) -> Vectors:
    return np.array(rows, dtype=np.float32)


def test_the_similarity_is_the_cosine_and_the_nearest_comes_first(vectors: VectorIndex) -> None:
    vectors.upsert("c", ["same", "opposite", "slanted"], make_rows([1, 0], [-1, 0], [0.6, 0.8]))
    found = vectors.query("c", make_rows([1, 0])[0], limit=9)
    assert [id_ for id_, _ in found] == ["same", "slanted", "opposite"]
    assert [similarity for _, similarity in found] == pytest.approx([1.0, 0.6, -1.0], abs=1e-5)


def test_the_limit_bounds_what_is_found(vectors: VectorIndex) -> None:
    vectors.upsert("c", ["a", "b", "c"], make_rows([1, 0], [0, 1], [0.6, 0.8]))
    assert len(vectors.query("c", make_rows([1, 0])[0], limit=2)) == 2


def test_a_collection_without_rows_finds_nothing(vectors: VectorIndex) -> None:
    assert vectors.query("c", make_rows([1, 0])[0], limit=9) == []
    assert vectors.ids("c") == set()


def test_writing_an_id_again_replaces_its_row(vectors: VectorIndex) -> None:
    vectors.upsert("c", ["a"], make_rows([1, 0]))
    vectors.upsert("c", ["a"], make_rows([0, 1]))
    assert vectors.ids("c") == {"a"}
    assert vectors.query("c", make_rows([0, 1])[0], limit=9)[0][1] == pytest.approx(1.0, abs=1e-5)


def test_more_rows_than_one_batch_are_written_and_deleted(vectors: VectorIndex) -> None:
    ids = [f"p{n}" for n in range(450)]
    vectors.upsert("c", ids, np.ones((450, 2), dtype=np.float32))
    assert vectors.ids("c") == set(ids)
    vectors.delete("c", ids[1:])
    assert vectors.ids("c") == {"p0"}


def test_ids_that_are_not_there_are_deleted_quietly(vectors: VectorIndex) -> None:
    vectors.upsert("c", ["a"], make_rows([1, 0]))
    vectors.delete("c", ["unknown"])
    vectors.delete("c", [])
    vectors.delete("never written to", ["unknown"])
    assert vectors.ids("c") == {"a"}


@pytest.mark.parametrize("name", ["ß", "a b.c-d", "名前", "x" * 100])
def test_collections_of_any_name_are_kept_apart(vectors: VectorIndex, name: str) -> None:
    vectors.upsert(name, ["a"], make_rows([1, 0]))
    assert vectors.ids(name) == {"a"}
    assert vectors.ids(name + "2") == set()


def test_a_row_of_another_dimension_is_a_storage_error_with_a_fix(vectors: VectorIndex) -> None:
    vectors.upsert("c", ["a"], make_rows([1, 0]))
    with pytest.raises(StorageError) as caught:
        vectors.query("c", make_rows([1, 0, 0])[0], limit=9)
    assert caught.value.fix


def test_rows_are_there_after_closing_and_opening(tmp_path: Path) -> None:
    first = VectorIndex(tmp_path)
    first.upsert("c", ["a"], make_rows([1, 0]))
    first.close()
    second = VectorIndex(tmp_path)
    assert second.ids("c") == {"a"}
    second.close()


@pytest.mark.parametrize("damage", [b"garbage" * 1000, b""])
def test_a_broken_store_that_was_left_open_is_thrown_away(tmp_path: Path, damage: bytes) -> None:
    first = VectorIndex(tmp_path)
    first.upsert("c", ["a"], make_rows([1, 0]))
    first.close()
    (tmp_path / "store" / "chroma.sqlite3").write_bytes(damage)
    (tmp_path / "open").touch()
    second = VectorIndex(tmp_path)
    assert second.ids("c") == set()
    second.upsert("c", ["b"], make_rows([0, 1]))
    assert second.query("c", make_rows([0, 1])[0], limit=9)[0][0] == "b"
    second.close()


def test_a_sound_store_that_was_left_open_is_kept(tmp_path: Path) -> None:
    first = VectorIndex(tmp_path)
    first.upsert("c", ["a"], make_rows([1, 0]))
    first.close()
    (tmp_path / "open").touch()
    second = VectorIndex(tmp_path)
    assert second.ids("c") == {"a"}
    second.close()


def test_a_store_is_marked_open_until_it_is_closed(tmp_path: Path) -> None:
    index = VectorIndex(tmp_path)
    assert (tmp_path / "open").exists()
    index.close()
    assert not (tmp_path / "open").exists()


def test_a_truncated_store_fails_the_probe(tmp_path: Path) -> None:
    index = VectorIndex(tmp_path)
    index.upsert("c", ["a"], make_rows([1, 0]))
    index.close()
    database = tmp_path / "store" / "chroma.sqlite3"
    database.write_bytes(database.read_bytes()[:5000])
    assert not survives_probe(tmp_path / "store")


def test_a_store_that_does_not_exist_yet_passes_the_probe(tmp_path: Path) -> None:
    assert survives_probe(tmp_path / "store")
