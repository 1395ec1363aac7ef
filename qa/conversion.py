"""A GGUF file -> the same model for OpenVINO, its weights in eight bits, kept in a folder.

llama.cpp's wheel computes with what any processor with AVX2 has. OpenVINO multiplies eight-bit
integers where a processor can (VNNI), but from four-bit weights in groups of 32 it gains little,
so they are written anew: one scale a row, which moves them by a fiftieth of what four bits did.
The graph is Qwen2's (Yang et al. 2024, arXiv:2407.10671), from the operations that OpenVINO keeps
stable. Keys and values of what was read come in and go out, so that a prompt's beginning is read
once.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qa.errors import ModelUnavailableError
from qa.kept import keep

if TYPE_CHECKING:
    from openvino import Model

    from qa.weights import Progress

FORMAT = 1
"""Written into the folder's name: a change of the graph makes a new folder."""
GRAPH = "model.xml"
TOKENS = "tokenizer.json"
ROPE_BASE = "rope_base"
"""The key that the graph tells the base of its positions' angles under."""
ARCHITECTURE = "qwen2"
FULL = 127.0
"""What the largest weight of a row becomes."""
ROWS = 2048
"""So many of a matrix's rows are in memory as they are, for each core."""


def folder_of(name: str, digest: str, cache: Path) -> Path:
    """Give where the model of this name and digest is kept; it is whole where it exists."""
    return cache / "openvino" / f"{name}-{digest[:12]}-{FORMAT}"


def convert(model: Path, digest: str, cache: Path, progress: Progress) -> Path:
    """Give the folder of the converted model, converting it where it is not there: half a minute.

    `progress` is called with the bytes of the tensors that are done. Raises
    `ModelUnavailableError` for a disk that is full or a model of another architecture; a
    conversion that broke off leaves nothing that is taken for a whole one.
    """
    target = folder_of(model.stem, digest, cache)
    try:
        return keep(target, lambda work: _write(model, work, progress))
    except Exception as error:  # OpenVINO's, gguf's and tokenizers' own, a disk's; all are told
        raise ModelUnavailableError(
            f"{model.name} cannot be converted for OpenVINO: {error}",
            fix=f"Make room in {cache}, which needs twice the model's size, or set "
            "FOOTNOTE_RUNTIME=llama.cpp.",
        ) from error


def _write(model: Path, work: Path, progress: Progress) -> None:
    import openvino  # noqa: PLC0415  it takes a moment
    from gguf import GGUFReader  # noqa: PLC0415
    from transformers import AutoTokenizer  # noqa: PLC0415  two seconds

    reader = GGUFReader(model)
    needed = sum(int(tensor.n_elements) for tensor in reader.tensors)
    free = shutil.disk_usage(work).free
    if free < needed:  # OpenVINO would say that a stream failed, after half a minute
        raise OSError(errno.ENOSPC, f"{needed:,} bytes are needed and {free:,} are free")
    openvino.save_model(_build(reader, model.name, progress), work / GRAPH, compress_to_fp16=False)
    tokenizer = AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in written["added_tokens"]:
        token["special"] = True  # so that a text that spells one is only text
    (work / TOKENS).write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a Qwen2 model, as its file tells them."""

    layers: int
    heads: int
    shared: int
    width: int
    epsilon: float
    rope_base: float

    @property
    def head(self) -> int:
        """How many numbers a head's key has."""
        return self.width // self.heads


def _shape_of(reader: Any) -> Shape:
    told = {name: field.contents() for name, field in reader.fields.items() if "qwen2" in name}
    architecture = reader.fields["general.architecture"].contents()
    if architecture != ARCHITECTURE:
        raise ValueError(f"its architecture is {architecture}, and only {ARCHITECTURE} is known")
    return Shape(
        layers=told["qwen2.block_count"],
        heads=told["qwen2.attention.head_count"],
        shared=told["qwen2.attention.head_count_kv"],
        width=told["qwen2.embedding_length"],
        epsilon=told["qwen2.attention.layer_norm_rms_epsilon"],
        rope_base=told["qwen2.rope.freq_base"],
    )


def _build(reader: Any, name: str, progress: Progress) -> Model:
    import openvino  # noqa: PLC0415
    from openvino import opset13 as op  # noqa: PLC0415

    shape = _shape_of(reader)
    weights = _Weights({tensor.name: tensor for tensor in reader.tensors}, name, progress)
    tokens = op.parameter([1, -1], np.int32, name="tokens")
    rows = op.parameter([-1], np.int32, name="rows")
    mask = op.parameter([1, 1, -1, -1], np.float32, name="mask")
    cosine = op.parameter([1, 1, -1, shape.head // 2], np.float32, name="cosine")
    sine = op.parameter([1, 1, -1, shape.head // 2], np.float32, name="sine")
    layer = _Layer(
        shape, weights, cosine, sine, op.concat([mask] * (shape.heads // shape.shared), 2)
    )
    hidden = weights.embed(tokens)
    past, present = [], []
    for number in range(shape.layers):
        sizes = [1, shape.shared, -1, shape.head]
        keys = op.parameter(sizes, np.float16, name=f"past.{number}.keys")
        values = op.parameter(sizes, np.float16, name=f"past.{number}.values")
        hidden, new_keys, new_values = layer(number, hidden, keys, values)
        past += [keys, values]
        present += [op.result(new_keys), op.result(new_values)]
    hidden = op.gather(hidden, rows, op.constant(np.int64(1)))
    hidden = weights.normalize("output_norm", hidden, shape.epsilon)
    head = "output" if "output.weight" in weights.tensors else "token_embd"
    logits = weights.multiply(head, hidden)
    inputs = [tokens, rows, mask, cosine, sine, *past]
    model = openvino.Model([op.result(logits), *present], inputs, name)
    model.set_rt_info(str(shape.rope_base), ROPE_BASE)
    return model


class _Layer:
    """One layer after another, of the same inputs."""

    def __init__(self, shape: Shape, weights: _Weights, cosine: Any, sine: Any, mask: Any) -> None:
        self._shape, self._weights = shape, weights
        self._cosine, self._sine, self._mask = cosine, sine, mask

    def __call__(self, number: int, hidden: Any, keys: Any, values: Any) -> tuple[Any, Any, Any]:
        """Give the hidden state [1, tokens, width], and all keys and values up to here."""
        from openvino import opset13 as op  # noqa: PLC0415

        shape, weights, block = self._shape, self._weights, f"blk.{number}"
        normal = weights.normalize(f"{block}.attn_norm", hidden, shape.epsilon)
        query = self._turn(self._split(weights.multiply(f"{block}.attn_q", normal), shape.heads))
        key = self._turn(self._split(weights.multiply(f"{block}.attn_k", normal), shape.shared))
        value = self._split(weights.multiply(f"{block}.attn_v", normal), shape.shared)
        keys = op.concat([keys, op.convert(key, np.float16)], 2)
        values = op.concat([values, op.convert(value, np.float16)], 2)
        # Heads that share their keys stand one below the other, as if they were more tokens: so
        # the keys need not be written out once for each.
        stacked = _reshape(query, (1, shape.shared, -1, shape.head))
        seen = op.scaled_dot_product_attention(
            stacked, op.convert(keys, np.float32), op.convert(values, np.float32), self._mask
        )
        heads = _transpose(_reshape(seen, (1, shape.heads, -1, shape.head)), (0, 2, 1, 3))
        flat = _reshape(heads, (1, -1, shape.width))
        hidden = op.add(hidden, weights.multiply(f"{block}.attn_output", flat))
        normal = weights.normalize(f"{block}.ffn_norm", hidden, shape.epsilon)
        gate = op.swish(weights.multiply(f"{block}.ffn_gate", normal))
        gated = op.multiply(gate, weights.multiply(f"{block}.ffn_up", normal))
        return op.add(hidden, weights.multiply(f"{block}.ffn_down", gated)), keys, values

    def _split(self, states: Any, heads: int) -> Any:
        return _transpose(_reshape(states, (1, -1, heads, self._shape.head)), (0, 2, 1, 3))

    def _turn(self, states: Any) -> Any:
        """Turn by position (rotary embedding, Su et al. 2021, arXiv:2104.09864), in halves."""
        from openvino import opset13 as op  # noqa: PLC0415

        one, other = op.split(states, op.constant(np.int64(3)), 2).outputs()
        return op.concat(
            [
                op.subtract(op.multiply(one, self._cosine), op.multiply(other, self._sine)),
                op.add(op.multiply(other, self._cosine), op.multiply(one, self._sine)),
            ],
            3,
        )


class _Weights:
    """The file's tensors as constants of the graph, two of them made ready at a time."""

    def __init__(self, tensors: Mapping[str, Any], name: str, progress: Progress) -> None:
        self.tensors = tensors
        self._told = (name, sum(int(t.n_bytes) for t in tensors.values()))
        self._progress = progress
        self._done = 0

    def embed(self, tokens: Any) -> Any:
        """Look tokens [1, n] up: [1, n, width]."""
        from openvino import opset13 as op  # noqa: PLC0415

        whole, scale = self._quantize("token_embd.weight")
        axis = op.constant(np.int64(0))
        found = op.convert(op.gather(op.constant(whole), tokens, axis), np.float32)
        return op.multiply(found, op.gather(op.constant(scale), tokens, axis))

    def multiply(self, name: str, states: Any) -> Any:
        """Multiply by a matrix and add its bias, if it has one; the node has the matrix's name."""
        from openvino import opset13 as op  # noqa: PLC0415

        whole, scale = self._quantize(f"{name}.weight")
        matrix = op.multiply(op.convert(op.constant(whole), np.float32), op.constant(scale))
        product = op.matmul(states, matrix, transpose_a=False, transpose_b=True)
        product.set_friendly_name(f"{name}.weight")
        if f"{name}.bias" not in self.tensors:
            return product
        return op.add(product, op.constant(self._read(f"{name}.bias")))

    def normalize(self, name: str, states: Any, epsilon: float) -> Any:
        """Divide by the root of the mean square, and scale."""
        from openvino import opset13 as op  # noqa: PLC0415

        square = op.power(states, op.constant(np.float32(2)))
        mean = op.reduce_mean(square, op.constant(np.array([-1])), keep_dims=True)
        root = op.sqrt(op.add(mean, op.constant(np.float32(epsilon))))
        normal = op.divide(states, root)
        return op.multiply(normal, op.constant(self._read(f"{name}.weight")))

    def _quantize(self, name: str) -> tuple[Any, Any]:
        """Give the nearest whole numbers [rows, columns] and the rows' scales [rows, 1]."""
        from gguf import dequantize  # noqa: PLC0415

        tensor = self.tensors[name]
        columns, rows = (int(size) for size in tensor.shape)  # GGUF names the inner one first
        whole = np.empty((rows, columns), np.int8)
        scale = np.empty((rows, 1), np.float32)

        def fill(first: int) -> None:
            part = slice(first, first + ROWS)
            values = dequantize(tensor.data[part], tensor.tensor_type)
            largest = np.abs(values).max(axis=1, keepdims=True)
            scale[part] = np.where(largest == 0, 1.0, largest / FULL)
            values = values / scale[part]
            whole[part] = np.rint(values, out=values)

        with ThreadPoolExecutor(os.cpu_count() or 1) as executor:
            list(executor.map(fill, range(0, rows, ROWS)))
        self._tell(name)
        return whole, scale

    def _read(self, name: str) -> Any:
        from gguf import dequantize  # noqa: PLC0415

        tensor = self.tensors[name]
        self._tell(name)
        return dequantize(tensor.data, tensor.tensor_type).astype(np.float32)

    def _tell(self, name: str) -> None:
        model, total = self._told
        self._done = min(self._done + int(self.tensors[name].n_bytes), total)
        self._progress(model, self._done, total)


def _reshape(states: Any, shape: tuple[int, ...]) -> Any:
    from openvino import opset13 as op  # noqa: PLC0415

    return op.reshape(states, op.constant(np.array(shape)), special_zero=False)


def _transpose(states: Any, order: tuple[int, ...]) -> Any:
    from openvino import opset13 as op  # noqa: PLC0415

    return op.transpose(states, op.constant(np.array(order)))
