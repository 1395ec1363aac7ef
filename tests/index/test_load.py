from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import (
    BadInputError,
    EmptyDocumentError,
    UndecodableTextError,
    UnsupportedFormatError,
)
from index.load import (
    LOADERS,
    build_document,
    decode,
    hash_content,
    load,
    load_markdown,
    load_text,
    name_document,
)
from index.types import Section

SHARED = Path(__file__).parents[3] / "shared" / "fixtures" / "documents"
READABLE = sorted(p for p in SHARED.glob("*") if p.suffix in {".txt", ".md"})
MARKDOWN = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *("# One\n", "Two\n===\n", "### \n", "> # In a quote\n", "- # In a list\n"),
                *("- item\n", "  - nested\n", "1. one\n", "```\n", "~~~\n", "    code\n", "---\n"),
                *("|a|b|\n|-|-|\n|1|2|\n", "<div>\n", "[a]: http://x\n", "\n", "\r", "\r\n"),
                *("\x0b", "\x0c", "\u2028", "\x85", "\x1c", "\t", "text. More text. ", "你好。"),
            ]
        ),
        st.text(max_size=6),
    ),
    max_size=25,
).map("".join)
NO_NUL = st.text().filter(lambda text: "\x00" not in text)


@given(MARKDOWN)
def test_markdown_keeps_its_text_and_its_structure_within_bounds(text: str) -> None:
    loaded = load_markdown(text)
    starts = [section.start for section in loaded.sections]
    assert loaded.text == text
    assert list(loaded.breaks) == sorted(set(loaded.breaks))
    assert all(0 < offset < len(text) for offset in loaded.breaks)
    assert starts == sorted(starts)
    assert all(0 <= start < len(text) for start in starts)


@given(MARKDOWN)
def test_a_heading_is_found_where_it_stands(before: str) -> None:
    heading = f"{before}\n\n\n# The needle heading\n"
    loaded = load_markdown(heading)
    for section in loaded.sections:
        if section.title == "The needle heading":
            assert heading[section.start :].lstrip(" >").startswith("# The needle")


@given(NO_NUL)
def test_plain_text_keeps_its_text_and_breaks_after_blank_lines(text: str) -> None:
    loaded = load_text(text)
    assert loaded.text == text
    for offset in loaded.breaks:
        assert text[:offset].splitlines()[-1].strip() == ""
        assert text[offset:].splitlines()[0].strip()


@given(NO_NUL)
def test_utf8_and_utf16_with_a_mark_decode_to_what_was_written(text: str) -> None:
    text = text.removeprefix("\ufeff")
    encoded = [
        text.encode(),
        codecs.BOM_UTF8 + text.encode(),
        codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    ]
    assert [decode(data, name="a.txt") for data in encoded] == [text] * 4


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"ab\xffc", "UTF-8: byte 2 (ff)"),
        (codecs.BOM_UTF8 + b"ab\xffc", "UTF-8: byte 5 (ff)"),
        ("ä".encode("latin-1"), "UTF-8: byte 0 (e4)"),
        (codecs.BOM_UTF16_LE + b"a\x00\x00\xd8", "UTF-16: byte 4 (00)"),
        (codecs.BOM_UTF16_LE + b"a\x00b", "UTF-16: byte 4 (62)"),
    ],
)
def test_undecodable_bytes_are_refused_by_their_offset_in_the_file(
    data: bytes, complaint: str
) -> None:
    with pytest.raises(UndecodableTextError) as caught:
        load(data, name="a.txt")
    assert complaint in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("data", [b"ab\x00c", "ab".encode("utf-32")])
def test_nul_characters_are_refused_as_binary(data: bytes) -> None:
    with pytest.raises(UndecodableTextError, match="NUL character at offset") as caught:
        load(data, name="a.txt")
    assert caught.value.fix


@pytest.mark.parametrize("data", [b"", b" \r\n\t\n", codecs.BOM_UTF8, "\u2028\u3000".encode()])
@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_a_file_without_visible_text_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(EmptyDocumentError, match=name) as caught:
        load(data, name=name)
    assert caught.value.fix


@pytest.mark.parametrize("name", ["a.pdf", "b.tar.gz", "c.PDF"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UnsupportedFormatError) as caught:
        load(b"text", name=name)
    assert ".md" in caught.value.fix
    assert ".txt" in caught.value.fix


@pytest.mark.parametrize("name", ["README", "a.TXT", "folder.d/notes.text", "a.markdown", "A.Md"])
def test_known_suffixes_are_read_in_either_case(name: str) -> None:
    assert load(b"Some text.", name=name).text == "Some text."


@pytest.mark.parametrize(
    ("name", "data", "title", "expected"),
    [
        ("folder/notes.txt", b"text", None, "notes"),
        ("notes.md", b"intro\n\n# The heading\n", None, "The heading"),
        ("notes.md", b"no heading", None, "notes"),
        ("notes.md", b"# The heading", " Given ", "Given"),
    ],
)
def test_the_title_is_the_given_one_or_the_first_heading_or_the_stem(
    name: str, data: bytes, title: str | None, expected: str
) -> None:
    assert load(data, name=name, title=title).title == expected


def test_markdown_blocks_bound_sentences_and_headings_name_sections() -> None:
    text = "Intro.\n\n# First\n\n- one\n- two\n\n```\nx = 1\ny = 2\n```\n\n## Second\n\nEnd.\n"
    loaded = load_markdown(text)
    assert loaded.sections == (
        Section(text.index("# First"), "First"),
        Section(text.index("## Second"), "Second"),
    )
    for start in ("- one", "- two", "x = 1", "y = 2", "End."):
        assert text.index(start) in loaded.breaks


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_markdown_offsets_hold_for_every_kind_of_line_end(line_break: str) -> None:
    text = line_break.join(["a\u2028b\x0bc", "", "# Heading", "", "End."])
    assert load_markdown(text).sections == (Section(text.index("#"), "Heading"),)


def test_the_same_bytes_read_by_another_loader_are_another_content() -> None:
    built = [
        build_document(b"- a\n- b", name=name, collection="c", source="s")
        for name in ("a.txt", "a.md")
    ]
    assert built[0].id == built[1].id
    assert built[0].content_hash != built[1].content_hash
    assert hash_content(b"a", "text/plain") == hash_content(b"a", "text/plain")


def test_a_document_is_named_by_its_collection_and_source() -> None:
    names = {name_document(c, s) for c, s in [("a", "b"), ("a", "c"), ("b", "b"), ("ab", "")]}
    assert len(names) == 4
    assert name_document("a", "b") == name_document("a", "b")


def test_every_loader_keeps_the_text_as_it_is() -> None:
    text = "\n # A \r\n\n  b\tc  \n\n\n"
    assert {loader(text).text for loader in LOADERS.values()} == {text}


@pytest.mark.skipif(not READABLE, reason=f"{SHARED} is not here")
@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_a_real_file_loads_or_is_refused_as_bad_input(path: Path) -> None:
    """Any error outside the `BadInputError` branch is a defect, and fails the test by itself."""
    refusal = refuse(path)
    assert refusal is None or (path.name in str(refusal) and refusal.fix)


def refuse(path: Path) -> BadInputError | None:
    try:
        load(path.read_bytes(), name=path.name)
    except BadInputError as error:
        return error
    return None
