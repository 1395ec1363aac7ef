"""What stands in a text: its words, numbers and names, in forms that can be compared. Pure.

English is what the stop words and number words know. In other languages fewer numbers are known,
and a capital says less: a German noun counts as a name, and must stand in the source as one.
"""

from __future__ import annotations

import re
import unicodedata

from index.tokens import space_out

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?|\d[\d.,]*\d|\d", re.UNICODE)
NUMBER = re.compile(r"\d[\d.,\u00a0\u202f]*\d|\d")
NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        (
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
            "fifteen sixteen seventeen eighteen nineteen twenty"
        ).split()
    )
} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
    "hundred": "100",
    "first": "1",
    "second": "2",
    "third": "3",
    "fourth": "4",
    "fifth": "5",
    "once": "1",
    "twice": "2",
}
FUNCTION_WORDS = frozenset(
    (
        "a an the of in on at to for from by with and or but nor so as if than then that this "
        "these those it its he she they we you i his her their our your my him them us me is are "
        "was were be been being am do does did done have has had having will would can could "
        "shall should may might must not no yes what which who whom whose when where why how "
        "there here about into over under after before between during through also only such very "
        "much many more most any some all each every both few other another same own s t just "
        "still yet ever according name give tell list describe explain please"
    ).split()
)
NEGATIONS = frozenset("not no never neither nor without cannot none nobody nothing".split())
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Control characters that are no white space, and Unicode's Default_Ignorable_Code_Point (15.1)."""
MAGNITUDE = re.compile(
    r"(\d[\d.,]*\d|\d)[\s\u00a0\u202f-]*"
    r"(%|(?:per\s?cent|hundred|thousand|million|billion|trillion)\b)",
    re.IGNORECASE,
)


def stem(word: str) -> str:
    """Fold case, accents and the commonest English endings, so that forms of a word compare."""
    folded = unicodedata.normalize("NFKD", word.casefold())
    folded = "".join(c for c in folded if not unicodedata.combining(c))
    folded = re.sub(r"['\u2019]s?$", "", folded)
    for ending in ("ingly", "edly", "ies", "ing", "ed", "es", "s", "e", "y", "i"):
        if folded.endswith(ending) and len(folded) - len(ending) >= 3:  # noqa: PLR2004  "is", "red"
            return folded[: -len(ending)]
    return folded


def visible(text: str) -> str:
    """Leave out what no reader sees: a model would read it, and a word would not be that word."""
    return INVISIBLE.sub("", text)


def words(text: str) -> list[str]:
    """List the words and numbers of a text as they stand, without what is invisible in them.

    Of a run of Chinese, Japanese or Korean its pairs of characters.
    """
    return WORD.findall(space_out(visible(text)))


def stems(text: str) -> set[str]:
    """Give the stems of all words of a text; parts of hyphenated and possessive words count."""
    return {stem(word) for word in words(text)}


def content_stems(text: str) -> list[str]:
    """List the distinct stems of the words that carry meaning, in order; numbers are left out."""
    found = (w for w in words(text) if not w[0].isdigit() and w.casefold() not in FUNCTION_WORDS)
    return list(dict.fromkeys(stem(w) for w in found))


def numbers(text: str) -> list[str]:
    """List the distinct numbers written in digits, without separators: "1,000.50" is "1000.5"."""
    return list(dict.fromkeys(_plain(n) for n in NUMBER.findall(text)))


def known_numbers(text: str) -> set[str]:
    """Give every number that a text states, in digits or in words."""
    spelled = {NUMBER_WORDS[w.casefold()] for w in words(text) if w.casefold() in NUMBER_WORDS}
    return set(numbers(text)) | spelled


def quantities(text: str) -> set[tuple[str, str]]:
    """Give each number that has a magnitude or a percent sign beside it: ("50", "billion")."""
    return {(_plain(n), _name_magnitude(m)) for n, m in MAGNITUDE.findall(text)}


def names(text: str) -> list[str]:
    """List the words that are written as names: capitalised inside a sentence, or with digits off.

    A sentence's first word counts only where a second capital follows it, or where it stands alone:
    its capital may be the sentence's.
    """
    found: list[str] = []
    for sentence in re.split(r"(?<=[.!?:;])\s+|\n+", text):
        tokens = [w for w in words(sentence) if not w[0].isdigit()]
        for place, token in enumerate(tokens):
            if not _is_capitalised(token):
                continue
            alone = len(tokens) == 1
            followed = place + 1 < len(tokens) and _is_capitalised(tokens[place + 1])
            shouted = token.isupper() and len(token) > 1
            if place > 0 or alone or followed or shouted:
                found.append(token)
    return list(dict.fromkeys(found))


def _is_capitalised(token: str) -> bool:
    # "What's" and "Isn't" are no names either.
    folded = re.sub(r"(?:n['\u2019]t|['\u2019](?:s|re|ll|ve|d|m))$", "", token.casefold())
    return token[0].isupper() and len(token) > 1 and folded not in FUNCTION_WORDS


def _name_magnitude(written: str) -> str:
    return "%" if written.casefold().startswith("per") else written.casefold()


def _plain(number: str) -> str:
    digits = re.sub(r"[,\u00a0\u202f](?=\d{3}(?:\D|$))", "", number).rstrip(".,")
    digits = digits.replace(",", ".")
    if digits.count(".") == 1:
        digits = digits.rstrip("0").rstrip(".") if digits[-1] == "0" else digits
    return digits.lstrip("0") or "0"
