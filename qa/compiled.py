"""The local model as OpenVINO compiles it for this processor: tokens in, the next one's scores out.

An adapter is put beside the matrices as it is loaded, and asked for or not with each call.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qa.conversion import GRAPH, ROPE_BASE

if TYPE_CHECKING:
    from openvino import Model

Scores: TypeAlias = NDArray[np.float32]
"""[rows, vocabulary]: the unscaled scores of what comes after each row's token."""

GROUP = 128
"""So many of an activation's numbers share a scale when they are made eight-bit integers."""


@dataclass(frozen=True, slots=True)
class Past:
    """The keys and values of the tokens read so far: arrays [1, heads, `length`, size]."""

    arrays: tuple[NDArray[np.float16], ...]

    @property
    def length(self) -> int:
        """How many tokens were read."""
        return int(self.arrays[0].shape[2])

    def head(self, length: int) -> Self:
        """Give the past of the first tokens only."""
        if length == self.length:
            return self
        return type(self)(tuple(np.ascontiguousarray(a[:, :, :length]) for a in self.arrays))


class CompiledModel:
    """A converted model, loaded: some seconds. One call at a time; others wait.

    `folder` is what `qa.conversion.convert` gave, `adapter` a LoRA adapter in GGUF. Raises
    OpenVINO's and gguf's own errors for files that are something else.
    """

    def __init__(self, folder: Path, *, adapter: Path | None, threads: int | None = None) -> None:
        import openvino  # noqa: PLC0415  it takes a moment

        core = openvino.Core()
        model = core.read_model(folder / GRAPH)
        base = float(model.get_rt_info(ROPE_BASE).value)
        if adapter is not None:
            model = _adapt(model, adapter)
        self._adapted = adapter is not None
        past = [port for port in model.inputs if "past." in port.get_any_name()]
        self._shapes = [port.get_partial_shape() for port in past]
        halves = self._shapes[0][3].get_length() // 2
        self._frequencies = base ** -(np.arange(halves) / halves)
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "NUM_STREAMS": "1",
                "INFERENCE_NUM_THREADS": str(threads or os.cpu_count() or 1),
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": str(GROUP),
            },
        )
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def empty(self) -> Past:
        """Give the past of nothing."""
        return Past(
            tuple(
                np.zeros((1, shape[1].get_length(), 0, shape[3].get_length()), np.float16)
                for shape in self._shapes
            )
        )

    def __call__(
        self, tokens: Sequence[int], past: Past, *, adapted: bool, rows: int
    ) -> tuple[Scores, Past]:
        """Read tokens after a past; give the scores after each of the last `rows`, and the past.

        `adapted` says whether the adapter takes part, where there is one.
        """
        count, before = len(tokens), past.length
        angles = np.arange(before, before + count)[:, None] * self._frequencies
        inputs = [
            np.array([tokens], np.int32),
            np.arange(count - rows, count, dtype=np.int32),
            _mask(count, before),
            np.cos(angles).astype(np.float32)[None, None],
            np.sin(angles).astype(np.float32)[None, None],
            *past.arrays,
        ]
        if self._adapted:
            inputs.append(np.array(float(adapted), np.float32))
        with self._lock:
            self._request.infer(inputs, share_inputs=True)
            outputs = [tensor.data.copy() for tensor in self._request.output_tensors]
        return outputs[0].reshape(rows, -1), Past(tuple(outputs[1:]))


def _mask(count: int, before: int) -> NDArray[np.float32]:
    # Each token sees those before it and itself.
    mask = np.zeros((1, 1, count, before + count), np.float32)
    mask[0, 0, :, before:] = np.triu(np.full((count, count), -np.inf, np.float32), 1)
    return mask


def _adapt(model: Model, adapter: Path) -> Model:
    """Add the low-rank products (LoRA, Hu et al. 2021, arXiv:2106.09685) and an input for them."""
    import openvino  # noqa: PLC0415
    from gguf import GGUFReader  # noqa: PLC0415
    from openvino import opset13 as op  # noqa: PLC0415

    reader = GGUFReader(adapter)
    alpha = float(reader.fields["adapter.lora.alpha"].contents())
    parts: dict[str, Any] = {t.name: np.array(t.data, np.float32) for t in reader.tensors}
    share = op.parameter([], np.float32, name="adapted")
    products = {node.get_friendly_name(): node for node in model.get_ops()}
    for name in {part.rpartition(".lora_")[0] for part in parts}:
        down, up = parts[f"{name}.lora_a"], parts[f"{name}.lora_b"]
        product = products[name]
        low = op.matmul(
            product.input_value(0),
            op.constant(down * (alpha / len(down))),
            transpose_a=False,
            transpose_b=True,
        )
        low = op.multiply(low, share)
        high = op.matmul(low, op.constant(up), transpose_a=False, transpose_b=True)
        readers = list(product.output(0).get_target_inputs())
        both = op.add(product.output(0), high)
        for target in readers:
            target.replace_source_output(both.output(0))
    inputs = [*model.get_parameters(), share]
    return openvino.Model(model.get_results(), inputs, model.get_friendly_name())
