"""Model folder or name -> `Embedder`. The only importer of sentence-transformers.

One forward pass gives a passage's vector and its sentences': the passage's token vectors are
averaged once over all tokens and once over each sentence's own ("late chunking", Günther et al.
2024, arXiv:2409.04701). A sentence then costs nothing, and knows what its pronouns stand for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from index.compiled import CompiledModel, compile_model
from index.types import Embedded, Embedder, Passage, Vectors

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

Precision = Literal["auto", "bfloat16", "float32"]
BATCH = 8
"""Passages in one forward pass; so few stay in a core's cache from one layer to the next."""
QUERY_BATCH = 32
TOKENIZED_AT_ONCE = 4096
"""Passages that are sorted by their length before they are batched."""


class SentenceTransformerEmbedder:
    """An `Embedder` over a sentence-transformers model, loaded at its first use.

    `model` is a folder or a hub name, `label` what is recorded with the vectors. `precision`
    "auto" takes bfloat16 where the processor multiplies it (AVX512-BF16, AMX), else float32.
    Passages are embedded by OpenVINO where it is installed, several batches at a time; a query,
    which is short, by PyTorch, which is there at once. Safe to call from several threads.
    """

    def __init__(
        self, model: str, *, label: str, dimension: int, precision: Precision = "auto"
    ) -> None:
        self.name = label
        self.dimension = dimension
        self._source = model
        self._precision = precision
        self._lock = threading.Lock()
        self._model: SentenceTransformer | None = None
        self._passage_model: CompiledModel | SentenceTransformer | None = None

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Give one unit row for each text."""
        with self._lock:
            vectors = self._load().encode_query(
                list(texts), batch_size=QUERY_BATCH, convert_to_tensor=True, show_progress_bar=False
            )
        return _unit(vectors.float().cpu().numpy())

    def embed_passages(self, passages: Sequence[Passage]) -> list[Embedded]:
        """Give each passage's vector and its sentences', in the order given.

        Sentences past the model's window take their passage's vector.
        """
        if not passages:
            return []
        embedded: list[Embedded] = []
        for start in range(0, len(passages), TOKENIZED_AT_ONCE):
            embedded += self._embed_sorted(passages[start : start + TOKENIZED_AT_ONCE])
        return embedded

    def _embed_sorted(self, passages: Sequence[Passage]) -> list[Embedded]:
        with self._lock:
            streams = self._prepare()
            encoded = self._tokenize([passage.text for passage in passages])

        def embed(batch: list[int]) -> list[tuple[int, Embedded]]:
            rows = self._forward({key: [encoded[key][i] for i in batch] for key in encoded})
            return [
                (index, _pool(passages[index], vector, tokens, offsets))
                for index, (vector, tokens, offsets) in zip(batch, rows, strict=True)
            ]

        batches = _batches([len(ids) for ids in encoded["input_ids"]])
        with ThreadPoolExecutor(streams, "footnote-embed") as workers:
            done = dict(row for rows in workers.map(embed, batches) for row in rows)
        return [done[i] for i in range(len(passages))]

    def _load(self) -> SentenceTransformer:
        if self._model is None:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415  five seconds
            from transformers.utils import logging  # noqa: PLC0415

            # The bar would break into the progress shown around it.
            logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # theirs has no types
            self._model = SentenceTransformer(
                self._source, device="cpu", model_kwargs={"dtype": choose_dtype(self._precision)}
            )
            self._model.eval()
        return self._model

    def _prepare(self) -> int:
        """Make ready what passages run through; give how many batches may run at a time."""
        if self._passage_model is None:
            model = self._load()
            self._passage_model = compile_model(model, choose_dtype(self._precision)) or model
        return getattr(self._passage_model, "streams", 1)

    def _tokenize(self, texts: list[str]) -> dict[str, list[Any]]:
        model = self._load()
        encoded = model.tokenizer(
            texts, truncation=True, max_length=model.max_seq_length, return_offsets_mapping=True
        )
        return {key: encoded[key] for key in encoded}

    def _forward(self, encoded: dict[str, list[Any]]) -> list[tuple[Vectors, Vectors, Any]]:
        import torch  # noqa: PLC0415  two seconds, and the command line must start at once

        model = self._load()
        offsets = encoded.pop("offset_mapping")
        features = model.tokenizer.pad(encoded, return_tensors="pt")
        with torch.inference_mode():
            output = (self._passage_model or model)(dict(features))
        vectors = output["sentence_embedding"].float().numpy()
        tokens = output["token_embeddings"].float().numpy()
        # Without the padding, whose rows belong to no character.
        return [
            (vector, rows[: len(spans)], np.asarray(spans))
            for vector, rows, spans in zip(vectors, tokens, offsets, strict=True)
        ]


def choose_dtype(precision: Precision) -> torch.dtype:
    """Resolve "auto" by what the processor says of itself."""
    import torch  # noqa: PLC0415  two seconds, and the command line must start at once

    if precision == "auto":
        able = torch.cpu.get_capabilities()
        precision = "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    # Alike lengths, in tokens, in one batch: by characters a fifth of it would be padding.
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def _pool(passage: Passage, vector: Vectors, tokens: Vectors, offsets: Any) -> Embedded:
    rows = []
    for sentence in passage.sentences:
        start, end = sentence.start - passage.start, sentence.end - passage.start
        inside = (offsets[:, 0] >= start) & (offsets[:, 1] <= end) & (offsets[:, 1] > offsets[:, 0])
        rows.append(tokens[inside].mean(axis=0) if inside.any() else vector)
    sentences = np.array(rows, dtype=np.float32).reshape(len(rows), len(vector))
    return Embedded(_unit(vector), _unit(sentences))


def _unit(vectors: Any) -> Vectors:
    array = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(array, axis=-1, keepdims=True)
    unit: Vectors = array / np.maximum(norms, 1e-12)
    return unit


def _is_embedder(embedder: SentenceTransformerEmbedder) -> Embedder:
    return embedder  # mypy proves that the class fits the protocol
