"""The verifier that ships: all-mpnet-base-v2 with what was trained on top of it.

The base model's files are fetched as they were published. What `benchmarks/train_verifier.py`
trained, a LoRA adapter (Hu et al. 2021, arXiv:2106.09685) and its heads, comes with this package
in eight bits, and is added to the matrices once, as they are loaded. OpenVINO runs it where it is
installed, PyTorch elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from index.compiled import PRECISIONS, is_available, quiet, trace
from index.embed import Precision, choose_dtype
from qa.errors import ModelUnavailableError
from qa.types import Evidence
from qa.verifier import Verdict, shown
from qa.weights import VERIFIER

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

ALPHA = "alpha"
"""The adapter's metadata: what its products are multiplied by, times its rank."""
WINDOW = 480
"""Tokens of question and text; what is beyond is not read. The model has room for 512."""
FORMAT = ("input_ids", "attention_mask")
Forward: TypeAlias = Callable[[npt.NDArray[np.int64]], float]


class MpnetVerifier:
    """A `Verifier`, loaded at its first use or by `load`. Safe to call from several threads.

    `folder` has the base model's files, `adapter` what was trained; `precision` as an embedder's.
    """

    def __init__(
        self,
        folder: Path,
        adapter: Path = VERIFIER,
        *,
        precision: Precision = "auto",
        threads: int | None = None,
    ) -> None:
        self._folder, self._adapter = folder, adapter
        self._precision = precision
        self._threads = threads or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._loaded: tuple[Tokenizer, Forward] | None = None

    def load(self) -> None:
        """Load the model, some seconds. Raises `ModelUnavailableError`."""
        with self._lock:
            self._load()

    def verify(self, question: str, evidence: Sequence[Evidence]) -> Verdict:
        """Read question and sentences. Raises `ModelUnavailableError`."""
        asked, text = shown(question, evidence)
        with self._lock:
            tokenizer, forward = self._load()
            encoded = tokenizer.encode(asked, text)
            return Verdict(answerable=forward(np.array([encoded.ids], dtype=np.int64)))

    def _load(self) -> tuple[Tokenizer, Forward]:
        if self._loaded is None:
            try:
                self._loaded = load_tokenizer(self._folder), self._build()
            except Exception as error:  # torch's, safetensors' and tokenizers' own; all are told
                raise ModelUnavailableError(
                    f"The verifier cannot be loaded: {error}",
                    fix="Run `footnote weights`, which fetches what is missing.",
                ) from error
        return self._loaded

    def _build(self) -> Forward:
        import torch  # noqa: PLC0415  two seconds, and the command line must start at once

        dtype = choose_dtype(self._precision)
        with quiet():
            network = _network(self._folder, self._adapter)
            if is_available():
                return _compiled(network, dtype, self._threads)
        network = network.to(dtype)

        def forward(tokens: npt.NDArray[np.int64]) -> float:
            ids = torch.from_numpy(tokens)
            with torch.inference_mode():
                return float(network(ids, torch.ones_like(ids))[0])

        return forward


def _compiled(network: Any, dtype: torch.dtype, threads: int) -> Forward:
    import openvino  # noqa: PLC0415  it takes a moment
    import torch  # noqa: PLC0415

    example = torch.tensor([[0, 3, 2, 2, 3, 2]])  # <s> question </s></s> text </s>
    model = trace(network, dict.fromkeys(FORMAT, example))
    request = (
        openvino.Core()
        .compile_model(
            model,
            "CPU",
            {
                "NUM_STREAMS": "1",
                "INFERENCE_NUM_THREADS": str(threads),
                "INFERENCE_PRECISION_HINT": PRECISIONS[str(dtype)],
            },
        )
        .create_infer_request()
    )

    def forward(tokens: npt.NDArray[np.int64]) -> float:
        request.infer(dict(zip(FORMAT, (tokens, np.ones_like(tokens)), strict=True)))
        return float(request.get_output_tensor(0).data[0])

    return forward


def _network(folder: Path, adapter: Path) -> Any:
    """Build the module: tokens and mask [1, n] to the log-odds [1] that there is an answer."""
    import torch  # noqa: PLC0415
    from safetensors import safe_open  # noqa: PLC0415
    from transformers import MPNetModel  # noqa: PLC0415  two seconds

    with safe_open(adapter, "pt") as file:
        trained = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a mapping
        alpha = float(file.metadata()[ALPHA])
    base = MPNetModel.from_pretrained(
        folder, add_pooling_layer=False, attn_implementation="eager", local_files_only=True
    )
    for name, layer in base.named_modules():
        if f"{name}.A" in trained:
            down, up = (unpack(trained, f"{name}.{half}") for half in "AB")
            layer.weight.data += (alpha / len(down)) * (up @ down)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = base
            self.answerable = _linear(trained, "answerable")

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            states = self.base(input_ids=input_ids, attention_mask=attention_mask)
            odds: torch.Tensor = self.answerable(states.last_hidden_state[:, 0])[:, 0]
            return odds

    return Network().eval()


def _linear(trained: Mapping[str, torch.Tensor], name: str) -> torch.nn.Linear:
    import torch  # noqa: PLC0415

    weight, bias = unpack(trained, f"{name}.weight"), trained[f"{name}.bias"].float()
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight.data, linear.bias.data = weight, bias
    return linear


def unpack(trained: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    """Give a matrix [rows, columns] that is kept as whole numbers and a scale for each row."""
    return trained[name].float() * trained[f"{name}.scale"].float()


def load_tokenizer(folder: Path, window: int = WINDOW) -> Tokenizer:
    """Give the tokenizer of question and text, of so many tokens together at most."""
    from tokenizers import Tokenizer as Built  # noqa: PLC0415

    tokenizer = Built.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(window, strategy="longest_first")
    return tokenizer
