import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI

from index.embed import SentenceTransformerEmbedder
from index.library import Library
from index.testing import HashingEmbedder
from qa.bootstrap import (
    build_embedder,
    build_library,
    build_reader,
    build_service,
    build_verifier,
    needed_weights,
    prepare_local,
    prepare_verifier,
    warm_embedder,
    warm_reader,
)
from qa.errors import ModelSettingError, ModelUnavailableError
from qa.llama import LlamaOptions, LlamaServer
from qa.models import LocalReader, PlainReader
from qa.prompts import check_messages, quote_messages
from qa.settings import Settings
from qa.testing import ScriptedChatModel, always
from qa.types import SMALL, TRAINED, Ask, Refused
from qa.weights import (
    ADAPTERS,
    LOCAL_MODELS,
    MINILM,
    MPNET,
    QWEN_0_5B,
    QWEN_1_5B,
    Progress,
    Weights,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["qa.bootstrap", "qa.settings", "qa.weights"])
def test_importing_what_the_command_line_needs_loads_nothing_slow(module: str) -> None:
    code = (
        f"import sys, {module}; "
        "print(*{m.split('.')[0] for m in sys.modules} & "
        "{'torch', 'transformers', 'sentence_transformers', 'chromadb', 'langchain', "
        "'langchain_core', 'langchain_openai', 'openai', 'openvino', 'gguf', 'xllamacpp'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_a_model_that_is_nothing_is_an_error_that_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelSettingError, match="'nonsense'") as raised:
        build_reader(Settings(home=tmp_path, model="nonsense"))
    assert "local:0.5b" in raised.value.fix
    assert "provider:model" in raised.value.fix
    assert "FOOTNOTE_BASE_URL" in raised.value.fix


def test_a_provider_nobody_knows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelSettingError) as raised:
        build_reader(Settings(home=tmp_path, model="nobody:nothing"))
    assert raised.value.fix


def test_a_base_url_is_asked_for_the_model_whatever_its_name(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, model="local", base_url="http://127.0.0.1:9/v1")
    reader = build_reader(settings)
    assert reader.name == "local"
    model = asyncio.run(reader.chat())
    assert isinstance(model, ChatOpenAI)
    assert model.openai_api_base == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), [MINILM, MPNET, QWEN_1_5B]),
        (Settings(model="local:0.5b"), [MINILM, QWEN_0_5B]),
        (Settings(model="openai:some"), [MINILM]),
        (Settings(base_url="http://127.0.0.1:9/v1"), [MINILM]),
        (Settings(model="openai:some", embedder="someone/else"), []),
    ],
)
def test_only_the_weights_that_are_used_are_needed(
    settings: Settings, expected: list[Weights]
) -> None:
    assert needed_weights(settings) == expected


def test_the_shipped_embedder_is_built_on_fetched_weights_and_loads_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[tuple[Weights, Path]] = []

    def ensure(weights: Weights, cache: Path, _progress: Progress) -> Path:
        fetched.append((weights, cache))
        return tmp_path / "there"

    monkeypatch.setattr("qa.bootstrap.ensure", ensure)
    embedder = build_embedder(Settings(home=tmp_path))
    assert isinstance(embedder, SentenceTransformerEmbedder)
    assert fetched == [(MINILM, tmp_path / "cache")]
    assert embedder.dimension == 384


@pytest.mark.parametrize("model", ["local", "local:0.5b", "openai:some"])
def test_only_the_answers_of_the_trained_reader_are_verified_by_a_second_model(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa.bootstrap.ensure", lambda *_: tmp_path / "there")
    built = build_verifier(Settings(home=tmp_path, model=model))
    assert (built is not None) == (model == "local")


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let all weights be in a folder."""
    monkeypatch.setattr("qa.bootstrap.ensure", lambda *_: tmp_path / "there")
    return tmp_path / "there"


@pytest.mark.parametrize("model", ["local", "local:0.5b"])
def test_the_local_model_is_converted_once_and_run_by_openvino(
    model: str, tmp_path: Path, fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="there is no OpenVINO for this machine")
    asked: list[object] = []

    def convert(*arguments: object) -> Path:
        asked.extend(arguments[:3])
        return tmp_path / "converted"

    def load(folder: Path, *, adapter: Path | None, threads: int | None) -> object:
        asked.extend([folder, adapter, threads])
        return object()

    monkeypatch.setattr("qa.conversion.convert", convert)
    monkeypatch.setattr("qa.compiled_reader.load", load)
    reader = build_reader(Settings(home=tmp_path, model=model, runtime="openvino", threads=3))
    asyncio.run(reader.chat())
    weights = LOCAL_MODELS[model]
    adapter = ADAPTERS.get(weights.name)
    made = [fetched / weights.main, weights.digest, tmp_path / "cache"]
    assert asked == [*made, tmp_path / "converted", adapter, 3]
    assert str(reader.runtime).startswith("openvino 20")
    assert reader.profile == (TRAINED if adapter else SMALL)


def test_a_model_that_cannot_be_converted_is_run_by_llama_unless_openvino_was_asked_for(
    tmp_path: Path,
    fetched: Path,  # noqa: ARG001  what it arranges
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def convert(*_: object) -> Path:
        raise ModelUnavailableError("No space left.", fix="Make room.")

    monkeypatch.setattr("qa.runtime.multiplies_eight_bits", lambda *_: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    monkeypatch.setattr("qa.conversion.convert", convert)
    weights = LOCAL_MODELS["local"]
    assert prepare_local(Settings(home=tmp_path), weights) is None
    assert "No space left. llama.cpp runs it." in caplog.text
    with pytest.raises(ModelUnavailableError, match="No space left"):
        prepare_local(Settings(home=tmp_path, runtime="openvino"), weights)


def test_a_library_is_opened_in_the_home_with_the_embedder_given(tmp_path: Path) -> None:
    embedder = HashingEmbedder()
    settings = Settings(home=tmp_path / "home", max_document_bytes=123)
    with build_library(settings, embedder=embedder) as library:
        assert library.home == tmp_path / "home"
        assert library.embedder is embedder
        assert library.max_document_bytes == 123


class ClosingReader(LocalReader):
    """A local reader without a child: a scripted model, and a memory of being closed."""

    def __init__(self, folder: Path, model: BaseChatModel) -> None:
        options = LlamaOptions(folder / "model.gguf", "alias", folder / "log")
        super().__init__("small", LlamaServer(options), timeout=1.0)
        self.model = model
        self.closed = 0

    async def chat(self) -> BaseChatModel:
        """Give the scripted model."""
        return self.model

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def test_a_service_uses_what_it_is_given_and_closes_all_of_it(tmp_path: Path) -> None:
    model = ScriptedChatModel(script=always("yes"))
    reader = ClosingReader(tmp_path, model)
    settings = Settings(home=tmp_path)
    library = Library(tmp_path, HashingEmbedder())
    service = build_service(settings, library=library, reader=reader)
    assert (service.library, service.reader, service.settings) == (library, reader, settings)
    events = asyncio.run(service.chain.ainvoke(Ask("What?", "default")))
    assert isinstance(events[-1], Refused)
    service.close()
    assert reader.closed == 1
    with pytest.raises(RuntimeError):
        service.searching.submit(print)
    Library(tmp_path, HashingEmbedder()).close()


def test_warming_lets_the_local_model_read_what_all_prompts_begin_with(tmp_path: Path) -> None:
    shown: list[list[str]] = []

    class Noting(ScriptedChatModel):
        def _reply(self, messages: object) -> str | Exception:
            assert isinstance(messages, list)
            shown.append([m.text for m in messages])
            return "NOT STATED"

    reader = ClosingReader(tmp_path, Noting(script=always("")))
    service = build_service(
        Settings(home=tmp_path), library=Library(tmp_path, HashingEmbedder()), reader=reader
    )
    asyncio.run(warm_reader(service))
    service.close()
    prompts = (check_messages(["It is."], "Is it?", "Yes"), quote_messages("Is it?", ()))
    shared = [[m.text for m in prompt][:-1] for prompt in prompts]
    assert [prompt[:-1] for prompt in shown] == shared


def test_warming_asks_nothing_of_another_provider_s_model(tmp_path: Path) -> None:
    model = ScriptedChatModel(script=always("yes"))
    service = build_service(
        Settings(home=tmp_path),
        library=Library(tmp_path, HashingEmbedder()),
        reader=PlainReader("scripted", model),
    )
    warm_embedder(service)
    asyncio.run(warm_reader(service))
    service.close()
    assert model.asked == []


def test_a_verifier_that_cannot_be_kept_is_told_and_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def convert(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("index.compiled.is_available", lambda: True)
    monkeypatch.setattr("qa.mpnet.convert", convert)
    prepare_verifier(Settings(cache=tmp_path), tmp_path)
    assert "the disk is full" in caplog.text
