"""Questions and a target -> a run, every answer on the disk as soon as it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from index.errors import BadInputError, FootnoteError
from qa.errors import ModelError
from qa.evaluation.judge import Judge
from qa.evaluation.runs import RunWriter
from qa.evaluation.targets import Target
from qa.evaluation.types import Question, Record

Progress = Callable[[Record], None]
"""Told of each record when it is on the disk."""


class InterruptedRunError(ModelError):
    """The system under evaluation went away; what it answered before is recorded."""


async def evaluate(  # noqa: PLR0913  what a run is made with, by name
    questions: Sequence[Question],
    target: Target,
    writer: RunWriter,
    *,
    concurrency: int = 1,
    judge: Judge | None = None,
    progress: Progress = lambda _: None,
) -> None:
    """Ask what the run does not have yet, `concurrency` questions at a time.

    A question that the system calls bad input is recorded with its error. Raises
    `InterruptedRunError` where the system fails.
    """
    waiting = iter([q for q in questions if q.id not in writer.done])

    async def work(mine: Iterator[Question]) -> None:
        for question in mine:
            try:
                record = await target.answer(question)
            except BadInputError as error:
                record = Record(question, answered=False, error=str(error))
            if judge is not None and record.answered:
                record = await judge.hear(record)
            writer.add(record)
            progress(record)

    try:
        await target.prepare()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work(waiting))
    except* FootnoteError as errors:
        first = errors.exceptions[0]
        raise InterruptedRunError(
            f"{first} {len(writer.records)} of {len(questions)} answers are recorded.",
            fix=f"{getattr(first, 'fix', '')} Then go on with --resume.".strip(),
        ) from first
    finally:
        await target.close()
