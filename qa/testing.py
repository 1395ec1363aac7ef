"""Shipped fakes, for this project's tests and its users': a chat model, and a verifier."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from qa.types import Evidence
from qa.verifier import Verdict

Script = Callable[[str], str]
"""Given the last message's text, what the model replies."""


class ScriptedChatModel(BaseChatModel):
    """A chat model whose replies come from `script`; it streams them a word at a time.

    `asked` collects every prompt's last message, so that a test can see what was shown.
    A reply that is an exception is raised in the middle of the stream.
    """

    script: Callable[[str], str | Exception]
    asked: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _reply(self, messages: Sequence[BaseMessage]) -> str | Exception:
        shown = str(messages[-1].text)
        self.asked.append(shown)
        return self.script(shown)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del stop, run_manager, kwargs
        reply = self._reply(messages)
        if isinstance(reply, Exception):
            raise reply
        return ChatResult(generations=[ChatGeneration(message=AIMessage(reply))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        del stop, run_manager, kwargs
        yield from _pieces(self._reply(messages))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        del stop, run_manager, kwargs
        for piece in _pieces(self._reply(messages)):
            yield piece


@dataclass(frozen=True, slots=True)
class ScriptedVerifier:
    """A verifier of one opinion: `odds` (ln) that any text answers any question.

    `relevant` gives each sentence's, by its text; without it, all are such that what a reader names
    stays and nothing is added to it. `phrases` are the likeliest answers, best first.
    """

    odds: float = 6.0
    relevant: Callable[[str], float] = lambda _text: -0.75
    near: float = 0.8
    phrases: tuple[str, ...] = ()

    def load(self) -> None:
        """Do nothing: there is nothing to load."""

    def verify(self, question: str, evidence: Sequence[Evidence]) -> Verdict:
        """Give the opinion."""
        del question
        return Verdict(self.odds, tuple(self.relevant(e.text) for e in evidence), self.phrases)

    def explain(self, question: str, title: str, sentences: Sequence[Evidence]) -> Verdict:
        """Give the opinion, which is the same of a whole passage."""
        del title
        return self.verify(question, sentences)

    def compare(self, question: str, texts: Sequence[str]) -> float:
        """Give what `near` says."""
        del question, texts
        return self.near


def always(reply: str) -> Script:
    """Give a script of one reply."""
    return lambda _shown: reply


def _pieces(reply: str | Exception) -> Iterator[ChatGenerationChunk]:
    text = "Half of an" if isinstance(reply, Exception) else reply
    for place, word in enumerate(text.split(" ")):
        piece = word if place == 0 else f" {word}"
        yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
    if isinstance(reply, Exception):
        raise reply
