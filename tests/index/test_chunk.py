from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from index.chunk import chunk, find_sentences
from index.load import build_document
from index.types import Document, Section, Span

SEED = Path(__file__).parents[2] / "seeds" / "alibaba-ai-investment.txt"
PIECES = st.one_of(
    st.sampled_from(
        [
            *("\n", "\n\n\n\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u3000"),
            *("Dr. Smith left. ", "Why (he asked. Twice) not? ", "“Quoted. Text.” ", "e.g. 3.5 "),
            *("你好。", "再见!世界。", "مرحبا؟ ", "नमस्ते। ", "🙂", "e\u0301", "\u200b", "\ufeff"),
            *("# Title\n", "- item\n", "1. one\n", "```\n", "|a|b|\n|-|-|\n", "> quote\n", "===\n"),
            *("x" * 70, "word " * 30),
        ]
    ),
    st.text(max_size=6),
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


@st.composite
def texts_with_offsets(draw: st.DrawFn) -> tuple[str, list[int]]:
    text = draw(TEXTS)
    return text, draw(st.lists(st.integers(0, len(text)), max_size=6))


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text, offsets = draw(texts_with_offsets())
    kinds = draw(st.lists(st.integers(0, 2), min_size=len(offsets), max_size=len(offsets)))
    chosen: list[list[int]] = [[], [], []]
    for offset, kind in sorted(set(zip(offsets, kinds, strict=True))):
        chosen[kind].append(offset)
    return make_document(text, breaks=chosen[0], sections=chosen[1], pages=chosen[2])


def make_document(
    text: str,
    *,
    breaks: list[int] | None = None,
    sections: list[int] | None = None,
    pages: list[int] | None = None,
    content_hash: str = "hash",
) -> Document:
    return Document(
        id="d1",
        collection="c",
        source="s",
        title="Title",
        text=text,
        media_type="text/plain",
        content_hash=content_hash,
        breaks=tuple(breaks or ()),
        sections=tuple(Section(start, f"section at {start}") for start in sections or ()),
        pages=tuple(pages or ()),
    )


def covered(spans: list[Span]) -> set[int]:
    return {offset for span in spans for offset in range(span.start, span.end)}


def visible(text: str) -> set[int]:
    return {offset for offset, character in enumerate(text) if not character.isspace()}


@given(texts_with_offsets(), st.integers(1, 80))
@example(("a b", []), 1)
def test_sentences_are_ordered_trimmed_and_cover_every_visible_character(
    drawn: tuple[str, list[int]], longest: int
) -> None:
    text, breaks = drawn
    sentences = find_sentences(text, breaks, longest=longest)
    assert all(a.end <= b.start for a, b in pairwise(sentences))
    for sentence in sentences:
        piece = text[sentence.start : sentence.end]
        assert piece
        assert piece == piece.strip()
        assert len(piece) <= longest
        assert not any(sentence.start < b < sentence.end for b in breaks)
    assert visible(text) <= covered(sentences)


@given(texts_with_offsets(), st.integers(1, 80))
def test_a_sentence_that_fits_is_never_split(drawn: tuple[str, list[int]], longest: int) -> None:
    text, breaks = drawn
    whole = find_sentences(text, breaks, longest=len(text) + 1)
    cut = find_sentences(text, breaks, longest=longest)
    assert {s for s in whole if s.end - s.start <= longest} <= set(cut)


@given(documents(), st.integers(1, 120))
def test_passages_are_exact_ordered_slices_that_cover_all_visible_text(
    document: Document, size: int
) -> None:
    passages = chunk(document, size=size)
    assert all(a.end <= b.start for a, b in pairwise(passages))
    for passage in passages:
        assert passage.text == document.text[passage.start : passage.end]
        assert 0 < len(passage.text) <= size
    assert visible(document.text) <= covered([Span(p.start, p.end) for p in passages])


@given(documents(), st.integers(1, 120))
def test_passages_consist_of_whole_sentences_of_the_document(document: Document, size: int) -> None:
    walls = [s.start for s in document.sections]
    sentences = find_sentences(
        document.text, (*document.breaks, *walls, *document.pages), longest=size
    )
    passages = chunk(document, size=size)
    assert [s for p in passages for s in p.sentences] == sentences
    for passage in passages:
        assert (passage.start, passage.end) == (
            passage.sentences[0].start,
            passage.sentences[-1].end,
        )
        assert (
            passage.slice(passage.sentences[0])
            == (document.text[passage.sentences[0].start : passage.sentences[0].end])
        )


@given(documents(), st.integers(1, 120))
def test_a_passage_lies_in_one_section_and_one_page_and_names_them(
    document: Document, size: int
) -> None:
    for passage in chunk(document, size=size):
        sections = [s for s in document.sections if s.start <= passage.start]
        assert passage.section == (sections[-1].title if sections else None)
        assert passage.page == (sum(p <= passage.start for p in document.pages) or None)
        walls = [*(s.start for s in document.sections), *document.pages]
        assert not any(passage.start < wall < passage.end for wall in walls)


def test_a_heading_over_nothing_but_a_heading_goes_with_what_follows() -> None:
    text = "# Tides\n\n## Tables\n\nHigh at noon.\n\n## Staff\n\nOne keeper.\n\n# Appendix\n"
    at = [0, text.index("## Tables"), text.index("## Staff"), text.index("# Appendix")]
    named = [
        Section(a, t) for a, t in zip(at, ("Tides", "Tables", "Staff", "Appendix"), strict=True)
    ]
    document = replace(make_document(text, breaks=at), sections=tuple(named))
    passages = chunk(document)
    assert [(p.text.split("\n")[0], p.text.split("\n")[-1], p.section) for p in passages] == [
        ("# Tides", "High at noon.", "Tables"),
        ("## Staff", "One keeper.", "Staff"),
        ("# Appendix", "# Appendix", "Appendix"),
    ]


@given(documents(), st.integers(1, 120))
def test_ids_are_distinct_and_the_same_each_time(document: Document, size: int) -> None:
    first = [p.id for p in chunk(document, size=size)]
    assert first == [p.id for p in chunk(document, size=size)]
    assert len(set(first)) == len(first)


def test_ids_change_with_the_content() -> None:
    old = chunk(make_document("Same text.", content_hash="old"))
    new = chunk(make_document("Same text.", content_hash="new"))
    assert old[0].id != new[0].id


def test_a_line_break_inside_a_paragraph_ends_no_sentence_of_the_seed() -> None:
    document = build_document(SEED.read_bytes(), name=SEED.name, collection="c", source="s")
    sentences = [
        document.text[s.start : s.end] for s in find_sentences(document.text, document.breaks)
    ]
    found = [s for s in sentences if "co-founder\nJack Ma and" in s]
    assert len(found) == 1
    assert found[0].startswith("This announcement comes")
    assert found[0].endswith("the technology sector.")


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_line_break_of_either_kind_stays_inside_the_sentence(line_break: str) -> None:
    text = f"It was co-founder{line_break}Jack Ma who spoke. He left."
    assert [text[s.start : s.end] for s in find_sentences(text)] == [
        f"It was co-founder{line_break}Jack Ma who spoke.",
        "He left.",
    ]


def test_an_overlong_sentence_is_cut_at_white_space_where_there_is_some() -> None:
    text = "alpha beta gamma delta"
    pieces = [text[s.start : s.end] for s in find_sentences(text, longest=12)]
    assert pieces == ["alpha beta", "gamma delta"]


def test_an_overlong_word_is_cut_where_it_must_be() -> None:
    assert find_sentences("x" * 25, longest=10) == [Span(0, 10), Span(10, 20), Span(20, 25)]


@pytest.mark.parametrize("text", ["", " \n\t\u2028 "])
def test_text_without_a_visible_character_has_no_sentence(text: str) -> None:
    assert find_sentences(text) == []
    assert chunk(make_document(text)) == ()


@pytest.mark.parametrize("indent", ["", "    "])
def test_a_paragraph_that_fits_a_passage_is_not_divided(indent: str) -> None:
    text = f"One one one.\n\n{indent}Two two two. Three three."
    document = build_document(text.encode(), name="a.txt", collection="c", source="s")
    assert [p.text for p in chunk(document, size=30)] == [
        "One one one.",
        "Two two two. Three three.",
    ]


def test_paragraphs_share_a_passage_that_has_room_for_them() -> None:
    document = build_document(b"One.\n\nTwo.\n\nThree.", name="a.txt", collection="c", source="s")
    assert [p.text for p in chunk(document)] == ["One.\n\nTwo.\n\nThree."]


def test_a_document_of_many_short_sections_is_chunked_in_one_pass() -> None:
    """With a scan of all sections or sentences for each passage this would take minutes."""
    text = "# Head\n\nShort one. Another.\n\n" * 5_000
    document = build_document(text.encode(), name="a.md", collection="c", source="s")
    assert len(chunk(document)) == 5_000


def test_a_text_of_one_block_is_cut_in_one_pass() -> None:
    """With a copy of the block for each sentence this would take half an hour."""
    text = "They opened the old bridge. Nobody was there on 31.12. at noon. " * 30_000
    assert len(find_sentences(text)) == 60_000


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Pay by 31.12. at noon. Then go.", ["Pay by 31.12. at noon.", "Then go."]),
        ("On 3. Mai 2020 we met.", ["On 3. Mai 2020 we met."]),
        ("It takes max. 60 minutes. Wait.", ["It takes max. 60 minutes.", "Wait."]),
        ("TOTAL DUE ..... $78.77", ["TOTAL DUE ..... $78.77"]),
        ("She was born in 1998. It rained.", ["She was born in 1998.", "It rained."]),
        ("We won 3. The others lost.", ["We won 3.", "The others lost."]),
        ("On 3. April 2020 we met.", ["On 3. April 2020 we met."]),
        ("1. Open the lid.\n2. Close it.", ["1. Open the lid.", "2. Close it."]),
        ("1) Open it. Wait.\n2) Close it.", ["1) Open it.", "Wait.", "2) Close it."]),
    ],
)
def test_a_full_stop_of_a_date_or_an_abbreviation_ends_nothing(
    text: str, sentences: list[str]
) -> None:
    assert [text[s.start : s.end] for s in find_sentences(text)] == sentences


def test_a_receipt_has_a_sentence_a_line_and_stays_one_passage() -> None:
    text = "BAKERY STROBL\n3 x roll   1.65\n1 x bread  5.20\n\nThank you."
    (passage,) = chunk(make_document(text, breaks=[text.index("Thank")]))
    assert [passage.slice(s) for s in passage.sentences] == [
        "BAKERY STROBL",
        "3 x roll   1.65",
        "1 x bread  5.20",
        "Thank you.",
    ]
