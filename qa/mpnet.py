"""all-mpnet-base-v2 and what was trained on top of it -> networks that PyTorch or OpenVINO run.

The base model's files are fetched as they were published. What `benchmarks/train_verifier.py`
trained, LoRA adapters (Hu et al. 2021, arXiv:2106.09685) and their heads, comes with this package
in eight bits, and is added to the matrices once. For OpenVINO the networks are written to files in
sixteen bits, once: it maps those into memory, and starts in a second where tracing takes ten
(docs/decisions/0024).
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.compiled import quiet, trace
from qa.kept import LOCK, forget, keep
from qa.weights import EXPLAINER, MPNET, VERIFIER

if TYPE_CHECKING:
    import torch

    from qa.weights import Progress

ALPHA = "alpha"
"""The adapter's metadata: what its products are multiplied by, times its rank."""
FORMAT = ("input_ids", "attention_mask")
BASE = "model.safetensors"
SHIPPED = (VERIFIER, EXPLAINER)
VERSION = 1
"""Hashed into the folder's name: a change of the networks makes a new folder."""


def folder_of(cache: Path) -> Path:
    """Give where the networks that ship are kept for OpenVINO; they are whole where it exists."""
    digest = hashlib.sha256(f"{VERSION}".encode())
    for file in MPNET.files:
        digest.update(file.sha256.encode())
    for adapter in SHIPPED:
        digest.update(adapter.read_bytes())
    return cache / "openvino" / f"{MPNET.name}-{digest.hexdigest()[:12]}"


def convert(
    folder: Path, adapters: Sequence[Path], kept: Path, progress: Progress = lambda *_: None
) -> list[Path]:
    """Give the files of the networks of `build` in `kept`, writing them where it is not there.

    That takes some ten seconds and 220 MB each, and takes away what another version left.
    `progress` is called with the networks that are done. Raises `OSError`, or OpenVINO's
    `RuntimeError`.
    """
    if not kept.exists():
        keep(kept, lambda work: _write(folder, adapters, work, progress))
        for other in kept.parent.glob(f"{MPNET.name}-*"):
            if other.suffix != LOCK and not other.name.startswith(kept.name):
                forget(other.with_suffix(""))
    return [kept / f"{n}.xml" for n in range(len(adapters) + 1)]


def trace_all(folder: Path, adapters: Sequence[Path]) -> Iterator[Any]:
    """Give the networks of `build` as models of OpenVINO."""
    import torch  # noqa: PLC0415  two seconds, and the command line must start at once

    example = torch.tensor([[0, 3, 2, 2, 3, 2]])  # <s> question </s></s> text </s>
    with quiet():
        for network in build(folder, adapters):
            yield trace(network, dict.fromkeys(FORMAT, example))


def _write(folder: Path, adapters: Sequence[Path], work: Path, progress: Progress) -> None:
    import openvino  # noqa: PLC0415  it takes a moment

    count = len(adapters) + 1
    needed = count * (folder / BASE).stat().st_size // 2
    free = shutil.disk_usage(work).free
    if free < needed:  # OpenVINO would say that a stream failed
        raise OSError(errno.ENOSPC, f"{needed:,} bytes are needed and {free:,} are free")
    progress(MPNET.name, 0, count)
    for n, model in enumerate(trace_all(folder, adapters)):
        openvino.save_model(model, work / f"{n}.xml", compress_to_fp16=True)
        progress(MPNET.name, n + 1, count)


def build(folder: Path, adapters: Sequence[Path]) -> Iterator[Any]:
    """Build a PyTorch module for each adapter, and one of the base model alone: some seconds each.

    They take tokens and their mask [1, n]. The first give the log-odds [1] that there is an answer,
    each token's [1, n] of being in a sentence that gives it, and of being its first or its last
    [1, n, 2]; the last one the mean [1, width] of the tokens.
    """
    import torch  # noqa: PLC0415
    from safetensors import safe_open  # noqa: PLC0415
    from transformers import MPNetModel  # noqa: PLC0415  two seconds

    def load_base() -> Any:
        return MPNetModel.from_pretrained(
            folder, add_pooling_layer=False, attn_implementation="eager", local_files_only=True
        )

    class Judge(torch.nn.Module):
        def __init__(self, adapter: Path) -> None:
            super().__init__()
            with safe_open(adapter, "pt") as file:
                trained = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a mapping
                alpha = float(file.metadata()[ALPHA])
            self.base = load_base()
            for name, layer in self.base.named_modules():
                if f"{name}.A" in trained:
                    down, up = (unpack(trained, f"{name}.{half}") for half in "AB")
                    layer.weight.data += (alpha / len(down)) * (up @ down)
            self.answerable = _linear(trained, "answerable")
            self.relevant = _linear(trained, "relevant")
            self.span = _linear(trained, "span")

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            states = self.base(input_ids=input_ids, attention_mask=attention_mask)
            last = states.last_hidden_state
            return self.answerable(last[:, 0])[:, 0], self.relevant(last)[:, :, 0], self.span(last)

    class Embedding(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = load_base()

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor
        ) -> tuple[torch.Tensor]:
            states = self.base(input_ids=input_ids, attention_mask=attention_mask)
            return (states.last_hidden_state.mean(dim=1),)

    for adapter in adapters:
        yield Judge(adapter).eval()
    yield Embedding().eval()


def _linear(trained: Mapping[str, torch.Tensor], name: str) -> torch.nn.Linear:
    import torch  # noqa: PLC0415

    weight, bias = unpack(trained, f"{name}.weight"), trained[f"{name}.bias"].float()
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight.data, linear.bias.data = weight, bias
    return linear


def unpack(trained: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    """Give a matrix [rows, columns] that is kept as whole numbers and a scale for each row."""
    return trained[name].float() * trained[f"{name}.scale"].float()
