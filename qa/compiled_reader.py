"""The shipped model in this process, compiled by OpenVINO: a reader and its chat model.

A message's text can hold no control token: what begins and ends a message is put between the
texts as tokens, and text that spells one (`<|im_end|>`) is read as the characters it has.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from qa.conversion import TOKENS
from qa.decoding import Choice, Decoder, Manner
from qa.errors import ModelUnavailableError
from qa.models import HELD_BACK, LOADING_SECONDS, TOP, ask_assent
from qa.types import SMALL, Assent, Profile

if TYPE_CHECKING:
    from qa.compiled import Past

START, END = "<|im_start|>", "<|im_end|>"
"""ChatML's, which the shipped models are trained with."""
END_OF_TEXT = "<|endoftext|>"
"""What ended a text before there were conversations; a model may still end with it."""
ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class Chat:
    """Messages <-> tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.encode_special_tokens = True  # in a text they are text
        self._tokenizer = tokenizer
        self._start, self.end = self._find(START), self._find(END)
        past = tokenizer.token_to_id(END_OF_TEXT)
        self.ends = frozenset({self.end} if past is None else {self.end, past})

    def encode(self, messages: Sequence[BaseMessage]) -> list[int]:
        """Give the tokens of a conversation, up to where the reply begins."""
        tokens: list[int] = []
        for message in messages:
            said = f"{ROLES[message.type]}\n{message.text}"
            tokens += [self._start, *self.spell_out(said), self.end, *self.spell_out("\n")]
        return [*tokens, self._start, *self.spell_out("assistant\n")]

    def spell(self, token: int) -> str:
        """Give a token's text by itself."""
        return self._tokenizer.decode([token], skip_special_tokens=False)

    def bias(self, words: Mapping[str, float]) -> dict[int, float]:
        """Give what is added to the scores of the words' first tokens."""
        return {self.spell_out(word)[0]: more for word, more in words.items()}

    def stream(self) -> Callable[[int], str]:
        """Give a function from each token of a reply to the text that it completes."""
        stream = DecodeStream(skip_special_tokens=True)
        return lambda token: stream.step(self._tokenizer, token) or ""

    def spell_out(self, text: str) -> list[int]:
        """Give a text's tokens, none of them a control token."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _find(self, control: str) -> int:
        token = self._tokenizer.token_to_id(control)
        if token is None:
            raise ValueError(f"the model knows no {control}")
        return token


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that can be asked."""

    decoder: Decoder[Any]
    chat: Chat


def load(folder: Path, *, adapter: Path | None, threads: int | None) -> Loaded:
    """Load a converted model: some seconds. Raises `ModelUnavailableError`."""
    from qa.compiled import CompiledModel  # noqa: PLC0415  OpenVINO takes a moment

    try:
        forward = CompiledModel(folder, adapter=adapter, threads=threads)
        chat = Chat(Tokenizer.from_file(str(folder / TOKENS)))
    except Exception as error:  # OpenVINO's, gguf's and tokenizers' own; all are told
        raise ModelUnavailableError(
            f"The converted model in {folder} cannot be loaded: {error}",
            fix="Delete that folder, and the next start converts the model anew, or set "
            "FOOTNOTE_RUNTIME=llama.cpp.",
        ) from error
    decoder: Decoder[Past] = Decoder(forward)
    return Loaded(decoder, chat)


class CompiledChatModel(BaseChatModel):
    """LangChain's form of it. What a reply's chunks tell is in the OpenAI protocol's form."""

    loaded: Any
    """A `Loaded`."""
    name: str
    window: int
    """Tokens of a prompt and its reply, at most."""
    limit: int
    """Tokens of a reply, at most."""
    timeout: float
    """Seconds for a reply."""
    adapted: bool = False
    held_back: Mapping[str, float] = {}
    top_logprobs: int = 0

    @property
    def _llm_type(self) -> str:
        return "openvino"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # Token by token, so that a reply that nobody waits for any more is not made.
        stream = self._astream(messages, stop, run_manager, **kwargs)
        return await agenerate_from_stream(stream)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002  no prompt here asks for one
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        loaded: Loaded = self.loaded
        prompt = loaded.chat.encode(messages)
        limit = int(kwargs.get("max_completion_tokens", self.limit))
        if len(prompt) + limit > self.window:
            raise ValueError(
                f"the prompt has {len(prompt)} tokens, and with {limit} of a reply more than "
                f"FOOTNOTE_CONTEXT_TOKENS={self.window}"
            )
        manner = Manner(
            limit=limit,
            ends=loaded.chat.ends,
            adapted=self.adapted,
            bias=loaded.chat.bias(self.held_back),
            top=int(kwargs.get("top_logprobs", self.top_logprobs)),
        )
        end_by = time.monotonic() + self.timeout
        complete = loaded.chat.stream()
        told = 0
        for choice in loaded.decoder.reply(prompt, manner):
            told += 1
            ended = choice.token in manner.ends
            chunk = _chunk("" if ended else complete(choice.token), choice, loaded.chat, manner)
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk
            if time.monotonic() > end_by and not ended:
                raise TimeoutError(f"no whole reply in {self.timeout:.0f} seconds")
        usage = UsageMetadata(
            input_tokens=len(prompt), output_tokens=told, total_tokens=len(prompt) + told
        )
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage))


class CompiledReader:
    """The shipped model: it begins to load at once, and a question waits for it.

    It answers and looks at its answers again with its adapter, where its profile is a trained one,
    and does everything else without.
    """

    def __init__(
        self,
        name: str,
        loading: Callable[[], Loaded],
        *,
        profile: Profile = SMALL,
        window: int,
        timeout: float,
    ) -> None:
        self.name = name
        self.profile = profile
        self.runtime = f"openvino {version('openvino')}"
        self._window, self._timeout = window, timeout
        self._loading = loading
        self._loaded: Loaded | None = None
        self._failure: Exception | None = None
        self._closed = False
        self._done = threading.Event()
        # Not a daemon: an interpreter that leaves while OpenVINO compiles would be aborted.
        self._thread = threading.Thread(target=self._load, name="model-load")
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._loaded is not None

    async def chat(self) -> BaseChatModel:
        """Give the chat model without its adapter, waiting for it to load."""
        return self._build(await asyncio.to_thread(self._wait))

    async def answering(self) -> BaseChatModel:
        """Give the chat model that answers, which tells its tokens' chances where it is trained."""
        loaded = await asyncio.to_thread(self._wait)
        if self.profile.style != "trained":
            return self._build(loaded)
        return self._build(loaded, adapted=True, held_back=HELD_BACK, top_logprobs=TOP)

    async def assent(self, messages: Sequence[BaseMessage]) -> Assent | None:
        """Ask for one word, and compare its likeliest spellings."""
        return await ask_assent(await self.answering(), messages)

    def close(self) -> None:
        """Let go of the model; a reply that is being made is still made.

        Waits for a model that is being loaded: some seconds.
        """
        self._closed = True
        self._done.set()
        self._thread.join()
        self._loaded = None

    def _load(self) -> None:
        try:
            loaded = self._loading()
        except Exception as error:  # it is told to whoever asks  # noqa: BLE001
            self._failure = error
        else:
            self._loaded = None if self._closed else loaded
        finally:
            self._done.set()

    def _wait(self) -> Loaded:
        self._done.wait(LOADING_SECONDS)
        loaded = self._loaded
        if loaded is not None:
            return loaded
        if isinstance(self._failure, ModelUnavailableError):
            raise self._failure
        why = f": {self._failure}" if self._failure else ""
        raise ModelUnavailableError(
            f"The local model is not loaded{why}.",
            fix="Ask again in a few seconds; if it stays so, set FOOTNOTE_RUNTIME=llama.cpp.",
        ) from self._failure

    def _build(self, loaded: Loaded, **options: Any) -> BaseChatModel:
        return CompiledChatModel(
            loaded=loaded,
            name=self.name,
            window=self._window,
            limit=self.profile.answer_tokens,
            timeout=self._timeout,
            **options,
        )


def _chunk(text: str, choice: Choice, chat: Chat, manner: Manner) -> ChatGenerationChunk:
    told: dict[str, Any] = {}
    if manner.top:
        top = [{"token": chat.spell(token), "logprob": chance} for token, chance in choice.top]
        one = {"token": chat.spell(choice.token), "logprob": choice.logprob, "top_logprobs": top}
        told = {"logprobs": {"content": [one]}}
    return ChatGenerationChunk(message=AIMessageChunk(content=text, response_metadata=told))
