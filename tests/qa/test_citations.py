import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.citations import (
    Claim,
    Parsed,
    attribute,
    cite,
    complete,
    ground,
    grow,
    parse_markers,
    quote_whole,
    split_stream,
)
from qa.conclusion import Shown
from qa.prompts import NOT_STATED, says_not_stated
from qa.types import Evidence

BRIDGE = (
    "The bridge opened in 1931. It cost 2.4 million crowns. Ruth Okafor opened it, and 三人 came."
)
LEFT_OVER = re.compile(r"\[\d{1,3}(?:\s*[,;]\s*\d{1,3})*\]")

fragments = st.one_of(
    st.text(max_size=12),
    st.integers(0, 2000).map(lambda n: f"[{n}]"),
    st.lists(st.integers(0, 30), min_size=1, max_size=9).map(lambda ns: f" [{str(ns)[1:-1]}]"),
    st.sampled_from(["Ruth Okafor ", "It cost 2.4 million. ", "1931", "三人 ", "Yes", ". ", " \n"]),
    st.sampled_from(["[", "]", "1", "[1", "2]", ",", " ; ", "[[3]]", "[]", "Not ", "STATED"]),
)
model_texts = st.lists(fragments, max_size=12).map("".join)


@st.composite
def evidence_of_a_text(draw: st.DrawFn) -> tuple[str, tuple[Evidence, ...]]:
    text = draw(st.one_of(st.just(BRIDGE), st.text(min_size=1, max_size=80)))
    ends = draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=12, unique=True))
    spans = list(pairwise(sorted(ends)))
    return text, tuple(
        Evidence(n, "d1", "Bridge", start, end, text[start:end])
        for n, (start, end) in enumerate(spans, start=1)
    )


@st.composite
def cut_up(draw: st.DrawFn) -> list[str]:
    raw = draw(model_texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=30)))
    return [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


def bridge_evidence() -> tuple[Evidence, ...]:
    spans = [(0, 26), (27, 54), (55, len(BRIDGE))]
    return tuple(
        Evidence(n, "d1", "Bridge", a, b, BRIDGE[a:b]) for n, (a, b) in enumerate(spans, start=1)
    )


@pytest.mark.parametrize(
    ("reply", "source", "expected"),
    [
        ("€36.8", "That is €36.8 billion.", "€36.8 billion"),
        ("8", "Revenue rose 8% to 280 billion yuan.", "8%"),
        ("4", "It grew 4\npercent.", "4 percent"),
        ("1931", "It opened in 1931.", "1931"),
        ("2", "It cost 2.4 million.", "2"),
        ("2", "It cost 2,400 million.", "2"),
        ("3", "3 million came, and 3 left.", "3"),
        ("€36.8 billion", "That is €36.8 billion.", "€36.8 billion"),
        ("five", "five million came", "five"),
        ("7", "Nobody came.", "7"),
    ],
)
def test_a_number_at_the_end_has_the_scale_that_its_source_gives(
    reply: str, source: str, expected: str
) -> None:
    assert complete(reply, [Evidence(1, "d", "t", 0, len(source), source)]) == expected


@pytest.mark.parametrize(
    ("reply", "phrases", "whole"),
    [
        ("marine", ["marine steam engines"], "marine steam engines"),
        ("marine", ["submarine engines", "the marine engines"], "the marine engines"),
        ("marine", ["engines"], "marine"),
        ("marine", ["Marine", "marine steam engines"], "marine"),
        ("marine", ["marine engines of the most various sorts"], "marine"),
        ("1971", ["15 August 1971"], "15 August 1971"),
        ("$8,803.15", ["$8,803.15 by ACH"], "$8,803.15"),
        ("8,803", ["8,803 since May"], "8,803"),
        ("36.8", ["36.8 billion"], "36.8 billion"),
        ("6", ["6 to 8 years"], "6 to 8 years"),
        ("May 5", ["on may 5 at noon"], "on may 5"),
        ("", ["one"], ""),
        ("No", ["no known way"], "No"),
        ("yes.", ["yes. That is so"], "yes."),
        ("[1]", ["one"], "[1]"),
    ],
)
def test_a_phrase_that_was_cut_short_is_given_whole(
    reply: str, phrases: list[str], whole: str
) -> None:
    assert grow(reply, phrases) == whole


def test_a_reply_of_numbers_is_those_sentences_each_a_claim_on_itself() -> None:
    parsed = quote_whole("[2] [1], [2] [9]", bridge_evidence())
    assert parsed is not None
    assert parsed.text == "It cost 2.4 million crowns. The bridge opened in 1931."
    assert [parsed.text[c.start : c.end] for c in parsed.claims] == [
        "It cost 2.4 million crowns.",
        "The bridge opened in 1931.",
    ]
    assert [c.numbers for c in parsed.claims] == [(2,), (1,)]
    assert parsed.dropped == 1
    assert ground(parsed, "What did it cost?", bridge_evidence()) == parsed.claims


def test_a_reply_with_a_word_of_its_own_quotes_no_whole_sentence() -> None:
    for raw in ("It cost 2.4 million [2]", "[2] and [1]", "NOT STATED", "", "1931"):
        assert quote_whole(raw, bridge_evidence()) is None


def test_other_sentences_are_quoted_where_they_were_chosen() -> None:
    parsed = quote_whole("[2] [9]", bridge_evidence(), (1, 3))
    assert parsed is not None
    assert [claim.numbers for claim in parsed.claims] == [(1,), (3,)]
    assert parsed.text.startswith("The bridge opened in 1931. Ruth")
    assert parsed.dropped == 1
    nothing = quote_whole("[9]", bridge_evidence(), (1,))
    assert nothing is not None
    assert (nothing.claims, nothing.text) == ((), "")


def test_numbers_in_brackets_that_a_source_has_itself_stay_in_its_sentence() -> None:
    text = "It opened in 1931.[2]"
    parsed = quote_whole("[1]", [Evidence(1, "d", "t", 0, len(text), text)])
    assert parsed is not None
    assert parsed.text == text


@given(model_texts, evidence_of_a_text())
def test_whatever_the_model_writes_every_quote_is_a_slice_of_its_source(
    raw: str, source: tuple[str, tuple[Evidence, ...]]
) -> None:
    text, evidence = source
    parsed = parse_markers(raw, len(evidence))
    citations = cite(parsed.text, ground(parsed, "What did it cost?", evidence), evidence)
    for citation in citations:
        assert text[citation.start : citation.end] == citation.quote
        assert 0 <= citation.answer_start <= citation.answer_end <= len(parsed.text)
        claim = parsed.text[citation.answer_start : citation.answer_end]
        assert any(c.isalnum() for c in claim), "a citation must carry a claim"
    first_seen = list(dict.fromkeys(c.marker for c in citations))
    assert first_seen == list(range(1, len(first_seen) + 1))


@given(model_texts, st.integers(0, 30))
def test_no_marker_is_left_in_the_text_and_no_claim_points_outside_the_evidence(
    raw: str, count: int
) -> None:
    parsed = parse_markers(raw, count)
    assert LEFT_OVER.search(parsed.text) is None
    assert all(1 <= n <= count for claim in parsed.claims for n in claim.numbers)


@given(cut_up())
def test_a_stream_in_any_pieces_shows_the_text_that_is_parsed_at_once(pieces: list[str]) -> None:
    raw = "".join(pieces)
    whole = parse_markers(raw.strip(), 3).text
    shown = Shown()
    so_far = ""
    for piece in pieces:
        so_far += shown.add(piece)
        assert whole.lstrip().startswith(so_far), "what was shown cannot be taken back"
    so_far += shown.finish()
    assert shown.raw == raw
    if not says_not_stated(raw):
        assert so_far.strip() == whole.strip()


@given(
    st.sampled_from(
        [NOT_STATED, "Not stated", "not stated.", f" {NOT_STATED}\n", "Not stated [1]."]
    ),
    st.lists(st.integers(0, 16), max_size=8),
)
def test_nothing_of_a_refusal_is_shown_however_it_is_cut(reply: str, cuts: list[int]) -> None:
    shown = Shown()
    edges = [0, *sorted(min(c, len(reply)) for c in cuts), len(reply)]
    seen = [shown.add(reply[a:b]) for a, b in pairwise(edges)]
    assert "".join([*seen, shown.finish()]) == ""


def test_text_that_only_begins_like_the_refusal_is_shown_in_the_end() -> None:
    shown = Shown()
    assert shown.add("No") == ""
    assert shown.add(", he left [1]") == "No, he left"
    assert shown.finish() == ""
    bare = Shown()
    assert bare.add("No") + bare.finish() == "No"


def test_markers_that_point_at_nothing_are_dropped_and_counted() -> None:
    parsed = parse_markers("It cost a lot [0]. It opened [2, 4, 999].", 3)
    assert parsed.text == "It cost a lot. It opened."
    assert [c.numbers for c in parsed.claims] == [(), (2,)]
    assert parsed.dropped == 3


def test_markers_after_one_claim_are_merged_without_repeats() -> None:
    parsed = parse_markers("It cost a lot [1] [2]. [1; 3]", 3)
    assert parsed.claims == (Claim(0, 13, (1, 2, 3)),)


def test_a_marker_before_the_first_word_makes_no_citation_of_nothing() -> None:
    parsed = parse_markers("[3] It cost 2.4 million crowns.", 3)
    citations = cite(parsed.text, ground(parsed, "", bridge_evidence()), bridge_evidence())
    assert [c.quote for c in citations] == ["It cost 2.4 million crowns."]


def test_a_year_in_brackets_is_text_and_not_a_marker() -> None:
    parsed = parse_markers("It opened [1931] [1].", 3)
    assert parsed.text == "It opened [1931]."
    assert parsed.dropped == 0


def test_a_marker_of_many_numbers_is_held_back_until_it_closes() -> None:
    shown, held = split_stream("It cost a lot [1, 2, 3, 4, 5, 6")
    assert (shown, held) == ("It cost a lot", " [1, 2, 3, 4, 5, 6")


def test_a_claim_keeps_its_marker_where_the_sentence_holds_its_numbers() -> None:
    parsed = parse_markers("The cost was 2.4 million [2].", 3)
    assert ground(parsed, "", bridge_evidence())[0].numbers == (2,)


def test_a_marker_at_the_wrong_sentence_gives_way_to_the_one_with_the_number() -> None:
    parsed = parse_markers("It cost 2.4 million crowns [3].", 3)
    assert [c.numbers for c in ground(parsed, "", bridge_evidence())] == [(2,)]


def test_text_without_markers_is_tied_a_sentence_at_a_time() -> None:
    parsed = parse_markers("It cost 2.4 million crowns. Ruth Okafor opened it.", 3)
    claims = ground(parsed, "", bridge_evidence())
    assert [(parsed.text[c.start : c.end], c.numbers) for c in claims] == [
        ("It cost 2.4 million crowns.", (2,)),
        ("Ruth Okafor opened it.", (3,)),
    ]


def test_a_claim_over_two_sentences_stands_on_both() -> None:
    found = attribute("opened 1931, cost 2.4 million crowns", "", bridge_evidence())
    assert found == (1, 2)


def test_a_claim_that_nothing_carries_is_tied_to_nothing() -> None:
    assert attribute("Penguins swim gracefully", "", bridge_evidence()) == ()
    claims = ground(Parsed("Penguins swim.", (Claim(0, 14, ()),), 0), "", bridge_evidence())
    assert [c.numbers for c in claims] == [()]


def test_a_bare_yes_stands_on_the_sentence_nearest_to_the_question() -> None:
    assert attribute("Yes", "Did Ruth Okafor come?", bridge_evidence()) == (3,)
    assert attribute("Yes", "Do penguins swim?", bridge_evidence()) == ()
    assert attribute("Yes", "Did Ruth Okafor come?", ()) == ()


def test_the_same_sentence_keeps_its_marker_and_others_count_on() -> None:
    claims = (Claim(0, 2, (3,)), Claim(2, 4, (1, 3)), Claim(4, 6, (2,)))
    citations = cite("abcdef", claims, bridge_evidence())
    assert [(c.marker, c.start) for c in citations] == [(1, 55), (2, 0), (1, 55), (3, 27)]


def test_a_citation_links_to_its_span_in_the_view_of_its_document() -> None:
    (citation,) = cite("abc", (Claim(0, 3, (2,)),), bridge_evidence())
    assert citation.url == "/documents/d1/view#27-54"


def test_brackets_in_brackets_leave_no_other_marker_behind() -> None:
    for raw in ("It cost a lot [[1]].", "It cost a lot [1[2]].", "It cost a lot [3, [1]]."):
        assert parse_markers(raw, 3).text == "It cost a lot."
