"""Bytes of any supported format -> text, with a map from offsets to sections.

A loader decodes and finds structure; it never rewrites the text, because every citation is an
offset into it. New formats are new rows of `LOADERS`.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePath

from markdown_it import MarkdownIt

from index.errors import EmptyDocumentError, UndecodableTextError, UnsupportedFormatError
from index.types import Document, Section

LOADER_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a loader makes of a file."""

    text: str
    media_type: str
    title: str | None = None
    sections: tuple[Section, ...] = ()
    breaks: tuple[int, ...] = ()


def load(data: bytes, *, name: str, title: str | None = None) -> Loaded:
    """Read one file; `name` decides the format by its suffix.

    Raises `UnsupportedFormatError`, `UndecodableTextError`, or `EmptyDocumentError`.
    """
    suffix = PurePath(name).suffix.lower()
    loader = LOADERS.get(suffix)
    if loader is None:
        known = ", ".join(sorted(s for s in LOADERS if s))
        raise UnsupportedFormatError(
            f"{name}: files that end in {suffix!r} cannot be read yet.",
            fix=f"Convert it to one of {known}.",
        )
    loaded = loader(decode(data, name=name))
    if not loaded.text.strip():
        raise EmptyDocumentError(f"{name} has no text in it ({len(data)} bytes).")
    best = (title or loaded.title or PurePath(name).stem or name).strip()
    return Loaded(loaded.text, loaded.media_type, best, loaded.sections, loaded.breaks)


def decode(data: bytes, *, name: str) -> str:
    """Decode UTF-8, or UTF-16 that begins with its byte order mark; drop the mark only.

    Raises `UndecodableTextError` with the offending byte's offset: a guessed encoding would make
    quotes that are exact slices of a text nobody wrote.
    """
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        # "utf-8-sig" counts from behind the byte order mark, a reader of the file from its start.
        at = error.start + len(data) - len(error.object)
        raise UndecodableTextError(
            f"{name} is not valid {encoding.removesuffix('-sig').upper()}: "
            f"byte {at} ({data[at : at + 1].hex()}) cannot be decoded.",
        ) from error
    if "\x00" in text:
        raise UndecodableTextError(
            f"{name} has a NUL character at offset {text.index(chr(0))}: it is binary, not text.",
            fix="Send the text of the file rather than the file.",
        )
    return text


def load_text(text: str) -> Loaded:
    """Plain text: a blank line ends a paragraph, a single line break ends nothing."""
    return Loaded(text, "text/plain", breaks=_blank_lines(text))


def load_markdown(text: str) -> Loaded:
    """CommonMark with tables: blocks bound sentences, headings name sections.

    The text stays the source as written, marks and all.
    """
    starts = [0, *accumulate(len(line) for line in _markdown_lines(text))]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    sections: list[Section] = []
    breaks: set[int] = set()
    for position, token in enumerate(tokens):
        if token.map is None:
            continue
        first, last = (starts[min(line, len(starts) - 1)] for line in token.map)
        breaks.update((first, last))
        if token.type in {"fence", "code_block"}:
            breaks.update(starts[token.map[0] : token.map[1]])
        if token.type == "heading_open":
            sections.append(Section(first, tokens[position + 1].content))
    title = sections[0].title if sections else None
    return Loaded(
        text, "text/markdown", title, tuple(sections), tuple(sorted(breaks - {0, len(text)}))
    )


LOADERS: dict[str, Callable[[str], Loaded]] = {
    "": load_text,
    ".txt": load_text,
    ".text": load_text,
    ".md": load_markdown,
    ".markdown": load_markdown,
}


def hash_content(data: bytes, media_type: str) -> str:
    """Name the bytes and the loader that read them: the same name means nothing to do."""
    loader = f"{LOADER_VERSION}\0{media_type}\0".encode()
    return hashlib.sha256(loader + data).hexdigest()


def name_document(collection: str, source: str) -> str:
    """Give the stable id of a source in a collection; a new version keeps it."""
    return "d" + hashlib.sha256(f"{collection}\0{source}".encode()).hexdigest()[:20]


def build_document(
    data: bytes, *, name: str, collection: str, source: str, title: str | None = None
) -> Document:
    """Load a file and give it its identity. Raises what `load` raises."""
    loaded = load(data, name=name, title=title)
    return Document(
        id=name_document(collection, source),
        collection=collection,
        source=source,
        title=loaded.title or name,
        text=loaded.text,
        media_type=loaded.media_type,
        content_hash=hash_content(data, loaded.media_type),
        sections=loaded.sections,
        breaks=loaded.breaks,
    )


def _blank_lines(text: str) -> tuple[int, ...]:
    breaks: list[int] = []
    offset, blank = 0, False
    for line in text.splitlines(keepends=True):
        if blank and line.strip():
            breaks.append(offset)
        blank = not line.strip()
        offset += len(line)
    return tuple(b for b in breaks if b)


def _markdown_lines(text: str) -> list[str]:
    # CommonMark ends lines at \n, \r\n and \r only; str.splitlines knows more.
    lines: list[str] = []
    start = 0
    for position, character in enumerate(text):
        ends = character == "\n" or (
            character == "\r" and text[position + 1 : position + 2] != "\n"
        )
        if ends:
            lines.append(text[start : position + 1])
            start = position + 1
    return [*lines, text[start:]]
