"""A tiny BERT with random weights, in PyTorch and compiled by OpenVINO."""

from __future__ import annotations

import importlib.util
import logging
import string
from typing import TYPE_CHECKING

import numpy as np
import pytest

from index import compiled
from index.compiled import CompiledModel, compile_model
from index.embed import SentenceTransformerEmbedder
from index.types import Passage, Span

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="OpenVINO has no build for this machine"
)
TEXTS = ("a b c. d e.", "f g", "a b c d e f g h i j k l. m n o p q r s t u v w x y z. a a a a.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model as sentence-transformers reads it: one layer, a token for each letter."""
    torch = pytest.importorskip("torch")
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415  five seconds
    from sentence_transformers.sentence_transformer.modules import (  # noqa: PLC0415
        Pooling,
        Transformer,
    )
    from transformers import BertConfig, BertModel, BertTokenizerFast  # noqa: PLC0415

    bare = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *string.ascii_lowercase]
    (bare / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(bare)
    BertTokenizerFast(str(bare / "vocab.txt")).save_pretrained(bare)
    whole = tmp_path_factory.mktemp("sentences")
    transformer = Transformer(str(bare))
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu").save(str(whole))
    return whole


def test_passages_have_the_vectors_that_pytorch_gives(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches with padding too."""
    passages = [
        Passage(str(n), "d", 0, len(text), text, "t", sentences=(Span(0, 2), Span(2, len(text))))
        for n, text in enumerate(TEXTS * 7)
    ]
    ours = _embedder(folder).embed_passages(passages)
    monkeypatch.setattr(compiled, "is_available", lambda: False)
    theirs = _embedder(folder).embed_passages(passages)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.vector, other.vector, atol=1e-4)
        np.testing.assert_allclose(one.sentences, other.sentences, atol=1e-4)


def test_nobody_is_told_that_a_model_was_compiled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO's own conversion reports to its makers, unless somebody turned that off."""
    telemetry = pytest.importorskip("openvino_telemetry")
    sent: list[object] = []
    monkeypatch.setattr(telemetry.Telemetry, "init", lambda *_a, **_k: sent.append(1))
    monkeypatch.setattr(telemetry.Telemetry, "send_event", lambda *_a, **_k: sent.append(2))
    embedder = _embedder(folder)
    with monkeypatch.context() as patch:
        calls: list[object] = []
        forward = CompiledModel.__call__
        patch.setattr(
            CompiledModel, "__call__", lambda *given: (calls.append(given), forward(*given))[1]
        )
        embedder.embed_passages([Passage("p", "d", 0, 3, "a b", "t", sentences=(Span(0, 3),))])
    assert len(calls) == 1
    assert sent == []


def test_a_model_that_cannot_be_converted_is_told_and_left_to_pytorch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(compiled, "trace", fail)
    with caplog.at_level(logging.WARNING, "index.compiled"):
        embedder = _embedder(folder)
        embedder.embed_passages([Passage("p", "d", 0, 3, "a b", "t", sentences=(Span(0, 3),))])
    assert "PyTorch does: no such operation" in caplog.text


def test_a_model_without_a_transformer_is_left_to_pytorch() -> None:
    torch = pytest.importorskip("torch")
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415  five seconds
    from sentence_transformers.sentence_transformer.modules import BoW  # noqa: PLC0415

    assert compile_model(SentenceTransformer(modules=[BoW(["a"])]), torch.float32) is None


def _embedder(folder: Path) -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(str(folder), label="tiny", dimension=32, precision="float32")
