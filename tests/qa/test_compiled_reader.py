"""The reader over a compiled model: what it is asked, what it tells, and what goes wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as Bytes
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from qa.compiled_reader import END, START, Chat, CompiledReader, Loaded
from qa.decoding import Choice, Manner
from qa.errors import ModelUnavailableError
from qa.models import REFUSING, TOP, TokenChances
from qa.types import SMALL, TRAINED

ASKED: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("Who opened it?")]


class Spelling:
    """A decoder that replies with the bytes of a text, and remembers what it was asked."""

    def __init__(self, chat: Chat, text: str, *, doubt: str | None = None) -> None:
        self.chat, self.text, self.doubt = chat, text, doubt
        self.asked: list[tuple[list[int], Manner]] = []
        self.told = 0
        self.stops_at: int | None = None
        self.stopped, self.goes_on = threading.Event(), threading.Event()

    def reply(self, prompt: Sequence[int], manner: Manner) -> Iterator[Choice]:
        """Give each byte with a chance of a half, beside the token that is doubted for."""
        self.asked.append((list(prompt), manner))
        tokens = [*self.chat.spell_out(self.text), self.chat.end][: manner.limit]
        for token in tokens:
            top = [(token, -0.7)]
            if self.doubt:
                top.append((self.chat.spell_out(self.doubt)[0], -1.4))
            self.told += 1
            if self.told == self.stops_at:
                self.stopped.set()
                assert self.goes_on.wait(20)
            yield Choice(token, -0.7, tuple(top[: manner.top]))


def make_vocabulary() -> str:
    """Make a vocabulary of bytes, a few words and the control tokens."""
    letters = sorted(ByteLevel.alphabet())
    words = ["ye", "yes", "no", "NO", "NOT"]
    vocabulary = {letter: n for n, letter in enumerate([*letters, *words])}
    merges = [("y", "e"), ("ye", "s"), ("n", "o"), ("N", "O"), ("NO", "T")]
    tokenizer = Tokenizer(BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = Bytes()
    tokenizer.add_special_tokens([AddedToken(control, special=True) for control in (START, END)])
    return tokenizer.to_str()


VOCABULARY = make_vocabulary()


@pytest.fixture(scope="module")
def chat() -> Chat:
    """Give a conversation's way to tokens and back."""
    return Chat(Tokenizer.from_str(VOCABULARY))


def build(spelling: Spelling, **options: object) -> CompiledReader:
    loaded = Loaded(spelling, spelling.chat)  # type: ignore[arg-type]  # it only replies
    reader = CompiledReader(
        "small",
        lambda: loaded,
        **{"profile": TRAINED, "window": 400, "timeout": 20.0, **options},  # type: ignore[arg-type]
    )
    asyncio.run(reader.chat())  # it waits until the model is loaded
    return reader


def ask(model: BaseChatModel, messages: Sequence[BaseMessage] = ASKED) -> BaseMessage:
    return asyncio.run(model.ainvoke(list(messages)))


def test_a_conversation_is_put_as_the_model_was_trained(chat: Chat) -> None:
    spelling = Spelling(chat, "Ruth Okafor")
    reader = build(spelling)
    asked = [*ASKED, AIMessage("She did."), HumanMessage("When?")]
    assert ask(asyncio.run(reader.chat()), asked).text == "Ruth Okafor"
    prompt, _ = spelling.asked[-1]
    assert "".join(map(chat.spell, prompt)) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho opened it?<|im_end|>\n"
        "<|im_start|>assistant\nShe did.<|im_end|>\n<|im_start|>user\nWhen?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_letter_of_several_bytes_is_streamed_whole(chat: Chat) -> None:
    model = asyncio.run(build(Spelling(chat, "€50, 北京")).chat())
    pieces = [chunk.text for chunk in model.stream(ASKED)]
    assert "".join(pieces) == "€50, 北京"
    assert "�" not in "".join(pieces)
    assert "€" in pieces


def test_only_answers_are_asked_for_with_the_adapter_and_hold_refusals_and_numbers_back(
    chat: Chat,
) -> None:
    spelling = Spelling(chat, "Ruth Okafor")
    reader = build(spelling)
    ask(asyncio.run(reader.chat()))
    ask(asyncio.run(reader.answering()))
    plain, answering = (manner for _, manner in spelling.asked)
    assert (plain.adapted, plain.bias, plain.top) == (False, {}, 0)
    assert (answering.adapted, answering.top) == (True, TOP)
    refusal, mark = (chat.spell_out(word)[0] for word in (REFUSING, "[1]"))
    assert answering.bias == {refusal: -4.0, mark: -0.5}
    assert answering.limit == TRAINED.answer_tokens


def test_an_untrained_model_answers_as_it_is(chat: Chat) -> None:
    spelling = Spelling(chat, "Ruth Okafor")
    ask(asyncio.run(build(spelling, profile=SMALL).answering()))
    assert not spelling.asked[-1][1].adapted


def test_a_reply_tells_how_certain_it_was_and_what_it_cost(chat: Chat) -> None:
    spelling = Spelling(chat, "Ruth", doubt=REFUSING)
    model = asyncio.run(build(spelling).answering())
    chances = TokenChances()
    used = None
    for chunk in model.stream(ASKED):
        chances.add(chunk.response_metadata)
        used = chunk.usage_metadata or used
    certainty = chances.weigh()
    assert certainty is not None
    assert certainty.least == pytest.approx(-0.7)
    assert certainty.stated == pytest.approx(1.11, abs=0.02), "ln((1 - e^-1.4) / e^-1.4)"
    assert used is not None
    assert (used["input_tokens"], used["output_tokens"]) == (len(spelling.asked[0][0]), 5)


def test_a_yes_is_weighed_against_a_no(chat: Chat) -> None:
    spelling = Spelling(chat, "yes", doubt="no")
    assent = asyncio.run(build(spelling).assent(ASKED))
    assert assent is not None
    assert assent.log_odds == pytest.approx(0.7, abs=0.01)
    assert spelling.asked[-1][1].limit == 1


def test_a_prompt_longer_than_the_window_says_what_to_set(chat: Chat) -> None:
    model = asyncio.run(build(Spelling(chat, "Ruth")).chat())
    with pytest.raises(ValueError, match="FOOTNOTE_CONTEXT_TOKENS=400"):
        ask(model, [SystemMessage("x" * 400)])


def test_a_reply_that_takes_too_long_is_broken_off(chat: Chat) -> None:
    model = asyncio.run(build(Spelling(chat, "Ruth"), timeout=-1.0).chat())
    with pytest.raises(TimeoutError, match="no whole reply"):
        ask(model)


@pytest.mark.parametrize("kind", [RuntimeError, KeyError, Exception])
def test_a_model_that_cannot_be_loaded_is_unavailable_and_says_why(kind: type[Exception]) -> None:
    def fail() -> Loaded:
        raise kind("no graph here")

    reader = CompiledReader("small", fail, window=400, timeout=20.0)
    with pytest.raises(ModelUnavailableError, match="no graph here") as raised:
        asyncio.run(reader.chat())
    assert "FOOTNOTE_RUNTIME=llama.cpp" in raised.value.fix
    assert not reader.ready


def test_what_says_itself_what_to_do_is_passed_on() -> None:
    def fail() -> Loaded:
        raise ModelUnavailableError("It is broken.", fix="Delete it.")

    with pytest.raises(ModelUnavailableError, match="It is broken") as raised:
        asyncio.run(CompiledReader("small", fail, window=400, timeout=20.0).chat())
    assert raised.value.fix == "Delete it."


def test_closing_while_it_loads_waits_and_keeps_nothing(chat: Chat) -> None:
    loads, may_load = threading.Event(), threading.Event()

    def load() -> Loaded:
        loads.set()
        assert may_load.wait(20)
        return Loaded(Spelling(chat, "Ruth"), chat)  # type: ignore[arg-type]  # it only replies

    reader = CompiledReader("small", load, window=400, timeout=20.0)
    assert loads.wait(20)
    closing = threading.Thread(target=reader.close)
    closing.start()
    with pytest.raises(ModelUnavailableError, match="not loaded"):
        asyncio.run(reader.chat())
    may_load.set()
    closing.join(20)
    assert not closing.is_alive()
    assert not reader.ready


def test_a_reply_ends_where_a_text_ends_too(chat: Chat) -> None:
    assert chat.ends == {chat.end}, "a vocabulary that knows no end of text"
    tokenizer = Tokenizer.from_str(VOCABULARY)
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    assert Chat(tokenizer).ends == {chat.end, tokenizer.token_to_id("<|endoftext|>")}


def test_a_reply_that_is_not_waited_for_any_more_is_not_made(chat: Chat) -> None:
    spelling = Spelling(chat, "x" * 60)
    spelling.stops_at = 3
    model = asyncio.run(build(spelling).chat())

    async def give_up() -> None:
        asked = asyncio.ensure_future(model.ainvoke(ASKED))
        assert await asyncio.to_thread(spelling.stopped.wait, 20)
        asked.cancel()
        spelling.goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(give_up())
    assert spelling.told == 3


def test_a_question_waits_for_the_model_to_load(chat: Chat) -> None:
    may_load = threading.Event()

    def load() -> Loaded:
        assert may_load.wait(20)
        return Loaded(Spelling(chat, "Ruth"), chat)  # type: ignore[arg-type]  # it only replies

    reader = CompiledReader("small", load, window=400, timeout=20.0)
    assert not reader.ready

    async def both() -> str:
        asked = asyncio.ensure_future(reader.chat())
        await asyncio.sleep(0)
        assert not asked.done()
        may_load.set()
        return (await (await asked).ainvoke(ASKED)).text

    assert asyncio.run(both()) == "Ruth"
    assert reader.ready
    reader.close()
    assert not reader.ready
