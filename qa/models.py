"""`local` or any LangChain `provider:model` -> a reader: something that gives a chat model.

A reader is asked for its chat model at each question, because the local one moves to a new port
when its process is started again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from qa.errors import ModelSettingError
from qa.prompts import NOT_STATED
from qa.types import LARGE, SMALL, Assent, Certainty, Profile, Usage

TOP = 12
"""How many of the likeliest tokens are asked for."""
LEAST_CHANCE = 1e-6
REFUSING = NOT_STATED.split()[0]
"""The token that a refusal of the trained reader begins with."""
QUOTING = "["
"""The token that a reply of sentences' numbers begins with."""
HELD_BACK: Mapping[str, float] = {REFUSING: -4.0, QUOTING: -0.5}
"""What is added to the scores of tokens before the trained reader's next one is chosen.

With the refusal held back a little, a reader that doubts gives its answer and its doubt, and what
risk is accepted decides; one that is thirty times as sure that nothing is stated still says so.
Numbers are held back too: who asks for a fact would rather have the phrase than its sentence.
"""
ADAPTED: Mapping[str, Any] = {
    "lora": [{"id": 0, "scale": 1.0}],
    "logit_bias": [[word, more] for word, more in HELD_BACK.items()],
}
"""How llama.cpp's server is asked to apply its adapter, which it does not do unasked."""
LOADING_SECONDS = 60.0
"""How long a question waits for the local model to load."""


class Reader(Protocol):
    """A language model and how it is best asked."""

    @property
    def name(self) -> str:
        """The model, as it is shown with its answers."""

    @property
    def profile(self) -> Profile:
        """Its way of being asked, and its budget."""

    @property
    def ready(self) -> bool:
        """Whether a question would be answered without waiting for a load."""

    @property
    def runtime(self) -> str | None:
        """What runs the model here, with its version; None where it runs elsewhere."""

    async def chat(self) -> BaseChatModel:
        """Give the chat model. Raises `ModelError`."""

    async def answering(self) -> BaseChatModel:
        """Give the chat model that answers; a trained one is another than `chat`'s.

        Raises `ModelError`.
        """

    async def assent(self, messages: Sequence[BaseMessage]) -> Assent | None:
        """Tell how likely the model replies yes and not no; None where it cannot tell.

        Raises what the provider raises.
        """

    def close(self) -> None:
        """Release what the reader holds."""


@dataclass(frozen=True, slots=True)
class PlainReader:
    """A chat model as it is: any provider's, or a scripted one."""

    name: str
    model: BaseChatModel
    profile: Profile = LARGE
    ready: bool = True
    runtime: str | None = None

    async def chat(self) -> BaseChatModel:
        """Give the model."""
        return self.model

    async def answering(self) -> BaseChatModel:
        """Give the model."""
        return self.model

    async def assent(self, messages: Sequence[BaseMessage]) -> Assent | None:
        """Give None: the weights of a confidence are fitted to the shipped model's replies."""
        del messages
        return None

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class ModelServer(Protocol):
    """A server of the shipped model: `qa.llama.LlamaServer`, or one that runs already."""

    @property
    def key(self) -> str:
        """What it wants to be shown."""

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""

    def address(self, timeout: float) -> str:
        """Give where it listens now, waiting so many seconds for it. Raises `ModelError`."""

    def close(self) -> None:
        """End it, where it is ours to end."""


class LocalReader:
    """The shipped model in its child process, spoken to with the OpenAI protocol.

    Where its profile is a trained one, the server has an adapter: it answers with it and looks at
    its answer again with it, and does everything else without.
    """

    def __init__(
        self,
        name: str,
        server: ModelServer,
        *,
        profile: Profile = SMALL,
        timeout: float,
        runtime: str | None = None,
    ) -> None:
        self.name = name
        self.profile = profile
        self.runtime = runtime
        self._server = server
        self._timeout = timeout
        self._trained = profile.style == "trained"
        self._model: tuple[str, BaseChatModel] | None = None
        self._answering: tuple[str, BaseChatModel] | None = None

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._server.ready

    async def chat(self) -> BaseChatModel:
        """Give a chat model at the child's present address, waiting for it to load."""
        address = await asyncio.to_thread(self._server.address, LOADING_SECONDS)
        if self._model is None or self._model[0] != address:
            self._model = (address, self._build(address))
        return self._model[1]

    async def answering(self) -> BaseChatModel:
        """Give the chat model that answers, which tells its tokens' chances where it is trained."""
        if not self._trained:
            return await self.chat()
        address = await asyncio.to_thread(self._server.address, LOADING_SECONDS)
        if self._answering is None or self._answering[0] != address:
            model = self._build(address, extra_body=ADAPTED, logprobs=True, top_logprobs=TOP)
            self._answering = (address, model)
        return self._answering[1]

    async def assent(self, messages: Sequence[BaseMessage]) -> Assent | None:
        """Ask for one word, and compare its likeliest spellings."""
        return await ask_assent(await self.answering(), messages)

    def close(self) -> None:
        """End the child process."""
        self._server.close()

    def _build(self, address: str, **options: Any) -> BaseChatModel:
        return openai_compatible(
            self.name,
            f"{address}/v1",
            self._server.key,
            answer_tokens=self.profile.answer_tokens,
            timeout=self._timeout,
            **options,
        )


async def ask_assent(model: BaseChatModel, messages: Sequence[BaseMessage]) -> Assent | None:
    """Ask a model that tells its tokens' chances for a yes or a no; None where it tells none."""
    asked = model.bind(logprobs=True, top_logprobs=TOP, max_completion_tokens=1)
    told = await asked.ainvoke(list(messages))
    content = (told.response_metadata.get("logprobs") or {}).get("content") or []
    if not content:
        return None
    used = told.usage_metadata
    usage = Usage(used["input_tokens"], used["output_tokens"]) if used else None
    return Assent(log_odds(content[0]["top_logprobs"]), usage)


class TokenChances:
    """Collects the chances that a model tells of its reply's tokens, as they stream."""

    def __init__(self) -> None:
        self._tokens: list[Mapping[str, Any]] = []

    def add(self, metadata: Mapping[str, Any]) -> None:
        """Take what a chunk tells, in the OpenAI protocol's form, if it does."""
        self._tokens += (metadata.get("logprobs") or {}).get("content") or []

    def weigh(self) -> Certainty | None:
        """Say how certain the reply was; None where nothing was told."""
        if not self._tokens:
            return None
        refused = LEAST_CHANCE
        for token in self._tokens[0]["top_logprobs"]:
            word = str(token["token"]).strip()
            if word and NOT_STATED.startswith(word):
                refused += math.exp(token["logprob"])
        stated = math.log(max(1 - refused, LEAST_CHANCE) / refused)
        return Certainty(stated, min(float(token["logprob"]) for token in self._tokens))


def log_odds(top: Sequence[Mapping[str, Any]]) -> float:
    """Give ln(P(yes) / P(no)) from the likeliest tokens, `{"token", "logprob"}` each."""
    chance = {"yes": LEAST_CHANCE, "no": LEAST_CHANCE}
    for token in top:
        word = str(token["token"]).strip().casefold()
        if word in chance:
            chance[word] += math.exp(token["logprob"])
    return math.log(chance["yes"] / chance["no"])


def openai_compatible(
    name: str, base_url: str, key: str, *, answer_tokens: int, timeout: float, **options: Any
) -> BaseChatModel:
    """Build a chat model for any server that speaks the OpenAI protocol; `timeout` in seconds.

    `options` are more of `ChatOpenAI`'s.
    """
    from langchain_openai import ChatOpenAI  # noqa: PLC0415  a second and a half
    from pydantic import SecretStr  # noqa: PLC0415

    return ChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=SecretStr(key),
        temperature=0.0,
        max_completion_tokens=answer_tokens,
        timeout=timeout,
        max_retries=0,
        stream_usage=True,
        use_responses_api=False,
        **options,
    )


def provided(name: str, *, answer_tokens: int, timeout: float) -> BaseChatModel:
    """Build what LangChain calls `provider:model`. Raises `ModelSettingError`."""
    from langchain.chat_models import init_chat_model  # noqa: PLC0415  a second

    try:
        return init_chat_model(
            name, temperature=0.0, max_tokens=answer_tokens, timeout=timeout, max_retries=0
        )
    except Exception as error:  # a missing key is an error of the provider's own tree
        raise ModelSettingError(
            f"FOOTNOTE_MODEL={name!r} cannot be built: {error}",
            fix="Use `local`, `local:0.5b`, or a LangChain `provider:model` whose package and key "
            "are installed; for an OpenAI-compatible server set FOOTNOTE_BASE_URL too.",
        ) from error
