"""Train the adapter of the shipped reader (`qa/reader.gguf`) on tune questions.

    pip install -c constraints.txt -e '.[train]'
    python benchmarks/train_reader.py examples --squad2 FOLDER --clapnq FOLDER --out WORK
    python benchmarks/train_reader.py train WORK
    python benchmarks/train_reader.py write WORK

A second round goes on from the first with other questions: `examples ... --skip 1000`, then
`train WORK --start qa/reader.gguf --rate 2.5e-4`. What ships was trained in two rounds.

`examples` looks every tune question up as the service does, and notes what a perfect reader would
reply to the sentences that it would be shown: a phrase of them, their numbers where the gold answer
is long, or NOT STATED, also where the answer exists and was not found. Two documents of `squad2`
and every third question of `clapnq` are left out and written as question sets (`held-*.jsonl`): the
confidence is fitted on these (`benchmarks/fit_confidence.py`). `train` fits low-rank additions to
the last layers of the model, as it is shipped, four-bit weights and all (LoRA, Hu et al. 2021,
arXiv:2106.09685; QLoRA, Dettmers et al. 2023, arXiv:2305.14314), with the cross-entropy of the
reply alone; a round takes 40 minutes on two cores with bfloat16. `write` makes the GGUF file.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from langchain_core.messages import BaseMessage, HumanMessage
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from api.terminal import fetch_weights
from index.library import Library, Upload
from qa.bootstrap import build_library
from qa.evaluation.questions import read_documents
from qa.evidence import select
from qa.prompts import NOT_STATED, flatten, trained_messages
from qa.settings import Settings
from qa.types import TRAINED, Evidence
from qa.weights import ADAPTERS, QWEN_1_5B

SEED = 7
HELD_DOCUMENTS = frozenset({"squad2/Normans", "squad2/1973_oil_crisis"})
HELD_EVERY = 3
SQUAD = 1000
"""How many questions of `squad2` are trained on in a round, half of them with nothing to answer."""
LONGEST = 1700
"""Code points of evidence; longer ones are left out, which cost the most and teach no more."""
LONGER = 2
"""So many times as long as the usual answer a longer one may be that people agreed on."""
INVENTED = Path(__file__).with_name("invented.jsonl")

FIRST_LAYER = 18
"""Of 28: the layers before it stay as they are, which halves the time."""
RANK = 8
ALPHA = 16.0
RATE = 4e-4
BATCH = 12
POOL = 6
"""So many batches' examples are sorted by their length together."""
WARM_UP = 8
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
class Example:
    """What the reader is shown, and what it should reply."""

    shown: str
    reply: str


def main() -> None:
    """Run one of the three verbs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("examples")
    making.add_argument("--squad2", type=Path, required=True)
    making.add_argument("--clapnq", type=Path, required=True)
    making.add_argument("--out", type=Path, required=True)
    making.add_argument("--skip", type=int, default=0, help="questions of a round before")
    training = verbs.add_parser("train")
    training.add_argument("work", type=Path)
    training.add_argument("--start", type=Path, help="the adapter of a round before")
    training.add_argument("--rate", type=float, default=RATE)
    verbs.add_parser("write").add_argument("work", type=Path)
    options = parser.parse_args()
    if options.verb == "examples":
        _make_examples(options.squad2, options.clapnq, options.out, options.skip)
    elif options.verb == "train":
        _train(options.work, options.start, options.rate)
    else:
        _write(options.work)


def _make_examples(squad2: Path, clapnq: Path, out: Path, skip: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    settings = Settings(home=out / "data")
    fetch_weights(settings, language_model=False)
    chance = random.Random(SEED)  # noqa: S311  to repeat a run, not to hide one
    with build_library(settings) as library:
        short = list(_look_up(library, squad2, "questions.tune-all.jsonl"))
        long = list(_look_up(library, clapnq, "questions.tune.jsonl"))
    held = [row for row, _ in short if row["document"] in HELD_DOCUMENTS]
    kept = [pair for pair in short if pair[0]["document"] not in HELD_DOCUMENTS]
    chance.shuffle(kept)
    phrases: list[Example] = []
    refused: list[Example] = []
    for row, evidence in kept:
        reply = phrase_of(row, evidence)
        if reply is not None:
            shown = show(vary(row["question"], chance), [e.text for e in evidence])
            (refused if reply == NOT_STATED else phrases).append(Example(shown, reply))
    sentences = [
        Example(show(vary(row["question"], chance), texts), numbers_of(row, evidence))
        for place, (row, evidence) in enumerate(long)
        if place % HELD_EVERY != HELD_EVERY - 1
        and sum(map(len, texts := [flatten(e.text) for e in evidence])) < LONGEST
    ]
    taken = slice(skip // 2, (skip + SQUAD) // 2)
    examples = [*phrases[taken], *refused[taken], *sentences, *_invented()]
    chance.shuffle(examples)
    _save(out / "examples.jsonl", [asdict(example) for example in examples])
    _save(out / "held-squad2.jsonl", held)
    _save(
        out / "held-clapnq.jsonl",
        [row for n, (row, _) in enumerate(long) if n % HELD_EVERY == HELD_EVERY - 1],
    )
    stated = sum(example.reply != NOT_STATED for example in examples)
    print(f"{len(examples)} examples, {stated} with an answer; {len(held)} of squad2 held out")


def _look_up(
    library: Library, folder: Path, name: str
) -> Iterator[tuple[dict[str, Any], tuple[Evidence, ...]]]:
    collection = folder.name
    for upload in track(read_documents(folder / "documents.jsonl"), description="ingesting"):
        library.ingest(Upload(upload.data, upload.name, collection, upload.source, upload.title))
    sources = {record.id: record.source for record in library.documents(collection)}
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    for line in track(lines, description="looking up"):
        row = json.loads(line)
        hits = library.search(row["question"], collection=collection, limit=8)
        evidence = select(
            hits,
            sentences=TRAINED.sentences,
            characters=TRAINED.characters,
            worth=TRAINED.worth,
        )
        row["read"] = [sources[e.document_id] for e in evidence]
        yield row, evidence


def gold(row: dict[str, Any], evidence: Sequence[Evidence]) -> list[Evidence]:
    """Give the sentences that overlap the gold evidence."""
    return [
        e
        for e, source in zip(evidence, row["read"], strict=True)
        if source == row["document"]
        and any(start < e.end and e.start < end for start, end in row["evidence"])
    ]


def phrase_of(row: dict[str, Any], evidence: Sequence[Evidence]) -> str | None:
    """Give the longest gold answer that people agreed on; None to leave the question out.

    A phrase cut short is wrong where a whole one would be right. Left out is an answer whose
    sentence was not found while another one holds its words.
    """
    if not row["answerable"]:
        return NOT_STATED
    near = [_fold(e.text) for e in gold(row, evidence)]
    counts = Counter(a for a in row["answers"] if any(_fold(a) in text for text in near))
    if counts:
        usual = min(counts, key=lambda a: (-counts[a], len(a)))
        most = LONGER * len(usual.split()) + 2
        agreed = [a for a in counts if counts[a] > 1 and len(a.split()) <= most]
        return max(agreed or [a for a in counts if counts[a] == counts[usual]], key=len)
    whole = _fold(" ".join(e.text for e in evidence))
    return None if any(_fold(a) in whole for a in row["answers"]) else NOT_STATED


def numbers_of(row: dict[str, Any], evidence: Sequence[Evidence]) -> str:
    """Give the numbers of the gold sentences among those shown."""
    return " ".join(f"[{e.number}]" for e in gold(row, evidence)) or NOT_STATED


def show(question: str, sentences: Sequence[str]) -> str:
    """Give the message that `qa.prompts.trained_messages` makes of them."""
    body = "\n".join(f"[{n}] {flatten(text)}" for n, text in enumerate(sentences, start=1))
    return f"{body}\n\nQuestion: {flatten(question)}"


def vary(question: str, chance: random.Random) -> str:
    """Write some questions as people type them, and some typed ones properly.

    So how a question is written says nothing of the kind of answer that it asks for.
    """
    if question[0].isupper() and chance.random() < 0.3:
        typed = question[0].lower() + question[1:].strip()
        typed = typed.rstrip("?").strip() if chance.random() < 0.6 else typed
        return typed.lower() if chance.random() < 0.3 else typed
    if question[0].islower() and chance.random() < 0.5:
        proper = question[0].upper() + question[1:]
        return proper if proper.endswith("?") else f"{proper}?"
    return question


def _invented() -> Iterator[Example]:
    """Texts of this project's own about nobody: money, refusals, yes and no with their reason."""
    for line in INVENTED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for question, answer in row["questions"]:
            yield Example(show(question, row["sentences"]), answer or NOT_STATED)


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
    examples = [
        _tokenize(Example(**json.loads(line)), tokenizer)
        for line in (work / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    batches = _batches([len(prompt) + len(reply) for prompt, reply in examples])
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    began = time.monotonic()
    for step, batch in enumerate(batches):
        loss = _loss(model, beginning, [examples[i] for i in batch])
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
        tokens = tokenizer("".join(map(_render, before)), add_special_tokens=False)["input_ids"]
        self.length = len(tokens)
        self._model = model
        self._kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._reads = True
        with torch.no_grad():
            hidden = model.model.embed_tokens(torch.tensor([tokens]))
            self._hidden = self._run(hidden, range(FIRST_LAYER), None)

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep the beginning's keys and values, or put them before a batch's own."""
        if self._reads:
            self._kept[layer] = (keys, values)
            return keys, values
        before = [part.expand(len(keys), -1, -1, -1) for part in self._kept[layer]]
        return torch.cat([before[0], keys], 2), torch.cat([before[1], values], 2)

    def continue_with(self, ids: torch.Tensor) -> torch.Tensor:
        """Read a batch [rows, tokens] after it; only the adapted layers keep a gradient."""
        width = ids.shape[1]
        # Padding stands behind, where the mask hides it from all that counts.
        mask = torch.ones(width, self.length + width, dtype=torch.bool).tril(self.length)
        above = range(FIRST_LAYER, len(self._model.model.layers))
        self._reads = False
        with torch.no_grad():
            hidden = self._run(
                self._model.model.embed_tokens(ids), range(FIRST_LAYER), mask[None, None]
            )
        self._reads = True
        self._run(self._hidden, above, None)
        self._reads = False
        return self._run(hidden, above, mask[None, None])

    def _run(
        self, hidden: torch.Tensor, layers: Iterable[int], mask: torch.Tensor | None
    ) -> torch.Tensor:
        first = 0 if mask is None else self.length
        positions = torch.arange(first, first + hidden.shape[1])[None]
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


def _render(message: BaseMessage) -> str:
    # ChatML, as the model's own template writes it.
    role = {"system": "system", "human": "user", "ai": "assistant"}[message.type]
    return f"<|im_start|>{role}\n{message.text}<|im_end|>\n"


def _tokenize(example: Example, tokenizer: Any) -> tuple[list[int], list[int]]:
    prompt = f"{_render(HumanMessage(example.shown))}<|im_start|>assistant\n"
    return tuple(  # type: ignore[return-value]
        tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in (prompt, f"{example.reply}<|im_end|>")
    )


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    chance = random.Random(0)  # noqa: S311  to repeat a run, not to hide one
    order = list(range(len(lengths)))
    chance.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), BATCH * POOL):
        pool = sorted(order[start : start + BATCH * POOL], key=lengths.__getitem__)
        some = [pool[n : n + BATCH] for n in range(0, len(pool), BATCH)]
        chance.shuffle(some)
        batches += some
    return batches


def _loss(
    model: Any, beginning: Beginning, batch: Sequence[tuple[list[int], list[int]]]
) -> torch.Tensor:
    """Give the cross-entropy of the replies' tokens; a long reply's tokens count less each."""
    width = max(len(prompt) + len(reply) for prompt, reply in batch) - 1
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    for row, (prompt, reply) in enumerate(batch):
        whole = (prompt + reply)[:-1]
        ids[row, : len(whole)] = torch.tensor(whole)
    hidden = beginning.continue_with(ids)
    hidden = model.model.norm(hidden)
    rows = torch.cat(
        [hidden[n, len(p) - 1 : len(p) + len(r) - 1] for n, (p, r) in enumerate(batch)]
    )
    wanted = torch.tensor([token for _, reply in batch for token in reply])
    weights = torch.tensor([len(reply) ** -0.5 for _, reply in batch for _ in reply])
    losses = functional.cross_entropy(model.lm_head(rows).float(), wanted, reduction="none")
    return (losses * weights).sum() / weights.sum()


def _schedule(step: int, total: int) -> float:
    falling = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / total))
    return min(1.0, (step + 1) / WARM_UP) * falling


def _load_adapter(adapted: dict[str, Adapted], path: Path) -> None:
    kept = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}
    for key, layer in adapted.items():
        number, name = key.split(".")
        matrix = f"blk.{number}.{NAMES[name]}.weight"
        layer.a.data.copy_(torch.from_numpy(kept[f"{matrix}.lora_a"]))
        layer.b.data.copy_(torch.from_numpy(kept[f"{matrix}.lora_b"]))


def _save_adapter(adapted: dict[str, Adapted], path: Path) -> None:
    save_file(
        {
            f"{name}.{part}": getattr(layer, part).detach().contiguous()
            for name, layer in adapted.items()
            for part in ("a", "b")
        },
        path,
    )


def _write(work: Path) -> None:
    """Write the adapter as llama.cpp reads it, in half precision."""
    target = ADAPTERS[QWEN_1_5B.name]
    writer = gguf.GGUFWriter(target, "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", ALPHA)
    writer.add_name("Footnote's reader, on qwen2.5-coder-1.5b-instruct-q4_k_m")
    for key, tensor in load_file(work / "reader.safetensors").items():
        layer, name, part = key.split(".")
        half = np.ascontiguousarray(tensor.numpy().astype(np.float16))
        writer.add_tensor(f"blk.{layer}.{NAMES[name]}.weight.lora_{part}", half)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"written: {target}, {target.stat().st_size / 1e6:.1f} MB")


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def _save(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
