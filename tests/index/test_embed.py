from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from index.embed import BATCH, SentenceTransformerEmbedder, _pool, choose_dtype
from index.types import Passage, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """They are batched by length; the fake model answers with the length alone."""
    batches: list[int] = []

    def forward(
        _self: SentenceTransformerEmbedder, texts: list[str]
    ) -> Iterator[tuple[Vectors, Vectors, Any]]:
        batches.append(len(texts))
        for text in texts:
            vector = np.array([len(text), 1], dtype=np.float32)
            yield vector, vector.reshape(1, 2), np.array([[0, len(text)]])

    monkeypatch.setattr(SentenceTransformerEmbedder, "_forward", forward)
    lengths = [1 + (7 * n) % 40 for n in range(BATCH + 8)]
    passages = [Passage(str(n), "d", 0, n, "x" * n, "t", sentences=(Span(0, n),)) for n in lengths]
    embedder = SentenceTransformerEmbedder("none", label="none", dimension=2)
    embedded = embedder.embed_passages(passages)
    assert batches == [BATCH, 8]
    assert [round(float(e.vector[0] / e.vector[1])) for e in embedded] == lengths
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
