"""Does another document say otherwise? Pure.

An answer is read from what the search prefers, and another document may answer the same question
differently. So the reader is asked again with the other documents' sentences alone, where the
search finds one likely enough; and where the two answers differ, and the second is sure by the
strictest measure, both are told and cited. Which of them is right, or newer, is not ours to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qa.citations import Claim, Parsed
from qa.types import Evidence
from qa.words import NEGATIONS, content_stems, known_numbers, quantities, words

LEAST_CHANCE = 0.08
"""How likely a sentence must be the one, of all that were found, to be worth a second reading."""
JOINT = "\nAnother document says: "


def find_others(evidence: Sequence[Evidence], claims: Sequence[Claim]) -> tuple[Evidence, ...]:
    """Give the sentences of documents that no claim cites; () where none is likely enough."""
    cited = {n for claim in claims for n in claim.numbers}
    told = {e.document_id for e in evidence if e.number in cited}
    others = tuple(e for e in evidence if e.document_id not in told)
    return others if any(e.chance >= LEAST_CHANCE for e in others) else ()


def differ(one: str, other: str) -> bool:
    """Say whether two answers to one question cannot be told as one.

    Answers with numbers differ where they share none, or the shared ones differ in magnitude;
    answers without any where they share no word that carries meaning, or where one denies. What one
    tells with a number and the other in words may be the same thing.
    """
    counted = known_numbers(one), known_numbers(other)
    if all(counted):
        sizes = quantities(one), quantities(other)
        alike = not all(sizes) or not sizes[0].isdisjoint(sizes[1])
        return counted[0].isdisjoint(counted[1]) or not alike
    if any(counted):
        return False
    topics = set(content_stems(one)), set(content_stems(other))
    if _denies(one) != _denies(other):
        return True
    return all(topics) and topics[0].isdisjoint(topics[1])


def join(
    one: Parsed, claims: Sequence[Claim], other: Parsed, others: Sequence[Claim]
) -> tuple[Parsed, tuple[Claim, ...]]:
    """Put the other document's answer under the first, its claims moved to where they stand now."""
    moved = len(one.text) + len(JOINT)
    shifted = tuple(replace(c, start=c.start + moved, end=c.end + moved) for c in others)
    text = f"{one.text}{JOINT}{other.text}"
    joined = (*claims, *shifted)
    return Parsed(text, joined, one.dropped + other.dropped), joined


def _denies(text: str) -> bool:
    return any(w.casefold() in NEGATIONS for w in words(text))
