"""A language model as judge: does a quote entail what it is cited for? ALCE's recall and precision.

Gao et al. 2023 (arXiv:2305.14627) ask an NLI model; here it is any chat model, asked for one word.
A short answer is no statement by itself, so the question stands before it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from qa.errors import ModelUnavailableError
from qa.evaluation.grounding import alce_precision, alce_recall
from qa.evaluation.types import Record

RULES = (
    "You check claims. Say yes if the passage alone shows that the answer to the question is "
    "right, and no if it does not. Reply with yes or no."
)


class Judge:
    """Puts a judge's recall and precision of its citations into a record."""

    def __init__(self, model: BaseChatModel) -> None:
        self._model = model

    async def hear(self, record: Record) -> Record:
        """Judge every claim of an answer by its quotes. Raises `ModelUnavailableError`."""
        return await asyncio.to_thread(self._hear, record)

    def _hear(self, record: Record) -> Record:
        statements = _statements(record)
        known: dict[tuple[str, str], bool] = {}

        def entails(premise: str, claim: str) -> bool:
            if (premise, claim) not in known:
                known[premise, claim] = self._entails(record.question.text, premise, claim)
            return known[premise, claim]

        return replace(
            record,
            judged_recall=alce_recall(statements, entails),
            judged_precision=alce_precision(statements, entails),
        )

    def _entails(self, question: str, premise: str, claim: str) -> bool:
        messages: list[BaseMessage] = [
            SystemMessage(RULES),
            HumanMessage(f"Passage: {premise}\n\nQuestion: {question}\nAnswer: {claim}"),
        ]
        try:
            reply = self._model.invoke(messages)
        except Exception as error:  # every provider raises its own tree; this is where it ends
            raise ModelUnavailableError(
                f"The judge broke off: {type(error).__name__}: {error}"
            ) from error
        return str(reply.text).strip().casefold().startswith("yes")


def _statements(record: Record) -> list[tuple[str, list[str]]]:
    """Group the quotes by the stretch of the answer that they are cited for."""
    groups: dict[tuple[int, int], list[str]] = {}
    for c in record.citations or ():
        groups.setdefault((c.answer_start, c.answer_end), []).append(c.quote)
    if not groups:
        return [(record.answer, [])]
    return [(record.answer[start:end], quotes) for (start, end), quotes in groups.items()]
