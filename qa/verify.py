"""Does the cited text carry the answer? Pure, and needs no model.

Before reading: the names and numbers that the question turns on stand in what was found. After:
every number and every name of the answer stands in what it cites, and a yes or no does not say
the opposite of it. Each check gives a `Refusal`, or None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from index.types import Hit
from qa.citations import Claim
from qa.types import Evidence, Refusal, RefusalCode
from qa.words import (
    FUNCTION_WORDS,
    NEGATIONS,
    content_stems,
    known_numbers,
    names,
    numbers,
    quantities,
    stem,
    stems,
    words,
)

NOT_ENDINGS = ("n't", "n\u2019t")
NEGATION_REACH = 3
"""How many words after a negation it still negates."""
LEAST_FUZZY = 5
CLOSE_SPELLING = 0.85
COUNTED = re.compile(r"\bhow many ((?:[\w-]+ ){0,3}?[\w-]+)", re.IGNORECASE)


def check_question(question: str, hits: Sequence[Hit]) -> Refusal | None:
    """Refuse where a name or number of the question stands nowhere in the passages found.

    Titles and sections count: a page on Warsaw need not repeat its name.
    """
    found = "\n".join(
        f"{h.passage.title}\n{h.passage.section or ''}\n{h.passage.text}" for h in hits
    )
    present = stems(found)
    strangers = [n for n in names(question) if not _is_present(n, present)]
    if strangers:
        listed = ", ".join(strangers)
        return Refusal(
            RefusalCode.NAME_NOT_IN_EVIDENCE,
            f"The documents found do not mention {listed}.",
            tuple(strangers),
        )
    known = known_numbers(found)
    unknown = [n for n in numbers(question) if n not in known]
    if unknown:
        listed = ", ".join(unknown)
        return Refusal(
            RefusalCode.NUMBER_NOT_IN_EVIDENCE,
            f"The documents found say nothing about {listed}.",
            tuple(unknown),
        )
    return None


def check_answer(
    question: str, text: str, claims: Sequence[Claim], evidence: Sequence[Evidence]
) -> Refusal | None:
    """Refuse where a claim is not carried by the sentences it cites."""
    by_number = {e.number: e for e in evidence}
    if not claims:
        return Refusal(RefusalCode.UNSUPPORTED_ANSWER, "The model gave no answer.")
    for claim in claims:
        cited = [by_number[n] for n in claim.numbers]
        refusal = _check_claim(question, text[claim.start : claim.end], cited)
        if refusal is not None:
            return refusal
    return None


def _check_claim(question: str, claim: str, cited: Sequence[Evidence]) -> Refusal | None:
    quotes = "\n".join(e.text for e in cited)
    if not cited:
        return Refusal(
            RefusalCode.UNSUPPORTED_ANSWER, "No passage found says what the model answered."
        )
    unknown = [n for n in numbers(claim) if n not in known_numbers(quotes)] or [
        f"{n} {unit}" for n, unit in sorted(quantities(claim) - quantities(quotes))
    ]
    if unknown:
        return Refusal(
            RefusalCode.UNSUPPORTED_NUMBER,
            f"The model answered with a number that its passage does not give: {unknown[0]}.",
            tuple(unknown),
        )
    present = stems(quotes + "\n" + "\n".join(f"{e.title}\n{e.section or ''}" for e in cited))
    strangers = [n for n in names(claim) if not _is_present(n, present)]
    if strangers:
        return Refusal(
            RefusalCode.UNSUPPORTED_NAME,
            f"The model answered with a name that its passage does not give: {strangers[0]}.",
            tuple(strangers),
        )
    if contradicts(question, claim, quotes):
        return Refusal(
            RefusalCode.CONTRADICTED, "The model's yes or no is the opposite of its passage."
        )
    return check_kind(question, claim, quotes)


def check_kind(question: str, claim: str, quotes: str) -> Refusal | None:
    """Refuse a count of something that the cited text does not mention."""
    counted = COUNTED.search(question)
    if counted is None or not numbers(claim):
        return None
    things = content_stems(counted[1])
    if things and not stems(quotes) & set(things):
        return Refusal(
            RefusalCode.UNSUPPORTED_ANSWER,
            f"The passage gives a number, but not one of {counted[1]}.",
            (counted[1],),
        )
    return None


def contradicts(question: str, claim: str, quotes: str) -> bool:
    """Say whether a bare yes stands against a negated quote: "leads?", "no longer leads", "yes".

    Only what is plain is called a contradiction: the negation stands within three words before
    a word of the question, in a sentence that the answer cites, and the question has none.
    """
    first = (words(claim) or [""])[0].casefold()
    asked = {w.casefold() for w in words(question)}
    if first != "yes" or asked & NEGATIONS or any(w.endswith(NOT_ENDINGS) for w in asked):
        return False
    topic = set(content_stems(question)) - {stem(n) for n in names(question)}
    tokens = [w.casefold() for w in words(quotes)]
    for place, token in enumerate(tokens):
        if token in NEGATIONS or token.endswith(NOT_ENDINGS):
            after = tokens[place + 1 : place + 1 + NEGATION_REACH]
            if any(stem(w) in topic for w in after):
                return True
    return False


def _is_present(name: str, present: set[str]) -> bool:
    if name.casefold() in FUNCTION_WORDS:
        return True
    folded = stem(name)
    # "Chinese" is carried by "China", "Norman" by "Normandy": forms of a name share its beginning.
    if any(p == folded or _share_root(p, folded) for p in present):
        return True
    # A typing error is no reason to refuse: "Counil" is carried by "Council".
    return len(folded) >= LEAST_FUZZY and bool(
        get_close_matches(folded, present, n=1, cutoff=CLOSE_SPELLING)
    )


def _share_root(one: str, other: str) -> bool:
    least = 4
    shorter, longer = sorted((one, other), key=len)
    roots = (shorter, shorter.removesuffix("a"))
    return any(len(root) >= least and longer.startswith(root) for root in roots)
