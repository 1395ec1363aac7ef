"""The model's text -> claims, each tied to source spans. Pure.

A marker is a claim about where an answer stands, not a proof. Markers that point at nothing are
dropped and counted; text without a marker is tied to the sentences that hold its words. What comes
out is made of slices, so that no quote can differ from its source.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from index.chunk import find_sentences
from qa.types import Citation, Evidence
from qa.words import content_stems, known_numbers, numbers, stems, visible

# Brackets that were opened before a marker go with it: what is left on both sides of "[1[2]]" would
# make another one.
MARKER = re.compile(r"\s*(?:\[[\d\s,;]*)*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]+")
ONLY_MARKERS = re.compile(r"(?:\[\d{1,3}\][\s,;.]*)+")
PARTIAL_MARKER = re.compile(r"\s*(?:\[[\d\s,;\[]*\]*)?\Z")
SCALE = re.compile(r"\s?(?:%|(?:percent|per cent|thousand|million|billion|trillion)\b)")
LEAST_COVERAGE = 0.5
"""The share of a claim's words that its sentences must hold, for text without a marker."""
ADJUNCT = re.compile(r"\s+(?:by|at|on|via|with|from|during|after|before|since)\b", re.IGNORECASE)
"""What follows a figure and says how or when, not how much."""
MOST_GROWN = 4
"""So many words at most complete a phrase that was cut short."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A stretch of the answer, [start, end) in its text, and the evidence it stands on."""

    start: int
    end: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A model's text without its markers, the claims they made, and how many pointed at nothing."""

    text: str
    claims: tuple[Claim, ...]
    dropped: int


def parse_markers(raw: str, count: int) -> Parsed:
    """Take the `[n]` markers out of a model's text; n counts from 1 to `count`.

    Markers after one claim are merged; a marker before the first claim claims nothing. Text after
    the last marker is a claim without numbers.
    """
    text = ""
    claims: list[Claim] = []
    start = position = dropped = 0
    for match in MARKER.finditer(raw):
        text += raw[position : match.start()]
        position = match.end()
        asked = [int(n) for n in re.findall(r"\d+", match[1])]
        valid = tuple(n for n in asked if 1 <= n <= count)
        dropped += len(asked) - len(valid)
        if not _has_word(text[start:]):
            if claims:
                last = claims.pop()
                merged = tuple(dict.fromkeys((*last.numbers, *valid)))
                claims.append(Claim(last.start, last.end, merged))
            continue
        claims.append(_trim(text, start, len(text), valid))
        start = len(text)
    text += raw[position:]
    if _has_word(text[start:]):
        claims.append(_trim(text, start, len(text), ()))
    return Parsed(text, tuple(claims), dropped)


def complete(reply: str, evidence: Sequence[Evidence]) -> str:
    """Add the scale that the source gives to a reply's last number: "€36.8" is "€36.8 billion".

    Only where every sentence that holds the reply goes on with the same one.
    """
    if not reply[-1:].isdigit():
        return reply
    found = set()
    for e in evidence:
        text = " ".join(visible(e.text).split())
        for place in re.finditer(re.escape(reply) + r"(?![\d.,]*\d)", text):
            scale = SCALE.match(text, place.end())
            found.add(scale[0] if scale else "")
    return reply + found.pop() if len(found) == 1 else reply


def grow(reply: str, phrases: Sequence[str]) -> str:
    """Give a reply that was cut short as the whole phrase: "marine" is "marine steam engines".

    `phrases` are what a verifier takes for the likeliest answers, best first: the first that holds
    the reply decides, where it has at most `MOST_GROWN` words more. A yes or a no is whole, and so
    is a figure before what only says how or when: "$150" is not "$150 by card".
    """
    if reply.casefold().strip(" .,") in {"yes", "no"}:
        return reply
    inside = re.compile(rf"(?<!\w){re.escape(reply)}(?!\w)", re.IGNORECASE)
    phrase = next(filter(inside.search, phrases), reply)
    found = inside.search(phrase)
    if found and reply[-1:].isdigit() and ADJUNCT.match(phrase, found.end()):
        phrase = phrase[: found.end()]
    return phrase if len(phrase.split()) - len(reply.split()) in range(1, MOST_GROWN + 1) else reply


def quote_whole(
    raw: str, evidence: Sequence[Evidence], chosen: Sequence[int] = ()
) -> Parsed | None:
    """Take a reply of nothing but numbers for those sentences as they stand; None for another.

    Each becomes a claim on itself, white space made single and invisible characters left out.
    Numbers that point at nothing are dropped and counted; so are sentences named twice, uncounted.
    `chosen` are other numbers to take in the place of those that point at something.
    """
    if not ONLY_MARKERS.fullmatch(raw):
        return None
    asked = [int(n) for n in re.findall(r"\d+", raw)]
    by_number = {e.number: e for e in evidence}
    text = ""
    claims = []
    named = list(dict.fromkeys(n for n in asked if n in by_number))
    for number in (chosen or named) if named else ():
        text += " " if text else ""
        start = len(text)
        text += " ".join(visible(by_number[number].text).split())
        claims.append(Claim(start, len(text), (number,)))
    return Parsed(text, tuple(claims), sum(n not in by_number for n in asked))


def attribute(claim: str, question: str, evidence: Sequence[Evidence]) -> tuple[int, ...]:
    """Find the sentences that a claim without a marker stands on, by their words; () for none.

    The one that covers most is taken first, then any that add numbers or words still missing.
    A bare yes or no stands on the sentence nearest to the question.
    """
    wanted = set(content_stems(claim)) | set(numbers(claim))
    if not wanted:
        asked = set(content_stems(question))
        best = max(evidence, key=lambda e: len(asked & stems(e.text)), default=None)
        return (best.number,) if best is not None and asked & stems(best.text) else ()
    held = {e.number: (stems(e.text) | known_numbers(e.text)) & wanted for e in evidence}
    flat = " ".join(claim.split()).casefold().strip(" .")
    topic = set(content_stems(question))

    def weigh(e: Evidence) -> tuple[bool, int, int]:
        verbatim = flat in " ".join(e.text.split()).casefold()
        return verbatim, len(held[e.number]), len(topic & stems(e.text))

    chosen: list[int] = []
    missing = set(wanted)
    for sentence in sorted(evidence, key=weigh, reverse=True):
        if held[sentence.number] & missing:
            chosen.append(sentence.number)
            missing -= held[sentence.number]
    covered = 1 - len(missing) / len(wanted)
    return tuple(sorted(chosen)) if covered >= LEAST_COVERAGE else ()


def ground(parsed: Parsed, question: str, evidence: Sequence[Evidence]) -> tuple[Claim, ...]:
    """Tie every claim to evidence: by its own markers where they hold its numbers, else by words.

    Text without markers is taken a sentence at a time. A claim that nothing carries keeps ().
    """
    by_number = {e.number: e for e in evidence}
    grounded: list[Claim] = []
    for claim in parsed.claims:
        quotes = "\n".join(by_number[n].text for n in claim.numbers)
        if claim.numbers and set(numbers(parsed.text[claim.start : claim.end])) <= known_numbers(
            quotes
        ):
            grounded.append(claim)
            continue
        for span in find_sentences(parsed.text[claim.start : claim.end]):
            start, end = claim.start + span.start, claim.start + span.end
            if not _has_word(parsed.text[start:end]):
                continue
            found = attribute(parsed.text[start:end], question, evidence)
            grounded.append(Claim(start, end, found or claim.numbers))
    return tuple(grounded)


def cite(text: str, claims: Sequence[Claim], evidence: Sequence[Evidence]) -> tuple[Citation, ...]:
    """Make citations of claims, their markers counted from 1 in the order of the answer.

    The same source span keeps one marker; a claim on two sentences gives two citations.
    """
    by_number = {e.number: e for e in evidence}
    markers: dict[tuple[str, int, int], int] = {}
    made = []
    for claim in claims:
        for number in claim.numbers:
            e = by_number[number]
            marker = markers.setdefault((e.document_id, e.start, e.end), len(markers) + 1)
            made.append(
                Citation(
                    marker=marker,
                    document_id=e.document_id,
                    title=e.title,
                    quote=e.text,
                    start=e.start,
                    end=e.end,
                    page=e.page,
                    section=e.section,
                    answer_start=min(claim.start, len(text)),
                    answer_end=min(claim.end, len(text)),
                )
            )
    return tuple(made)


def split_stream(buffer: str) -> tuple[str, str]:
    """Split what has been streamed into (text to show, tail that may yet become a marker)."""
    tail = PARTIAL_MARKER.search(buffer)
    cut = len(buffer) if tail is None else tail.start()
    return MARKER.sub("", buffer[:cut]), buffer[cut:]


def _has_word(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _trim(text: str, start: int, end: int, found: tuple[int, ...]) -> Claim:
    while start < end and (text[start].isspace() or text[start] in ".,;:"):
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Claim(start, end, found)
