"""How near is an answer to the gold ones? Pure.

Exact match and token F1 are SQuAD 2.0's (Rajpurkar, Jia and Liang 2018): an unanswerable question
has no gold answers, a refusal is an empty answer. ROUGE-L is Lin 2004.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ROUGE_TOKEN = re.compile(r"[a-z0-9]+")


def normalize(text: str) -> str:
    """Give SQuAD's normal form: lower case, without punctuation, articles and extra white space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(given: str, golds: Sequence[str]) -> float:
    """Give 1.0 where the normal form is that of a gold answer, else 0.0."""
    normal = normalize(given)
    return max(float(normal == normalize(gold)) for gold in _real(golds))


def token_f1(given: str, golds: Sequence[str]) -> float:
    """Give the best F1 of the tokens of the normal forms, 0 to 1."""
    tokens = normalize(given).split()
    return max(_f1(tokens, normalize(gold).split()) for gold in _real(golds))


def containment(given: str, golds: Sequence[str]) -> float:
    """Give 1.0 where a gold answer's words stand in the answer, in a row, else 0.0."""
    normal = f" {normalize(given)} "
    return float(any(f" {normalize(gold)} " in normal for gold in golds if normalize(gold)))


def rouge_l(given: str, golds: Sequence[str]) -> float:
    """Give the best ROUGE-L F-measure: by the longest common subsequence of lower-case tokens."""
    tokens = _ROUGE_TOKEN.findall(given.lower())
    return max((_rouge(tokens, _ROUGE_TOKEN.findall(g.lower())) for g in golds), default=0.0)


def word_count(text: str) -> int:
    """Count the words between white space."""
    return len(text.split())


def _real(golds: Sequence[str]) -> list[str]:
    return [gold for gold in golds if normalize(gold)] or [""]


def _f1(given: list[str], gold: list[str]) -> float:
    if not given or not gold:
        return float(given == gold)
    same = sum((Counter(given) & Counter(gold)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(given), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def _rouge(given: list[str], gold: list[str]) -> float:
    if not given or not gold:
        return 0.0
    row = [0] * (len(gold) + 1)
    for token in given:
        before = row
        row = [0]
        for place, other in enumerate(gold):
            row.append(before[place] + 1 if token == other else max(before[place + 1], row[place]))
    return 2 * row[-1] / (len(given) + len(gold))
