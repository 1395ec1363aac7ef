"""The verifier's model, on a tiny one of the same architecture."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import MPNetConfig, MPNetModel

from qa import compiled_verifier, mpnet
from qa.compiled_verifier import UNREAD, MpnetVerifier, likely_spans, load_tokenizer, locate
from qa.errors import ModelUnavailableError
from qa.mpnet import ALPHA
from qa.types import Evidence

WORDS = "<s> <pad> </s> <unk> who opened the bridge ruth okafor closed it".split()
WIDTH, RANK = 8, 2
LAYER = "encoder.layer.0.attention.attn.v"
QUESTION = "who opened the bridge"
TEXT = "okafor closed it"
EVIDENCE = [
    Evidence(1, "d", "", 0, 30, "ruth okafor opened the bridge"),
    Evidence(2, "d", "", 31, 40, "okafor closed it"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model of one layer, and its tokenizer."""
    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(3)
    config = MPNetConfig(
        vocab_size=len(WORDS),
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    MPNetModel(config, add_pooling_layer=False).save_pretrained(path)
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B:1 </s>:1",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.save(str(path / "tokenizer.json"))
    return path


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """Write what might have been trained for one of the matrices, and the heads."""
    return write(tmp_path / "trained.safetensors", strength=20)


def write(path: Path, *, strength: int) -> Path:
    """Write additions and heads of small whole numbers; `strength` scales what is added."""
    chance = np.random.default_rng(5)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.from_numpy(chance.integers(-9, 10, shape).astype(np.int8))

    save_file(
        {
            f"{LAYER}.A": numbers(RANK, WIDTH),
            f"{LAYER}.A.scale": torch.full((RANK, 1), 0.1),
            f"{LAYER}.B": numbers(WIDTH, RANK),
            f"{LAYER}.B.scale": torch.full((WIDTH, 1), 0.01 * strength),
            "span.weight": numbers(2, WIDTH),
            "span.weight.scale": torch.full((2, 1), 0.1),
            "span.bias": torch.tensor([0.5, -0.5]),
            "answerable.weight": numbers(1, WIDTH),
            "answerable.weight.scale": torch.full((1, 1), 0.1),
            "answerable.bias": torch.tensor([0.25]),
            "relevant.weight": numbers(1, WIDTH),
            "relevant.weight.scale": torch.full((1, 1), 0.1),
            "relevant.bias": torch.tensor([-0.25]),
        },
        path,
        metadata={ALPHA: "4.0"},
    )
    return path


def test_openvino_gives_what_pytorch_gives(
    folder: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="there is no OpenVINO for this machine")
    compiled = MpnetVerifier(folder, (adapter, adapter), precision="float32").verify(
        QUESTION, EVIDENCE
    )
    near = MpnetVerifier(folder, (adapter, adapter), precision="float32").compare(QUESTION, [TEXT])
    monkeypatch.setattr(compiled_verifier, "is_available", lambda: False)
    verifier = MpnetVerifier(folder, (adapter, adapter), precision="float32")
    plain = verifier.verify(QUESTION, EVIDENCE)
    assert near == pytest.approx(verifier.compare(QUESTION, [TEXT]), abs=1e-4)
    assert compiled.answerable == pytest.approx(plain.answerable, abs=1e-4)
    assert compiled.relevant == pytest.approx(plain.relevant, abs=1e-4)


def test_what_is_read_decides(folder: Path, adapter: Path) -> None:
    verifier = MpnetVerifier(folder, (adapter, adapter), precision="float32")
    told = {verifier.verify(QUESTION, EVIDENCE[:n]).answerable for n in (1, 2)}
    told.add(verifier.verify("who closed it", EVIDENCE).answerable)
    assert len(told) == 3
    assert verifier.verify(QUESTION, EVIDENCE).answerable in told


def test_each_sentence_is_judged_by_its_own_words(folder: Path, adapter: Path) -> None:
    verifier = MpnetVerifier(folder, (adapter, adapter), precision="float32")
    twice = verifier.verify(QUESTION, [EVIDENCE[0], EVIDENCE[1], EVIDENCE[0]]).relevant
    assert len(twice) == 3
    assert len(set(twice)) == 3  # where it stands counts too
    assert verifier.verify(QUESTION, []).relevant == ()


def test_a_title_is_read_and_is_no_sentence(folder: Path, adapter: Path) -> None:
    verifier = MpnetVerifier(folder, (adapter, adapter), precision="float32")
    told = verifier.explain(QUESTION, "ruth okafor", EVIDENCE)
    above = Evidence(9, "d", "", 0, 12, "ruth okafor.")
    same = verifier.verify(QUESTION, [above, *EVIDENCE])
    assert told.relevant == pytest.approx(same.relevant[1:])
    assert told.answerable == pytest.approx(same.answerable)
    assert told.relevant != pytest.approx(verifier.verify(QUESTION, EVIDENCE).relevant)


def test_whole_passages_are_judged_by_an_adapter_of_their_own(
    folder: Path, adapter: Path, tmp_path: Path
) -> None:
    strong = write(tmp_path / "strong.safetensors", strength=100)
    one, other = (
        MpnetVerifier(folder, (adapter, explainer), precision="float32")
        for explainer in (adapter, strong)
    )
    assert one.verify(QUESTION, EVIDENCE) == other.verify(QUESTION, EVIDENCE)
    assert one.explain(QUESTION, "t", EVIDENCE) != other.explain(QUESTION, "t", EVIDENCE)


def test_the_nearest_text_counts_and_what_was_trained_does_not(
    folder: Path, adapter: Path, tmp_path: Path
) -> None:
    verifier = MpnetVerifier(folder, (adapter, adapter), precision="float32")
    apart, same = (verifier.compare(QUESTION, [text]) for text in (TEXT, QUESTION))
    assert -1 <= apart < same == pytest.approx(1.0)
    assert verifier.compare(QUESTION, [TEXT, QUESTION]) == same
    strong = write(tmp_path / "strong.safetensors", strength=100)
    other = MpnetVerifier(folder, (strong, strong), precision="float32")
    assert other.compare(QUESTION, [TEXT]) == apart


def test_a_sentence_that_there_was_no_room_for_is_the_least_relevant(
    folder: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        compiled_verifier, "load_tokenizer", lambda folder: load_tokenizer(folder, 13)
    )
    told = MpnetVerifier(folder, (adapter, adapter), precision="float32").verify(
        QUESTION, EVIDENCE * 2
    )
    assert told.relevant[-1] == UNREAD
    assert told.relevant[0] > UNREAD


@pytest.mark.parametrize(
    ("span", "words"),
    [((0, 4), "ruth"), ((5, 11), "okafor"), ((3, 6), "ruth okafor"), ((60, 64), "")],
)
def test_a_span_is_located_by_the_tokens_that_it_touches(
    folder: Path, span: tuple[int, int], words: str
) -> None:
    encoded = load_tokenizer(folder).encode("ruth ruth ruth", EVIDENCE[0].text)
    (place,) = locate(encoded, [span])
    assert [encoded.tokens[n] for n in place] == words.split()


def test_what_was_trained_is_added(folder: Path, tmp_path: Path) -> None:
    weak = write(tmp_path / "weak.safetensors", strength=0)
    strong = write(tmp_path / "strong.safetensors", strength=100)
    one, other = (
        MpnetVerifier(folder, (path, path), precision="float32").verify(QUESTION, EVIDENCE)
        for path in (weak, strong)
    )
    assert abs(one.answerable - other.answerable) > 1e-3


def test_the_likeliest_spans_come_first_and_stay_in_a_sentence() -> None:
    edges = np.full((8, 2), -9.0, dtype=np.float32)
    edges[2, 0], edges[3, 1], edges[4, 1], edges[6, 1] = 3.0, 2.0, 1.5, 8.0
    assert likely_spans(edges, [range(1, 5), range(5, 8)]) == [(2, 3), (2, 4)]
    assert likely_spans(edges, []) == []


def test_a_phrase_is_of_the_text_as_it_is_written(folder: Path, adapter: Path) -> None:
    told = MpnetVerifier(folder, (adapter, adapter), precision="float32").verify(QUESTION, EVIDENCE)
    assert told.phrases
    assert all(any(phrase in e.text for e in EVIDENCE) for phrase in told.phrases)


def test_a_text_past_the_window_is_cut_and_the_question_is_not(folder: Path) -> None:
    encoded = load_tokenizer(folder, 12).encode(QUESTION, "okafor closed it " * 9)
    assert len(encoded.ids) == 12
    assert encoded.sequence_ids.count(0) == len(QUESTION.split())


def test_a_question_past_the_window_is_cut_and_is_no_error(folder: Path) -> None:
    encoded = load_tokenizer(folder, 12).encode(QUESTION * 9, "okafor closed it")
    assert len(encoded.ids) == 12


@pytest.mark.parametrize("missing", ["tokenizer.json", "model.safetensors"])
def test_a_file_that_is_missing_is_an_error_that_says_what_to_do(
    folder: Path, adapter: Path, tmp_path: Path, missing: str
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        if path.name != missing:
            (broken / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelUnavailableError, match="verifier") as raised:
        MpnetVerifier(broken, (adapter, adapter)).load()
    assert "footnote weights" in raised.value.fix
    assert json.loads((folder / "config.json").read_text())["model_type"] == "mpnet"


def test_what_is_kept_gives_the_same_and_is_made_once(
    folder: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="there is no OpenVINO for this machine")
    made = MpnetVerifier(folder, (adapter, adapter), precision="float32")
    kept = tmp_path / "openvino" / "all-mpnet-base-v2-new"
    older = kept.with_name("all-mpnet-base-v2-old")
    older.mkdir(parents=True)

    def read() -> MpnetVerifier:
        return MpnetVerifier(folder, (adapter, adapter), kept=kept, precision="float32")

    first = read().verify(QUESTION, EVIDENCE)
    monkeypatch.setattr(mpnet, "trace_all", lambda *_: pytest.fail("it was made again"))
    again = read()
    assert again.verify(QUESTION, EVIDENCE) == first
    assert first.answerable == pytest.approx(made.verify(QUESTION, EVIDENCE).answerable, abs=0.02)
    assert again.compare(QUESTION, [TEXT]) == pytest.approx(
        made.compare(QUESTION, [TEXT]), abs=0.01
    )
    assert [path.name for path in kept.parent.iterdir() if path.is_dir()] == [kept.name]


def test_what_cannot_be_kept_is_told_and_made_in_memory(
    folder: Path,
    adapter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("openvino", reason="there is no OpenVINO for this machine")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    kept = tmp_path / "openvino" / "all-mpnet-base-v2-new"
    verifier = MpnetVerifier(folder, (adapter, adapter), kept=kept, precision="float32")
    assert verifier.verify(QUESTION, EVIDENCE).relevant
    assert "1,000 are free" in caplog.text
    assert not kept.exists()


def test_what_is_damaged_is_told_and_made_anew_at_the_next_start(
    folder: Path, adapter: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino", reason="there is no OpenVINO for this machine")
    kept = tmp_path / "openvino" / "all-mpnet-base-v2-new"
    kept.mkdir(parents=True)
    told = [
        MpnetVerifier(folder, (adapter, adapter), kept=kept, precision="float32").verify(
            QUESTION, EVIDENCE
        )
        for _ in range(2)
    ]
    assert told[0].answerable == pytest.approx(told[1].answerable, abs=0.02)
    assert caplog.text.count("cannot be kept") == 1
    assert len(list(kept.glob("*.xml"))) == 3


def test_other_adapters_are_kept_elsewhere(
    tmp_path: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mpnet.folder_of(tmp_path)
    assert before == mpnet.folder_of(tmp_path)
    monkeypatch.setattr(mpnet, "SHIPPED", (adapter, adapter))
    assert mpnet.folder_of(tmp_path) != before
