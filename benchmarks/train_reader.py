"""Train the adapter of the shipped reader (`qa/reader.gguf`) on tune questions.

    pip install -c constraints.txt -e '.[train]'
    python benchmarks/reader_examples.py --squad1 train-v1.1.json --squad2 FOLDER \
        --clapnq FOLDER --out WORK
    python benchmarks/train_reader.py train WORK --start qa/reader.gguf
    python benchmarks/train_reader.py write WORK --mean qa/reader.gguf

`train` fits low-rank additions to the last layers of the model, as it is shipped, four-bit weights
and all (LoRA, Hu et al. 2021, arXiv:2106.09685; QLoRA, Dettmers et al. 2023, arXiv:2305.14314),
with the cross-entropy of the replies alone. Sentences are read once for all the questions about
them, each of which sees only what leads to it. What ships was trained in four rounds, each from
the one before (`--start`): the first at `--rate 4e-4` (`docs/decisions/0016`), the third and fourth
(`docs/decisions/0022`, `0027`) by this script and the examples that `reader_examples.py` makes. A
round takes 30 to 60 minutes on two cores with bfloat16. `write` makes the GGUF file, of the mean of
what was trained and an earlier adapter if one is given (Wortsman et al. 2022, arXiv:2203.05482).
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import gguf
import numpy as np
import torch
from langchain_core.messages import BaseMessage
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from api.terminal import fetch_weights
from qa.compiled_reader import END, ROLES, START
from qa.prompts import trained_messages
from qa.settings import Settings
from qa.weights import ADAPTERS, QWEN_1_5B

FIRST_LAYER = 18
"""Of 28: the layers before it stay as they are, which halves the time."""
RANK = 8
ALPHA = 16.0
RATE = 2.5e-4
ROW = 640
"""Tokens of a row."""
ROWS = 6
"""Rows of a step."""
OPEN = 12
"""How many rows are looked at for room."""
WARM_UP = 6
NAMES = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
"""The names that PyTorch's and GGUF's forms of the model have for the same matrices."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Tokens that go on from those of the branch `parent`, by its place; None for a trunk.

    `weights` say how much it counts that each token is foretold; 0 for what is only read.
    """

    tokens: list[int]
    parent: int | None
    weights: list[float]


Tree: TypeAlias = list[Branch]
"""Sentences and all that is asked of them, which are read once for all the questions."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Trees, one after the other in a row, so that each token sees only what leads to it.

    `places` are the tokens' positions behind the beginning, `seen` the tokens that each one sees,
    `foretold` what is learned: the token before, the token, and its weight.
    """

    tokens: list[int]
    places: list[int]
    seen: list[list[int]]
    foretold: list[tuple[int, int, float]]


def main() -> None:
    """Train, or write what was trained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    training = verbs.add_parser("train")
    training.add_argument("work", type=Path)
    training.add_argument("--start", type=Path, help="the adapter of a round before")
    training.add_argument("--rate", type=float, default=RATE)
    writing = verbs.add_parser("write")
    writing.add_argument("work", type=Path)
    writing.add_argument("--mean", type=Path, help="the adapter to take the mean with")
    options = parser.parse_args()
    if options.verb == "train":
        _train(options.work, options.start, options.rate)
    else:
        _write(options.work, options.mean)


class Adapted(nn.Module):
    """A linear layer that stays as it is, and the low-rank product that is trained beside it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        rows, columns = base.weight.shape
        self.base = base
        self.a = nn.Parameter(torch.randn(RANK, columns) / math.sqrt(columns))
        self.b = nn.Parameter(torch.zeros(rows, RANK))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give both, added."""
        low = functional.linear(x, self.a.to(x.dtype))
        return self.base(x) + functional.linear(low, self.b.to(x.dtype)) * (ALPHA / RANK)


def _train(work: Path, start: Path | None, rate: float) -> None:
    torch.manual_seed(0)
    folder = fetch_weights(Settings())[-1]
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=QWEN_1_5B.main)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=QWEN_1_5B.main, dtype=torch.bfloat16
    )
    model.requires_grad_(requires_grad=False)
    model.eval()
    adapted = _adapt(model)
    if start is not None:
        _load_adapter(adapted, start)
    beginning = Beginning(model, tokenizer)
    parameters = [p for layer in adapted.values() for p in (layer.a, layer.b)]
    trees = [
        grow(json.loads(line), partial(_encode, tokenizer))
        for line in (work / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    rows = pack(trees)
    random.Random(0).shuffle(rows)  # noqa: S311  to repeat a run, not to hide one
    batches = [rows[n : n + ROWS] for n in range(0, len(rows), ROWS)]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    began = time.monotonic()
    for step, batch in enumerate(batches):
        loss = _loss(model, beginning, [lay_out(row) for row in batch])
        for group in optimizer.param_groups:
            group["lr"] = rate * _schedule(step, len(batches))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        left = (time.monotonic() - began) / (step + 1) * (len(batches) - step - 1) / 60
        print(f"{step + 1}/{len(batches)}: loss {loss.item():.3f}, {left:.0f} min left", flush=True)
        _save_adapter(adapted, work / "reader.safetensors")


def _adapt(model: Any) -> dict[str, Adapted]:
    adapted: dict[str, Adapted] = {}
    for number, layer in enumerate(model.model.layers):
        if number >= FIRST_LAYER:
            for parent in (layer.self_attn, layer.mlp):
                for name in NAMES:
                    if hasattr(parent, name):
                        adapted[f"{number}.{name}"] = Adapted(getattr(parent, name))
                        setattr(parent, name, adapted[f"{number}.{name}"])
    return adapted


class Beginning:
    """What all prompts begin with: the rules and the examples, read once for each batch.

    It takes the place of transformers' cache: it keeps the keys and values of the beginning, and
    puts them before those of the rows of a batch.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        *before, _ = trained_messages("", ())
        tokens = _encode(tokenizer, "".join(map(_render, before)))
        self.length = len(tokens)
        self._model = model
        self._kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._reads = True
        self._positions = torch.arange(self.length)[None]
        with torch.no_grad():
            hidden = model.model.embed_tokens(torch.tensor([tokens]))
            self._hidden = self._run(hidden, range(FIRST_LAYER), self._positions, None)

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep the beginning's keys and values, or put them before a batch's own."""
        if self._reads:
            self._kept[layer] = (keys, values)
            return keys, values
        before = [part.expand(len(keys), -1, -1, -1) for part in self._kept[layer]]
        return torch.cat([before[0], keys], 2), torch.cat([before[1], values], 2)

    def continue_with(self, rows: Sequence[Layout]) -> torch.Tensor:
        """Read rows of trees after it -> [rows, tokens, width].

        Only the adapted layers keep a gradient.
        """
        width = max(len(row.tokens) for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        places = torch.zeros(len(rows), width, dtype=torch.long)
        # What pads a row sees the beginning, as all do, and is seen by nobody.
        mask = torch.zeros(len(rows), 1, width, self.length + width, dtype=torch.bool)
        mask[..., : self.length] = True
        for n, row in enumerate(rows):
            ids[n, : len(row.tokens)] = torch.tensor(row.tokens)
            places[n, : len(row.places)] = torch.tensor(row.places)
            for place, seen in enumerate(row.seen):
                mask[n, 0, place, self.length + torch.tensor(seen)] = True
        above = range(FIRST_LAYER, len(self._model.model.layers))
        positions = places + self.length
        self._reads = False
        with torch.no_grad():
            hidden = self._model.model.embed_tokens(ids)
            hidden = self._run(hidden, range(FIRST_LAYER), positions, mask)
        self._reads = True
        self._run(self._hidden, above, self._positions, None)
        self._reads = False
        return self._run(hidden, above, positions, mask)

    def _run(
        self,
        hidden: torch.Tensor,
        layers: Iterable[int],
        positions: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        turned = self._model.model.rotary_emb(hidden, positions)
        for number in layers:
            hidden = self._model.model.layers[number](
                hidden,
                attention_mask=mask,
                position_embeddings=turned,
                position_ids=positions,
                past_key_values=self,
                use_cache=True,
            )
        return hidden


def grow(example: dict[str, Any], encode: Callable[[str], list[int]]) -> Tree:
    """Give an example as the messages that the service would send, and the replies."""
    trunk, *_ = show(example["sentences"], "").rpartition(" ")
    tree = [_read_only(encode(f"{START}user\n{trunk}"), None)]
    for asked in example["asked"]:
        tree.append(_read_only(encode(f" {asked['question']}{END}\n{START}assistant\n"), 0))
        reply = encode(asked["reply"] + END)
        # A long reply's tokens count less each.
        tree.append(Branch(reply, len(tree) - 1, [len(reply) ** -0.5] * len(reply)))
    return tree


def show(sentences: Sequence[str], question: str) -> str:
    """Give the message that `qa.prompts.trained_messages` makes of them."""
    body = "\n".join(f"[{n}] {text}" for n, text in enumerate(sentences, start=1))
    return f"{body}\n\nQuestion: {question}"


def pack(trees: Iterable[Tree]) -> list[list[Tree]]:
    """Put the trees into rows of `ROW` tokens, each into one of the last rows that has room."""
    rows: list[list[Tree]] = []
    for tree in trees:
        for row in rows[-OPEN:]:
            if sum(map(_measure, row)) + _measure(tree) <= ROW:
                row.append(tree)
                break
        else:
            rows.append([tree])
    return rows


def lay_out(trees: Sequence[Tree]) -> Layout:
    """Lay trees out in a row."""
    row = Layout([], [], [], [])
    for tree in trees:
        paths: list[list[int]] = []
        for branch in tree:
            path = [] if branch.parent is None else list(paths[branch.parent])
            for token, weight in zip(branch.tokens, branch.weights, strict=True):
                if weight:
                    row.foretold.append((path[-1], token, weight))
                row.places.append(len(path))
                path.append(len(row.tokens))
                row.tokens.append(token)
                row.seen.append(list(path))
            paths.append(path)
    return row


def _read_only(tokens: list[int], parent: int | None) -> Branch:
    return Branch(tokens, parent, [0.0] * len(tokens))


def _measure(tree: Tree) -> int:
    return sum(len(branch.tokens) for branch in tree)


def _render(message: BaseMessage) -> str:
    # ChatML, as the model's own template writes it.
    return f"{START}{ROLES[message.type]}\n{message.text}{END}\n"


def _encode(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _loss(model: Any, beginning: Beginning, rows: Sequence[Layout]) -> torch.Tensor:
    """Give the cross-entropy of what is learned, by weight."""
    hidden = model.model.norm(beginning.continue_with(rows))
    before = [(n, place) for n, row in enumerate(rows) for place, _, _ in row.foretold]
    told = hidden[torch.tensor([n for n, _ in before]), torch.tensor([p for _, p in before])]
    wanted = torch.tensor([token for row in rows for _, token, _ in row.foretold])
    weights = torch.tensor([weight for row in rows for _, _, weight in row.foretold])
    losses = functional.cross_entropy(model.lm_head(told).float(), wanted, reduction="none")
    return (losses * weights).sum() / weights.sum()


def _schedule(step: int, total: int) -> float:
    falling = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / total))
    return min(1.0, (step + 1) / WARM_UP) * falling


def _load_adapter(adapted: dict[str, Adapted], path: Path) -> None:
    kept = _read_adapter(path)
    for key, layer in adapted.items():
        layer.a.data.copy_(kept[_spell(f"{key}.a")])
        layer.b.data.copy_(kept[_spell(f"{key}.b")])


def _read_adapter(path: Path) -> dict[str, torch.Tensor]:
    tensors = gguf.GGUFReader(path).tensors
    return {tensor.name: torch.from_numpy(np.array(tensor.data)).float() for tensor in tensors}


def _spell(key: str) -> str:
    """Give GGUF's name of what we call `18.q_proj.a`."""
    layer, name, part = key.split(".")
    return f"blk.{layer}.{NAMES[name]}.weight.lora_{part}"


def _save_adapter(adapted: dict[str, Adapted], path: Path) -> None:
    save_file(
        {
            f"{name}.{part}": getattr(layer, part).detach().contiguous()
            for name, layer in adapted.items()
            for part in ("a", "b")
        },
        path,
    )


def _write(work: Path, mean: Path | None) -> None:
    """Write the adapter as llama.cpp reads it, in half precision."""
    trained = {_spell(k): t for k, t in load_file(work / "reader.safetensors").items()}
    if mean is not None:
        earlier = _read_adapter(mean)
        trained = {name: (tensor + earlier[name]) / 2 for name, tensor in trained.items()}
    target = ADAPTERS[QWEN_1_5B.name]
    writer = gguf.GGUFWriter(target, "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", ALPHA)
    writer.add_name("Footnote's reader, on qwen2.5-coder-1.5b-instruct-q4_k_m")
    for name, tensor in trained.items():
        writer.add_tensor(name, np.ascontiguousarray(tensor.numpy().astype(np.float16)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"written: {target}, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
