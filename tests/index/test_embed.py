from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from index.embed import BATCH, SentenceTransformerEmbedder, _pool, choose_dtype
from index.types import Passage, Span

if TYPE_CHECKING:
    from index.types import Vectors

# "ab cd" at offset 10 of its document; a model's special tokens have the offsets (0, 0).
PASSAGE = Passage("p", "d", 10, 15, "ab cd", "t", sentences=(Span(10, 12), Span(13, 15)))
OFFSETS = np.array([[0, 0], [0, 1], [1, 2], [3, 5], [0, 0]])
TOKENS = np.array([[9, 9], [1, 0], [3, 0], [0, 5], [9, 9]], dtype=np.float32)
VECTOR = np.array([3, 4], dtype=np.float32)


def test_a_sentence_is_the_mean_of_its_own_tokens_scaled_to_one() -> None:
    embedded = _pool(PASSAGE, VECTOR, TOKENS, OFFSETS)
    assert embedded.vector == pytest.approx(np.array([0.6, 0.8]))
    assert embedded.sentences == pytest.approx(np.array([[1.0, 0.0], [0.0, 1.0]]))


def test_a_sentence_past_the_models_window_takes_its_passages_vector() -> None:
    embedded = _pool(PASSAGE, VECTOR, TOKENS[:3], OFFSETS[:3])
    assert embedded.sentences[1] == pytest.approx(np.array([0.6, 0.8]))


def test_passages_come_back_in_the_order_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are batched by their tokens; the fake model answers with the length alone."""
    batches: list[list[int]] = []

    def tokenize(_self: SentenceTransformerEmbedder, texts: list[str]) -> dict[str, list[Any]]:
        # "x" is one token, and so is any number of "y": a text's length says little of its tokens.
        tokens = [text.replace("y", "") + "y" for text in texts]
        return {
            "input_ids": [[1] * len(text) for text in tokens],
            "offset_mapping": [[(n, n + 1) for n in range(len(text))] for text in tokens],
        }

    def forward(
        _self: SentenceTransformerEmbedder, encoded: dict[str, list[Any]]
    ) -> list[tuple[Vectors, Vectors, Any]]:
        lengths = [len(ids) for ids in encoded["input_ids"]]
        assert lengths == [len(spans) for spans in encoded["offset_mapping"]]
        batches.append(lengths)
        vectors = [np.array([n, 1], dtype=np.float32) for n in lengths]
        return [
            (v, v.reshape(1, 2), np.array([[0, n]])) for v, n in zip(vectors, lengths, strict=True)
        ]

    monkeypatch.setattr(SentenceTransformerEmbedder, "_prepare", lambda _self: 1)
    monkeypatch.setattr(SentenceTransformerEmbedder, "_tokenize", tokenize)
    monkeypatch.setattr(SentenceTransformerEmbedder, "_forward", forward)
    monkeypatch.setattr("index.embed.TOKENIZED_AT_ONCE", BATCH + 2)
    lengths = [1 + (7 * n) % 40 for n in range(BATCH + 5)]
    passages = [
        Passage(str(n), "d", 0, 60, "x" * n + "y" * (60 - n), "t", sentences=(Span(0, n),))
        for n in lengths
    ]
    embedder = SentenceTransformerEmbedder("none", label="none", dimension=2)
    embedded = embedder.embed_passages(passages)
    assert [len(batch) for batch in batches] == [BATCH, 2, 3]
    assert batches[0] + batches[1] == sorted((n + 1 for n in lengths[: BATCH + 2]), reverse=True)
    assert [round(float(e.vector[0] / e.vector[1])) - 1 for e in embedded] == lengths
    assert embedder.embed_passages([]) == []


@pytest.mark.parametrize(
    ("precision", "capabilities", "expected"),
    [
        ("auto", {"avx512_bf16": True}, "torch.bfloat16"),
        ("auto", {"amx_bf16": True}, "torch.bfloat16"),
        ("auto", {"avx2": True, "avx512_bf16": False}, "torch.float32"),
        ("float32", {"avx512_bf16": True}, "torch.float32"),
        ("bfloat16", {}, "torch.bfloat16"),
    ],
)
def test_automatic_precision_follows_the_processor_and_a_chosen_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
    precision: Literal["auto", "bfloat16", "float32"],
    capabilities: dict[str, bool],
    expected: str,
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert str(choose_dtype(precision)) == expected
