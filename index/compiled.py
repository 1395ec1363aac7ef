"""A sentence-transformers model -> the same model, compiled for this processor by OpenVINO.

The only importer of openvino in this package. What PyTorch computes operation by operation,
OpenVINO computes in few fused ones, and several batches beside each other, with the same vectors
(`benchmarks/embedding.py`). Where there is no OpenVINO, PyTorch does it.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from index.types import Vectors

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

PRECISIONS = {"torch.bfloat16": "bf16", "torch.float32": "f32"}


def is_available() -> bool:
    """Say whether OpenVINO is installed: it has no build for a Mac with an Intel processor."""
    return importlib.util.find_spec("openvino") is not None


class CompiledModel:
    """The forward pass of a model whose first module is a transformer.

    As many batches as there are cores are computed beside each other, one thread each, so it is
    meant to be called from `streams` threads at once. Takes some seconds to build. Raises
    `RuntimeError` for a model that cannot be converted.
    """

    def __init__(self, model: SentenceTransformer, dtype: torch.dtype) -> None:
        import openvino  # noqa: PLC0415  it takes a moment, and most commands embed nothing

        self.streams = os.cpu_count() or 1
        first, *rest = (copy.deepcopy(module).float() for module in model)
        self._rest = rest
        example = model.tokenizer(["a text", "another one"], return_tensors="pt", padding=True)
        with quiet():
            converted = trace(first.auto_model, dict(example))
        self._inputs = [port.get_any_name() for port in converted.inputs]
        self._compiled = openvino.Core().compile_model(
            converted,
            "CPU",
            {
                "NUM_STREAMS": str(self.streams),
                "INFERENCE_NUM_THREADS": str(self.streams),
                "INFERENCE_PRECISION_HINT": PRECISIONS[str(dtype)],
            },
        )
        self._of_this_thread = threading.local()

    def __call__(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Give what the model gives for padded tokens: `token_embeddings`, `sentence_embedding`."""
        import torch  # noqa: PLC0415  two seconds, and the command line must start at once

        request = self._request()
        request.infer({name: features[name].numpy() for name in self._inputs}, share_inputs=True)
        tokens: Vectors = request.get_output_tensor(0).data.copy()
        told = {**features, "token_embeddings": torch.from_numpy(tokens)}
        for module in self._rest:
            told = module(told)
        return told

    def _request(self) -> Any:
        if not hasattr(self._of_this_thread, "request"):
            self._of_this_thread.request = self._compiled.create_infer_request()
        return self._of_this_thread.request


def compile_model(model: SentenceTransformer, dtype: torch.dtype) -> CompiledModel | None:
    """Compile where there is OpenVINO and a transformer; None elsewhere.

    A transformer that cannot be converted is told in the log, and stays PyTorch's.
    """
    if not is_available() or not hasattr(model[0], "auto_model"):
        return None
    try:
        return CompiledModel(model, dtype)
    except RuntimeError as error:  # an operation that OpenVINO does not know
        logger.warning("OpenVINO cannot run this embedding model; PyTorch does: %s", error)
        return None


def trace(module: Any, example: dict[str, Any]) -> Any:
    """Give a PyTorch module as an OpenVINO model; `example` has its inputs by name.

    It is what openvino.convert_model does, less the note that it sends to its makers about it.
    Raises `RuntimeError` for a module that cannot be converted.
    """
    from openvino.frontend import FrontEndManager  # noqa: PLC0415  it takes a moment
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(module, example_input=example)
    return frontend.convert(frontend.load(decoder))


@contextmanager
def quiet() -> Iterator[None]:
    """Say nothing while a module is loaded and traced.

    Tracing warns that it fixes what Python decides, and looks at properties that warn. Whether
    the result is the same, a test tells better: it compares with PyTorch's.
    """
    from transformers.utils import logging as theirs  # noqa: PLC0415  it is loaded by now

    before = theirs.get_verbosity()
    theirs.set_verbosity_error()  # type: ignore[no-untyped-call]  # theirs has no types
    theirs.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        theirs.set_verbosity(before)
