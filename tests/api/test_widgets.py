from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.widgets import Looks, WidgetNotFoundError, WidgetStore, read_origin
from index.errors import BadInputError, StorageError


@pytest.fixture
def store(tmp_path: Path) -> WidgetStore:
    return WidgetStore.of(tmp_path / "home")


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.com", "https://example.com"),
        (" HTTPS://Example.COM/ ", "https://example.com"),
        ("https://example.com:443", "https://example.com"),
        ("http://localhost:9000", "http://localhost:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(text: str, origin: str) -> None:
    assert read_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "",
        "example.com",
        "https://",
        "https://*.example.com",
        "https://example.com/page",
        "https://example.com?x=1",
        "https://me@example.com",
        "ftp://example.com",
        "https://example.com:port",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_origin_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInputError) as raised:
        read_origin(text)
    assert "https://example.com" in raised.value.fix


def test_a_store_without_a_file_has_no_widgets_and_makes_none(
    store: WidgetStore, tmp_path: Path
) -> None:
    assert store.list() == []
    with pytest.raises(WidgetNotFoundError):
        store.get("w_" + "0" * 20)
    assert not (tmp_path / "home").exists()


def test_a_widget_is_the_same_when_it_is_read_again(store: WidgetStore) -> None:
    looks = Looks(title="Help", starters=("Who?", "Why?"), accent="#0b57d0", position="left")
    made = store.create(
        collection="default",
        origins=("https://a.example/", "https://a.example"),
        per_minute=3,
        looks=looks,
    )

    assert made.origins == ("https://a.example",)
    assert store.get(made.id) == made
    assert store.list() == [made]


def test_ids_cannot_be_guessed_from_one_another(store: WidgetStore) -> None:
    ids = {store.create(collection="default").id for _ in range(20)}

    assert len(ids) == 20
    assert all(len(i) == 22 for i in ids)


def test_a_revoked_widget_is_gone(store: WidgetStore) -> None:
    made = store.create(collection="default")
    store.revoke(made.id)

    assert store.list() == []
    with pytest.raises(WidgetNotFoundError):
        store.revoke(made.id)


@pytest.mark.parametrize(
    "values",
    [
        {"accent": "red"},
        {"accent": "#0b57d0;background:url(//evil)"},
        {"position": "middle"},
        {"starters": tuple("abcdefg")},
    ],
)
def test_looks_that_are_none_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        Looks(**values)


@pytest.mark.parametrize("per_minute", [0, -1, 10_001])
def test_a_limit_that_is_none_is_refused(store: WidgetStore, per_minute: int) -> None:
    with pytest.raises(BadInputError):
        store.create(collection="default", per_minute=per_minute)


def test_a_broken_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "widgets.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError) as raised:
        WidgetStore.of(tmp_path).list()
    assert "backup" in raised.value.fix
