"""The table of metrics: what each is of one record, or of all of them.

A metric of one record is None where it does not apply; a run's figure is the mean of the others,
and two runs are compared question by question. What is no mean stands in `AGGREGATES`. Retrieval
counts a gold document as the relevant one where a set does not list `relevant` ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from qa.evaluation import answers, grounding, ranking, refusals
from qa.evaluation.types import SEARCHED, Place, Question, Record, Unit

RIGHT_F1 = 0.5
"""An answer without the gold words in a row is right from this token F1 on."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that is a mean over questions."""

    group: str
    name: str
    of: Callable[[Record], float | None]
    unit: Unit = Unit.SHARE
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A figure of many questions that is no mean; `over` says which records it is from."""

    group: str
    name: str
    over: Callable[[Record], bool]
    of: Callable[[Sequence[Record]], float | None]
    unit: Unit = Unit.SHARE
    higher_is_better: bool = False


def right(record: Record) -> bool | None:
    """Say whether a record is right: a gold answer, or the refusal of an unanswerable question.

    None where the set has no answers to hold it against, as sets for retrieval.
    """
    question = record.question
    if not _is_asked(record):
        return None
    if record.error is not None:
        return False
    if not question.answerable:
        return not record.answered
    return record.answered and (
        answers.containment(record.answer, question.answers) == 1.0
        or answers.token_f1(record.answer, question.answers) >= RIGHT_F1
    )


def score(record: Record) -> float:
    """Give one number for a record, 0 to 1: rightness, or nDCG@10 where only search is scored."""
    correct = right(record)
    if correct is not None:
        return float(correct)
    return _ranked(partial(ranking.ndcg_at, k=10), record) or 0.0


def _is_asked(record: Record) -> bool:
    searched_only = record.reason == SEARCHED
    return not searched_only and (bool(record.question.answers) or not record.question.answerable)


def _has_answer(record: Record) -> bool:
    return _is_asked(record) and record.question.answerable


def _given(record: Record) -> str:
    return record.answer if record.answered else ""


def _exact_match(record: Record) -> float:
    if record.error is not None:
        return 0.0
    return answers.exact_match(_given(record), record.question.answers)


def _f1(record: Record) -> float:
    if record.error is not None:
        return 0.0
    return answers.token_f1(_given(record), record.question.answers)


def _where(
    condition: Callable[[Record], bool], value: Callable[[Record], float]
) -> Callable[[Record], float | None]:
    return lambda record: value(record) if condition(record) else None


def _relevant(question: Question) -> set[str]:
    if question.relevant:
        return set(question.relevant)
    return {question.document} if question.document and question.answerable else set()


def _ranked(measure: Callable[[list[str], set[str]], float], record: Record) -> float | None:
    relevant = _relevant(record.question)
    if record.passages is None or not relevant:
        return None
    return measure(list(dict.fromkeys(p.source for p in record.passages)), relevant)


def _hit(record: Record, places: Sequence[Place] | None, k: int) -> float | None:
    question = record.question
    if places is None or question.document is None or not question.evidence:
        return None
    spans = [(p.source, p.start, p.end) for p in places]
    return ranking.hit_at(spans, question.document, question.evidence, k)


def _evidence_reached(record: Record) -> float | None:
    return None if record.evidence is None else _hit(record, record.evidence, len(record.evidence))


def _exact_quotes(record: Record) -> float | None:
    if not record.citations:
        return None
    return float(np.mean([c.exact for c in record.citations]))


def _spans(record: Record) -> tuple[list[grounding.Span], list[grounding.Span]]:
    question = record.question
    golds = [(question.document or "", start, end) for start, end in question.evidence]
    return [(c.source, c.start, c.end) for c in record.citations or ()], golds


def _citation_precision(record: Record) -> float | None:
    cited, golds = _spans(record)
    return grounding.span_precision(cited, golds) if golds and record.answered else None


def _citation_recall(record: Record) -> float | None:
    cited, golds = _spans(record)
    if record.citations is None or not record.answered:
        return None
    return grounding.span_recall(cited, golds, every=record.question.every_span)


METRICS = (
    Metric("retrieval", "evidence in the first passage", lambda r: _hit(r, r.passages, 1)),
    Metric("retrieval", "evidence in the first 5", lambda r: _hit(r, r.passages, 5)),
    Metric("retrieval", "evidence in the first 10", lambda r: _hit(r, r.passages, 10)),
    Metric("retrieval", "evidence was read", _evidence_reached),
    Metric("retrieval", "recall@5", partial(_ranked, partial(ranking.recall_at, k=5))),
    Metric("retrieval", "recall@10", partial(_ranked, partial(ranking.recall_at, k=10))),
    Metric("retrieval", "MRR", partial(_ranked, ranking.reciprocal_rank)),
    Metric("retrieval", "nDCG@10", partial(_ranked, partial(ranking.ndcg_at, k=10))),
    Metric("answers", "right", lambda r: None if (x := right(r)) is None else float(x)),
    Metric("answers", "exact match", _where(_is_asked, _exact_match)),
    Metric("answers", "F1", _where(_is_asked, _f1)),
    Metric("answers", "exact match, HasAns", _where(_has_answer, _exact_match)),
    Metric("answers", "F1, HasAns", _where(_has_answer, _f1)),
    Metric(
        "answers",
        "F1, NoAns",
        _where(lambda r: _is_asked(r) and not r.question.answerable, _f1),
    ),
    Metric(
        "answers",
        "contains the gold answer",
        _where(_has_answer, lambda r: answers.containment(_given(r), r.question.answers)),
    ),
    Metric(
        "answers",
        "ROUGE-L",
        _where(_has_answer, lambda r: answers.rouge_l(_given(r), r.question.answers)),
    ),
    Metric(
        "answers",
        "words in an answer",
        _where(lambda r: r.answered, lambda r: float(answers.word_count(r.answer))),
        Unit.COUNT,
        higher_is_better=False,
    ),
    Metric("citations", "exact", _exact_quotes),
    Metric("citations", "precision", _citation_precision),
    Metric("citations", "recall", _citation_recall),
    Metric("citations", "precision, judged", lambda r: r.judged_precision),
    Metric("citations", "recall, judged", lambda r: r.judged_recall),
    Metric(
        "refusal",
        "precision",
        _where(
            lambda r: _is_asked(r) and not r.answered and r.error is None,
            lambda r: float(not r.question.answerable),
        ),
    ),
    Metric(
        "refusal",
        "recall",
        _where(
            lambda r: _is_asked(r) and not r.question.answerable,
            lambda r: float(not r.answered and r.error is None),
        ),
    ),
    Metric("cost", "seconds, mean", lambda r: r.seconds, Unit.SECONDS, higher_is_better=False),
    Metric(
        "cost",
        "tokens in",
        lambda r: None if r.input_tokens is None else float(r.input_tokens),
        Unit.COUNT,
        higher_is_better=False,
    ),
    Metric(
        "cost",
        "tokens out",
        lambda r: None if r.output_tokens is None else float(r.output_tokens),
        Unit.COUNT,
        higher_is_better=False,
    ),
)


def sure(record: Record) -> bool:
    """Say whether a record has an answer, a confidence in it, and a gold one to hold it against."""
    return record.answered and record.confidence is not None and right(record) is not None


def risk_coverage(records: Sequence[Record]) -> list[tuple[float, float]]:
    """Give (coverage, risk) by falling confidence; refused questions are never covered.

    Coverage is of all questions that were asked, so the curve ends where answers end.
    """
    asked = sum(right(r) is not None for r in records)
    answered = [r for r in records if sure(r)]
    points = refusals.risk_coverage(*_confidences(answered)) if answered else []
    return [(coverage * len(answered) / asked, risk) for coverage, risk in points]


def _confidences(records: Sequence[Record]) -> tuple[list[float], list[bool]]:
    return [r.confidence or 0.0 for r in records], [bool(right(r)) for r in records]


def _area(records: Sequence[Record]) -> float | None:
    return refusals.area(refusals.risk_coverage(*_confidences(records))) if records else None


def _calibration_error(records: Sequence[Record]) -> float | None:
    return refusals.calibration_error(*_confidences(records)) if records else None


def _percentile(
    of: Callable[[Record], float | None], share: int, records: Sequence[Record]
) -> float | None:
    values = [v for v in map(of, records) if v is not None]
    return float(np.percentile(values, share)) if values else None


def _always(record: Record) -> bool:
    return record.error is None


AGGREGATES = (
    Aggregate("refusal", "area under risk-coverage, of answers", sure, _area),
    Aggregate("refusal", "calibration error, of answers", sure, _calibration_error),
    *(
        Aggregate(
            "cost",
            f"seconds, p{share}",
            _always,
            partial(_percentile, lambda r: r.seconds, share),
            Unit.SECONDS,
        )
        for share in (50, 90, 99)
    ),
    Aggregate(
        "cost",
        "seconds to the first token, p50",
        lambda r: r.first_token is not None,
        partial(_percentile, lambda r: r.first_token, 50),
        Unit.SECONDS,
    ),
)
