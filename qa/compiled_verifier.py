"""The verifier that ships: all-mpnet-base-v2 with what was trained on top of it.

Its networks (`qa.mpnet`) are one that judges what was found, one that judges whole passages, and
the base model, which compares texts. OpenVINO runs them where it is installed, PyTorch elsewhere.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from index.compiled import PRECISIONS, is_available, quiet
from index.embed import Precision, choose_dtype
from qa.errors import ModelUnavailableError
from qa.kept import forget
from qa.mpnet import FORMAT, SHIPPED, build, convert, trace_all
from qa.prompts import flatten
from qa.types import Evidence
from qa.verifier import Verdict, head, sentence_spans

if TYPE_CHECKING:
    import torch
    from tokenizers import Encoding, Tokenizer

logger = logging.getLogger(__name__)

WINDOW = 508
"""Tokens of question and text; what is beyond is not read. The model has room for 512."""
WITHIN = 1.5
LONGEST = 25
UNREAD = -10.0
"""The log-odds of a sentence that there was no room for."""
Forward: TypeAlias = Callable[[npt.NDArray[np.int64]], list[npt.NDArray[np.float32]]]
"""Tokens [1, n] to what a network gives for them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is made ready once.

    `judge` gives the log-odds [1] that there is an answer, each token's [1, n] of being in a
    sentence that gives it, and of being its first or its last [1, n, 2]; `explain` gives the same,
    trained for whole passages; `embed` is the base model: the mean [1, width] of its tokens.
    """

    tokenizer: Tokenizer
    judge: Forward
    explain: Forward
    embed: Forward


class MpnetVerifier:
    """A `Verifier`, loaded at its first use or by `load`. Safe to call from several threads.

    `folder` has the base model's files, `adapters` what was trained to judge and to explain;
    `precision` as an embedder's. `kept` is the folder that has the networks as OpenVINO reads them,
    or is to have them from the first time on; without one they are made in memory, which takes some
    seconds and twice the memory.
    """

    def __init__(
        self,
        folder: Path,
        adapters: tuple[Path, Path] = SHIPPED,
        *,
        kept: Path | None = None,
        precision: Precision = "auto",
        threads: int | None = None,
    ) -> None:
        self._folder, self._adapters, self._kept = folder, adapters, kept
        self._precision = precision
        self._threads = threads or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None

    def load(self) -> None:
        """Load the model, some seconds. Raises `ModelUnavailableError`."""
        with self._lock:
            self._load()

    def verify(self, question: str, evidence: Sequence[Evidence]) -> Verdict:
        """Read question and sentences. Raises `ModelUnavailableError`."""
        sentences = [flatten(e.text) for e in evidence]
        with self._lock:
            loaded = self._load()
            encoded = loaded.tokenizer.encode(flatten(question), " ".join(sentences))
            tokens = np.array([encoded.ids], dtype=np.int64)
            answerable, odds, edges = loaded.judge(tokens)
        places = locate(encoded, sentence_spans(sentences))
        phrases = [
            " ".join(sentences)[encoded.offsets[first][0] : encoded.offsets[last][1]]
            for first, last in likely_spans(edges[0], places)
        ]
        return Verdict(float(answerable[0]), _judge_all(odds, places), tuple(phrases))

    def explain(self, question: str, title: str, sentences: Sequence[Evidence]) -> Verdict:
        """Read a question and a whole passage. Raises `ModelUnavailableError`."""
        shown = [head(title), *(flatten(e.text) for e in sentences)]
        with self._lock:
            loaded = self._load()
            encoded = loaded.tokenizer.encode(flatten(question), " ".join(shown))
            answerable, odds, _ = loaded.explain(np.array([encoded.ids], dtype=np.int64))
        places = locate(encoded, sentence_spans(shown))[1:]
        return Verdict(float(answerable[0]), _judge_all(odds, places))

    def compare(self, question: str, texts: Sequence[str]) -> float:
        """Embed question and texts, some. Raises `ModelUnavailableError`."""
        with self._lock:
            loaded = self._load()
            asked, *others = (
                loaded.embed(np.array([loaded.tokenizer.encode(flatten(t)).ids], dtype=np.int64))[0]
                for t in (question, *texts)
            )
        return max(_cosine(asked[0], other[0]) for other in others)

    def _load(self) -> Loaded:
        if self._loaded is None:
            try:
                self._loaded = Loaded(load_tokenizer(self._folder), *self._build())
            except Exception as error:  # torch's, safetensors' and tokenizers' own; all are told
                raise ModelUnavailableError(
                    f"The verifier cannot be loaded: {error}",
                    fix="Run `footnote weights`, which fetches what is missing.",
                ) from error
        return self._loaded

    def _build(self) -> list[Forward]:
        dtype = choose_dtype(self._precision)
        if not is_available():
            with quiet():
                networks = build(self._folder, self._adapters)
                return [_plain(network.to(dtype)) for network in networks]
        if self._kept is not None:
            try:
                files = convert(self._folder, self._adapters, self._kept)
                return [_compiled(file, dtype, self._threads) for file in files]
            except (OSError, RuntimeError) as error:  # a disk that is full, files that are damaged
                logger.warning("The verifier cannot be kept in %s: %s", self._kept, error)
                forget(self._kept)
        models = trace_all(self._folder, self._adapters)
        return [_compiled(model, dtype, self._threads) for model in models]


def _plain(network: Any) -> Forward:
    import torch  # noqa: PLC0415  two seconds, and the command line must start at once

    def forward(tokens: npt.NDArray[np.int64]) -> list[npt.NDArray[np.float32]]:
        ids = torch.from_numpy(tokens)
        with torch.inference_mode():
            return [told.float().numpy() for told in network(ids, torch.ones_like(ids))]

    return forward


def _compiled(model: Any, dtype: torch.dtype, threads: int) -> Forward:
    import openvino  # noqa: PLC0415  it takes a moment

    compiled = openvino.Core().compile_model(
        model,
        "CPU",
        {
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
            "INFERENCE_PRECISION_HINT": PRECISIONS[str(dtype)],
        },
    )
    request, outputs = compiled.create_infer_request(), len(compiled.outputs)

    def forward(tokens: npt.NDArray[np.int64]) -> list[npt.NDArray[np.float32]]:
        request.infer(dict(zip(FORMAT, (tokens, np.ones_like(tokens)), strict=True)))
        return [request.get_output_tensor(n).data.copy() for n in range(outputs)]

    return forward


def _judge_all(odds: npt.NDArray[np.float32], places: Sequence[range]) -> tuple[float, ...]:
    """Give each sentence the mean of its tokens' log-odds [1, n]."""
    return tuple(float(odds[0, p.start : p.stop].mean()) if p else UNREAD for p in places)


def _cosine(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def locate(encoded: Encoding, spans: Sequence[tuple[int, int]]) -> list[range]:
    """Give the tokens of each span of the text, half-open code points; none where it was cut."""
    places = [n for n, part in enumerate(encoded.sequence_ids) if part == 1]
    offsets = [encoded.offsets[n] for n in places]
    ranges = []
    for start, end in spans:
        inside = [
            n
            for n, (first, past) in zip(places, offsets, strict=True)
            if past > start and first < end
        ]
        ranges.append(range(inside[0], inside[-1] + 1) if inside else range(0))
    return ranges


def likely_spans(
    edges: npt.NDArray[np.float32], sentences: Sequence[range]
) -> list[tuple[int, int]]:
    """Give the likeliest answers, best first, as their first and last tokens, each in a sentence.

    `edges` [n, 2] are the log-odds of each token to be the first or the last. Those are given that
    are at most `WITHIN` less likely (ln) than the best, of `LONGEST` tokens at most.
    """
    scored = sorted(
        (
            (float(edges[first, 0] + edges[last, 1]), first, last)
            for place in sentences
            for first in place
            for last in range(first, min(first + LONGEST, place.stop))
        ),
        key=lambda span: -span[0],
    )
    return [(first, last) for score, first, last in scored if score >= scored[0][0] - WITHIN]


def load_tokenizer(folder: Path, window: int = WINDOW) -> Tokenizer:
    """Give the tokenizer of question and text, of so many tokens together at most."""
    from tokenizers import Tokenizer as Built  # noqa: PLC0415

    tokenizer = Built.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(window, strategy="longest_first")
    return tokenizer
