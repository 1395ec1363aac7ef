"""Train the verifier (`qa/verifier.safetensors`, `qa/explainer.safetensors`), and judge it.

    pip install -c constraints.txt -e '.[train]'
    python benchmarks/verifier_examples.py --squad1 .. --squad2 .. --clapnq .. --out WORK
    python benchmarks/train_verifier.py train WORK/verifier.jsonl OUT.safetensors [--minutes 60]
    python benchmarks/train_verifier.py mean ONE.safetensors OTHER.safetensors OUT.safetensors
    python benchmarks/train_verifier.py try OUT.safetensors --squad2 FOLDER

`train` fits low-rank additions to all-mpnet-base-v2's matrices (LoRA, Hu et al. 2021,
arXiv:2106.09685), and three heads: where an answer begins and ends, the first token for nowhere
(Devlin et al. 2019, arXiv:1810.04805), whether there is one, and which sentences give it, each by
the mean of its tokens. It trains for as long as it is given, its rate falling to nothing over that
time: some 7 examples a second on two cores with bfloat16, in 13 GB of memory. `try` asks the
questions of `squad2` that were held out, of their own paragraphs. What ships was trained in five
runs, each from what the one before wrote (`--start`): 12 minutes on SQuAD 1.1's questions alone, an
hour on what there was of `almost.jsonl` and the rest, 76 minutes on all that is new since and a
third of the old, 40 (`--rate 2.5e-4`) on a half, with all of `squad2`'s and of the forms, and 30 on
what is new since (docs/decisions/0019, 0020, 0025, 0027). From the third the explainer was trained,
25 minutes (`--rate 3e-4`) on whole passages, all examples with several sentences that answer, and a
part of the rest, and once more from the fourth (docs/decisions/0021, 0027). `mean` writes the mean
by weight of two (Wortsman et al. 2022, arXiv:2203.05482): what ships is that of the last two runs.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional
from transformers import MPNetModel

from api.terminal import fetch_weights
from qa.compiled_verifier import MpnetVerifier, load_tokenizer, locate
from qa.mpnet import ALPHA
from qa.settings import Settings
from qa.types import Evidence
from qa.verifier import sentence_spans
from qa.weights import EXPLAINER, MPNET, ensure

SEED = 7
RANK = 32
TIMES_RANK = 64.0
"""LoRA's alpha."""
RATE = 4e-4
DECAY = 0.01
BATCH = 24
SORTED = 24
"""So many batches are cut from texts sorted by their length, to pad little."""
WARM_UP = 30
ANSWERABLE = 0.5
RELEVANT = 1.0
"""How much the other heads' losses count beside the spans'."""
WINDOW = 400
PADDING = 1
FULL = 127.0
"""What the largest number of a row becomes in eight bits."""
HELD_DOCUMENTS = ("squad2/Normans", "squad2/1973_oil_crisis")


@dataclass(frozen=True, slots=True)
class Item:
    """An example's tokens; `start` and `end` are the span's first and last, 0 for none.

    `sentences` are the tokens of each sentence, half-open, and whether it answers.
    """

    tokens: list[int]
    start: int
    end: int
    answerable: bool
    sentences: list[tuple[range, bool]]

    @property
    def is_placed(self) -> bool:
        """Whether it says where the answer stands, or that there is none."""
        return self.start > 0 or not self.answerable


class Addition(nn.Module):
    """A linear layer that stays as it is, and a low-rank addition that learns."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight.bfloat16(), linear.bias.bfloat16()
        rows, columns = linear.weight.shape
        self.A = nn.Parameter(torch.randn(RANK, columns) / math.sqrt(columns))
        self.B = nn.Parameter(torch.zeros(rows, RANK))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Give the layer's product and the addition's."""
        low = functional.linear(states, self.A.to(states.dtype))
        scaled = (self.B * (TIMES_RANK / RANK)).to(states.dtype)
        return functional.linear(states, self.weight, self.bias) + functional.linear(low, scaled)


class Network(nn.Module):
    """The base model with its additions, and the heads."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        base = MPNetModel.from_pretrained(folder, add_pooling_layer=False).requires_grad_(False)
        for layer in base.encoder.layer:
            attention = layer.attention.attn
            for name in ("q", "k", "v", "o"):
                setattr(attention, name, Addition(getattr(attention, name)))
            layer.intermediate.dense = Addition(layer.intermediate.dense)
            layer.output.dense = Addition(layer.output.dense)
        learned = [p for m in base.modules() if isinstance(m, Addition) for p in (m.A, m.B)]
        self.base = base.bfloat16()
        for parameter in learned:
            parameter.data = parameter.data.float()
        self.span = nn.Linear(base.config.hidden_size, 2)
        self.answerable = nn.Linear(base.config.hidden_size, 1)
        self.relevant = nn.Linear(base.config.hidden_size, 1)
        for head in (self.span, self.answerable, self.relevant):
            nn.init.normal_(head.weight, std=0.02)

    def forward(
        self, tokens: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give span scores [texts, tokens, 2], the log-odds [texts] that there is an answer.

        And each token's [texts, tokens] that its sentence gives it.
        """
        states = self.base(input_ids=tokens, attention_mask=mask).last_hidden_state.float()
        nowhere = torch.where(mask > 0, 0.0, -1e4).unsqueeze(-1)
        answerable = self.answerable(states[:, 0])[:, 0]
        return self.span(states) + nowhere, answerable, self.relevant(states)[:, :, 0]

    def learned(self) -> dict[str, torch.Tensor]:
        """Give what was learned, under the names that the base model has for its layers."""
        return {
            name.removeprefix("base."): value.detach()
            for name, value in self.named_parameters()
            if value.requires_grad
        }


def main() -> None:
    """Train, take a mean, or try."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    training = verbs.add_parser("train")
    training.add_argument("examples", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--minutes", type=float, default=60.0)
    training.add_argument("--rate", type=float, default=RATE)
    training.add_argument("--start", type=Path, help="what an earlier run wrote")
    joining = verbs.add_parser("mean")
    joining.add_argument("one", type=Path)
    joining.add_argument("other", type=Path)
    joining.add_argument("out", type=Path)
    trying = verbs.add_parser("try")
    trying.add_argument("adapter", type=Path)
    trying.add_argument("--squad2", type=Path, required=True)
    options = parser.parse_args()
    if options.verb == "mean":
        _join(options.one, options.other, options.out)
        return
    settings = Settings()
    fetch_weights(settings)
    folder = ensure(MPNET, settings.cache_path)
    if options.verb == "train":
        _train(folder, options)
    else:
        _try(folder, options.adapter, options.squad2)


def _train(folder: Path, options: argparse.Namespace) -> None:
    torch.manual_seed(SEED)
    chance = random.Random(SEED)  # noqa: S311  to repeat a run, not to hide one
    tokenizer = load_tokenizer(folder, WINDOW)
    lines = options.examples.read_text(encoding="utf-8").splitlines()
    items = [item for line in lines if (item := _encode(tokenizer, json.loads(line))) is not None]
    network = Network(folder)
    if options.start:
        network.load_state_dict(_unpacked(options.start), strict=False)
    learned = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=options.rate, weight_decay=DECAY)
    began, losses = time.monotonic(), []
    for step, batch in enumerate(_batches(items, chance)):
        passed = (time.monotonic() - began) / (60 * options.minutes)
        if passed >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = options.rate * min(1.0, step / WARM_UP) * (1 - passed)
        loss = _loss(network, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        if step % BATCH == 0:
            recent = np.mean(losses[-BATCH:])
            print(f"step {step}, {100 * passed:.0f} %, loss {recent:.3f}", flush=True)
            save(network.learned(), options.out)
    save(network.learned(), options.out)


def _encode(tokenizer: Tokenizer, row: dict[str, Any]) -> Item | None:
    """Give an example's tokens; None where the answer lies past the window."""
    encoded = tokenizer.encode(row["question"].strip(), " ".join(row["sentences"]))
    spans = sentence_spans(row["sentences"])
    places = locate(encoded, spans)
    sentences = [(s, told) for s, told in zip(places, row["relevant"], strict=True) if s]
    if row["span"] is None:
        return Item(encoded.ids, 0, 0, row["answerable"], sentences)
    (inside,) = locate(encoded, [row["span"]])
    if not inside:
        return None
    return Item(encoded.ids, inside[0], inside[-1], answerable=True, sentences=sentences)


def _batches(items: Sequence[Item], chance: random.Random) -> Iterator[list[Item]]:
    """Give batches of texts of about one length, for ever."""
    while True:
        order = chance.sample(items, len(items))
        for start in range(0, len(order), BATCH * SORTED):
            block = sorted(order[start : start + BATCH * SORTED], key=lambda i: len(i.tokens))
            batches = [block[n : n + BATCH] for n in range(0, len(block), BATCH)]
            chance.shuffle(batches)
            yield from batches


def _loss(network: Network, batch: Sequence[Item]) -> torch.Tensor:
    longest = max(len(item.tokens) for item in batch)
    tokens = torch.full((len(batch), longest), PADDING)
    mask = torch.zeros((len(batch), longest), dtype=torch.long)
    for row, item in enumerate(batch):
        tokens[row, : len(item.tokens)] = torch.tensor(item.tokens)
        mask[row, : len(item.tokens)] = 1
    spans, answerable, relevant = network(tokens, mask)
    placed = torch.tensor([float(item.is_placed) for item in batch])
    wanted = torch.tensor([[item.start, item.end] for item in batch])
    missed = functional.cross_entropy(spans, wanted, reduction="none").mean(dim=1)
    told = torch.tensor([float(item.answerable) for item in batch])
    means = [
        relevant[row, s.start : s.stop].mean()
        for row, i in enumerate(batch)
        for s, _ in i.sentences
    ]
    share = torch.tensor([1 / len(i.sentences) for i in batch for _ in i.sentences])
    answers = torch.tensor([float(answer) for i in batch for _, answer in i.sentences])
    judged = functional.binary_cross_entropy_with_logits(
        torch.stack(means), answers, weight=share, reduction="sum"
    )
    return (
        (missed * placed).sum() / placed.sum().clamp(min=1)
        + ANSWERABLE * functional.binary_cross_entropy_with_logits(answerable, told)
        + RELEVANT * judged / len(batch)
    )


def save(learned: dict[str, torch.Tensor], path: Path) -> None:
    """Write what was learned: matrices in eight bits with a scale for each row."""
    packed = {}
    for name, value in learned.items():
        if value.dim() < 2:
            packed[name] = value.clone()
            continue
        scale = value.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / FULL
        packed[name] = (value / scale).round().to(torch.int8)
        packed[f"{name}.scale"] = scale
    save_file(packed, path, metadata={ALPHA: str(TIMES_RANK)})


def _join(one: Path, other: Path, out: Path) -> None:
    others = _unpacked(other)
    mean = {n.removeprefix("base."): (v + others[n]) / 2 for n, v in _unpacked(one).items()}
    save(mean, out)


def _unpacked(path: Path) -> dict[str, torch.Tensor]:
    kept = load_file(path)
    whole = {
        name: value.float() * kept.get(f"{name}.scale", torch.ones(1))
        for name, value in kept.items()
        if not name.endswith(".scale")
    }
    heads = ("span.", "answerable.", "relevant.")
    return {n if n.startswith(heads) else f"base.{n}": value for n, value in whole.items()}


def _try(folder: Path, adapter: Path, squad2: Path) -> None:
    lines = (squad2 / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {row["id"]: row["text"] for row in map(json.loads, lines)}
    verifier = MpnetVerifier(folder, (adapter, EXPLAINER))
    told, truth = [], []
    lines = (squad2 / "questions.tune-all.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        if row["document"] in HELD_DOCUMENTS:
            start, end = row["passage"]
            text = texts[row["document"]][start:end]
            shown = [Evidence(1, row["document"], "", start, end, text)]
            told.append(verifier.verify(row["question"], shown).answerable)
            truth.append(row["answerable"])
    print(f"AUC {_auc(np.array(told), np.array(truth)):.3f} of {len(truth)} questions")


def _auc(scores: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    ahead = np.subtract.outer(scores[truth], scores[~truth])
    return float(((ahead > 0) + 0.5 * (ahead == 0)).mean())


if __name__ == "__main__":
    main()
