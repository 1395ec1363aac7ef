import asyncio
import math
from pathlib import Path

import pytest
from langchain_openai import ChatOpenAI

from qa.errors import ModelSettingError, ModelUnavailableError
from qa.llama import LlamaOptions, LlamaServer
from qa.models import (
    ADAPTED,
    LocalReader,
    PlainReader,
    TokenChances,
    log_odds,
    openai_compatible,
    provided,
)
from qa.testing import ScriptedChatModel, always
from qa.types import LARGE, SMALL, TRAINED


class MovingServer(LlamaServer):
    """A server without a child, whose address the test sets."""

    present: str | None = "http://127.0.0.1:1"
    closed = False

    def address(self, timeout: float) -> str:
        """Give the address that was set."""
        if self.present is None:
            raise ModelUnavailableError(f"Not within {timeout} seconds.")
        return self.present

    def close(self) -> None:
        """Remember it."""
        self.closed = True


@pytest.fixture
def server(tmp_path: Path) -> MovingServer:
    return MovingServer(LlamaOptions(tmp_path / "model.gguf", "alias", tmp_path / "log"))


def test_a_plain_reader_gives_its_model_as_it_is() -> None:
    model = ScriptedChatModel(script=always("yes"))
    reader = PlainReader("scripted", model)
    assert asyncio.run(reader.chat()) is model
    assert (reader.ready, reader.profile) == (True, LARGE)


def test_a_local_reader_follows_its_server_to_a_new_address(server: MovingServer) -> None:
    reader = LocalReader("small", server, timeout=5.0)
    first = asyncio.run(reader.chat())
    assert asyncio.run(reader.chat()) is first
    server.present = "http://127.0.0.1:2"
    second = asyncio.run(reader.chat())
    assert isinstance(first, ChatOpenAI)
    assert isinstance(second, ChatOpenAI)
    assert first.openai_api_base == "http://127.0.0.1:1/v1"
    assert second.openai_api_base == "http://127.0.0.1:2/v1"


def test_a_local_reader_speaks_with_its_server_s_key_and_a_short_reply(
    server: MovingServer,
) -> None:
    model = asyncio.run(LocalReader("small", server, timeout=5.0).chat())
    assert isinstance(model, ChatOpenAI)
    assert model.max_tokens == SMALL.answer_tokens
    assert server.key not in repr(model)


def test_a_trained_reader_answers_with_its_adapter_and_does_the_rest_without(
    server: MovingServer,
) -> None:
    reader = LocalReader("small", server, profile=TRAINED, timeout=5.0)
    other, answering = asyncio.run(reader.chat()), asyncio.run(reader.answering())
    assert isinstance(other, ChatOpenAI)
    assert isinstance(answering, ChatOpenAI)
    assert (other.extra_body, other.logprobs) == (None, None)
    assert (answering.extra_body, answering.logprobs) == (ADAPTED, True)
    assert asyncio.run(reader.answering()) is answering
    server.present = "http://127.0.0.1:2"
    moved = asyncio.run(reader.answering())
    assert isinstance(moved, ChatOpenAI)
    assert moved.openai_api_base == "http://127.0.0.1:2/v1"


def test_an_untrained_reader_answers_with_what_it_does_everything_with(
    server: MovingServer,
) -> None:
    reader = LocalReader("small", server, profile=SMALL, timeout=5.0)
    assert asyncio.run(reader.answering()) is asyncio.run(reader.chat())


def told(*tokens: tuple[str, float, dict[str, float]]) -> list[dict[str, object]]:
    """Give tokens with their chances, in the OpenAI protocol's form."""
    return [
        {
            "logprob": math.log(chance),
            "top_logprobs": [{"token": t, "logprob": math.log(c)} for t, c in top.items()],
        }
        for _, chance, top in tokens
    ]


def test_a_reply_is_as_certain_as_its_first_and_its_least_likely_token() -> None:
    chances = TokenChances()
    chances.add({"logprobs": {"content": told(("six", 0.7, {"six": 0.7, "NOT": 0.2}))}})
    chances.add({})
    chances.add({"logprobs": None})
    chances.add({"logprobs": {"content": told((" years", 0.5, {" years": 0.5, "NOT": 0.4}))}})
    certainty = chances.weigh()
    assert certainty is not None
    assert certainty.stated == pytest.approx(math.log(0.8 / 0.2), abs=1e-4)
    assert certainty.least == pytest.approx(math.log(0.5))


def test_a_model_that_tells_no_chances_is_of_no_known_certainty() -> None:
    chances = TokenChances()
    chances.add({"finish_reason": "stop"})
    assert chances.weigh() is None


def test_a_local_reader_without_a_server_is_unavailable(server: MovingServer) -> None:
    server.present = None
    reader = LocalReader("small", server, timeout=5.0)
    assert not reader.ready
    with pytest.raises(ModelUnavailableError):
        asyncio.run(reader.chat())


def test_closing_a_local_reader_closes_its_server(server: MovingServer) -> None:
    LocalReader("small", server, timeout=5.0).close()
    assert server.closed


def test_a_compatible_server_is_asked_exactly_as_set_up_and_never_twice() -> None:
    model = openai_compatible(
        "some-model", "http://127.0.0.1:9/v1", "key", answer_tokens=77, timeout=3.0
    )
    assert isinstance(model, ChatOpenAI)
    assert (model.model_name, model.openai_api_base) == ("some-model", "http://127.0.0.1:9/v1")
    assert (model.temperature, model.max_tokens) == (0.0, 77)
    assert (model.request_timeout, model.max_retries) == (3.0, 0)


@pytest.mark.parametrize("name", ["nobody:model", "cohere:command", "openai:gpt-4o"])
def test_a_provider_that_cannot_be_had_is_an_error_with_a_way_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelSettingError, match=name) as raised:
        provided(name, answer_tokens=10, timeout=1.0)
    assert "FOOTNOTE_BASE_URL" in raised.value.fix


def test_log_odds_add_up_the_spellings_of_yes_and_no() -> None:
    top = [
        {"token": "yes", "logprob": math.log(0.4)},
        {"token": " Yes", "logprob": math.log(0.2)},
        {"token": "No", "logprob": math.log(0.3)},
        {"token": "yesterday", "logprob": math.log(0.1)},
    ]
    assert log_odds(top) == pytest.approx(math.log(0.6 / 0.3), abs=1e-4)


def test_log_odds_of_neither_are_even() -> None:
    assert log_odds([{"token": "maybe", "logprob": 0.0}]) == 0.0
    assert log_odds([{"token": "yes", "logprob": 0.0}]) > 10
