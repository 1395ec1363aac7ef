"""Make the examples that the shipped reader is trained on (`benchmarks/train_reader.py`).

    python benchmarks/reader_examples.py --squad1 train-v1.1.json --squad2 FOLDER --clapnq FOLDER \
        --out WORK

Every question is looked up as the service does, the verifier chooses what is read, and an example
notes what a perfect reader would reply to that: a phrase of it, the numbers of the sentences where
the question asks for an explanation, or NOT STATED, also where the answer exists and was not found.
The questions are the tune questions of `squad2` and `clapnq` and our own about paragraphs
(`almost.jsonl`, `explained.jsonl`) and about texts that are no prose (`forms.jsonl`); to them come
texts about nobody (`invented.jsonl`).

Two documents of `squad2` and every third question of `clapnq` are left out and written as question
sets (`held-*.jsonl`): the confidence is fitted on these (`benchmarks/fit_confidence.py`), and on
what is held out of our own questions (`benchmarks/own_questions.py`).
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fit_confidence import fill
from own_questions import write_sets
from rich.progress import track

from api.terminal import fetch_weights
from index.library import Library
from qa.bootstrap import build_library, build_verifier
from qa.chain import narrow_evidence
from qa.conclusion import Turn
from qa.evidence import select
from qa.prompts import NOT_STATED, flatten
from qa.settings import Settings
from qa.types import TRAINED, Ask, Evidence
from qa.verifier import WIDE, Reach, Verifier

SEED = 7
HELD_DOCUMENTS = frozenset({"squad2/Normans", "squad2/1973_oil_crisis"})
HELD_EVERY = 3
SQUAD2 = 350
OWN = {"almost": (90, 60), "explained": (330, 170), "forms": (320, 170)}
"""So many questions are taken with an answer, and without."""
LONG = frozenset({"clapnq", "explained"})
"""The sets whose questions ask for an explanation."""
LONGEST = 1200
"""Code points of evidence; longer ones are left out, which cost the most and teach no more."""
LONGER = 2
"""So many times as long as the usual answer a longer one may be that people agreed on."""
ASKED = re.compile(
    r"(?:what|which)\s+(?:is|are|was|were)\s+(?=(?:the|their|his|her|its)\b)", re.IGNORECASE
)
"""How a question begins that can be an order too."""
ORDERS = ("Find", "Give", "Tell me", "State", "find", "give me", "Please find", "Look up")
INVENTED = Path(__file__).with_name("invented.jsonl")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the reply to it."""

    question: str
    reply: str


@dataclass(frozen=True, slots=True)
class Example:
    """Sentences as the reader is shown them, and what is asked of them."""

    sentences: tuple[str, ...]
    asked: tuple[Asked, ...]


def main() -> None:
    """Look up, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--squad1", type=Path, required=True, help="train-v1.1.json")
    parser.add_argument("--squad2", type=Path, required=True)
    parser.add_argument("--clapnq", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    chance = random.Random(SEED)  # noqa: S311  to repeat a run, not to hide one
    articles = json.loads(options.squad1.read_text(encoding="utf-8"))["data"]
    write_sets(articles, out, chance)
    settings = Settings(home=out / "data")
    fetch_weights(settings)
    verifier = build_verifier(settings)
    if verifier is None:
        parser.error("the setting of the model leaves no verifier")
    short = _read(options.squad2 / "questions.tune-all.jsonl")
    long = _read(options.clapnq / "questions.tune.jsonl")
    held = [row for row in short if row["document"] in HELD_DOCUMENTS]
    _save(out / "held-squad2.jsonl", held)
    last = HELD_EVERY - 1
    _save(out / "held-clapnq.jsonl", long[last::HELD_EVERY])
    short = [row for row in short if row["document"] not in HELD_DOCUMENTS]
    taken = [
        (options.squad2, chance.sample(short, SQUAD2)),
        (options.clapnq, [row for n, row in enumerate(long) if n % HELD_EVERY != last]),
    ]
    for name, (answered, others) in OWN.items():
        rows = _read(out / name / "questions.jsonl")
        some = chance.sample([row for row in rows if row["answerable"]], answered)
        some += chance.sample([row for row in rows if not row["answerable"]], others)
        taken.append((out / name, some))
    examples = list(_invented(INVENTED, chance))
    with build_library(settings) as library:
        for folder, rows in taken:
            examples += _look_up(library, verifier, folder, rows, chance)
    chance.shuffle(examples)
    _save(out / "examples.jsonl", [asdict(example) for example in examples])
    replies = [asked.reply for example in examples for asked in example.asked]
    counts = Counter(_kind(reply) for reply in replies)
    print(f"{len(examples)} examples with {len(replies)} questions: {dict(counts)}")


def _look_up(
    library: Library, verifier: Verifier, folder: Path, rows: Sequence[Row], chance: random.Random
) -> Iterator[Example]:
    sources = fill(library, folder / "documents.jsonl", folder.name)
    reach = Reach(TRAINED.sentences, TRAINED.characters, TRAINED.worth)
    reply_of = numbers_of if folder.name in LONG else phrase_of
    for row in track(rows, description=f"looking up {folder.name}"):
        hits = library.search(row["question"], collection=folder.name, limit=Settings().passages)
        wide = select(hits, sentences=WIDE.sentences, characters=WIDE.characters, worth=WIDE.worth)
        ask = Ask(row["question"], folder.name)
        turn = Turn(ask, began=0.0, question=ask.question, hits=tuple(hits), evidence=wide)
        evidence = narrow_evidence(turn, verifier, reach).evidence
        reply = reply_of(row, evidence, [sources[e.document_id] for e in evidence])
        texts = tuple(flatten(e.text) for e in evidence)
        if reply is not None and texts and sum(map(len, texts)) < LONGEST:
            yield Example(texts, (Asked(vary(row["question"], chance), reply),))


def gold(row: Row, evidence: Sequence[Evidence], read: Sequence[str]) -> list[Evidence]:
    """Give the sentences that overlap the gold evidence; `read` are the sources of all."""
    return [
        e
        for e, source in zip(evidence, read, strict=True)
        if source == row["document"]
        and any(start < e.end and e.start < end for start, end in row["evidence"])
    ]


def phrase_of(row: Row, evidence: Sequence[Evidence], read: Sequence[str]) -> str | None:
    """Give the longest gold answer that people agreed on; None to leave the question out.

    A phrase cut short is wrong where a whole one would be right. Left out is an answer whose
    sentence was not found while another one holds its words.
    """
    if not row["answerable"]:
        return NOT_STATED
    near = [_fold(e.text) for e in gold(row, evidence, read)]
    counts = Counter(a for a in row["answers"] if any(_fold(a) in text for text in near))
    if counts:
        usual = min(counts, key=lambda a: (-counts[a], len(a)))
        most = LONGER * len(usual.split()) + 2
        agreed = [a for a in counts if counts[a] > 1 and len(a.split()) <= most]
        return max(agreed or [a for a in counts if counts[a] == counts[usual]], key=len)
    whole = _fold(" ".join(e.text for e in evidence))
    return None if any(_fold(a) in whole for a in row["answers"]) else NOT_STATED


def numbers_of(row: Row, evidence: Sequence[Evidence], read: Sequence[str]) -> str:
    """Give the numbers of the gold sentences among those shown."""
    return _mark(e.number for e in gold(row, evidence, read)) or NOT_STATED


def vary(question: str, chance: random.Random) -> str:
    """Write some questions as people type them, and some typed ones properly.

    So how a question is written says nothing of the kind of answer that it asks for. Some are
    orders: "Find the price of oats".
    """
    asked = ASKED.match(question)
    if asked and chance.random() < 0.3:
        return f"{chance.choice(ORDERS)} {question[asked.end() :].rstrip('?').rstrip()}"
    if question[0].isupper() and chance.random() < 0.3:
        typed = question[0].lower() + question[1:].strip()
        typed = typed.rstrip("?").strip() if chance.random() < 0.6 else typed
        return typed.lower() if chance.random() < 0.3 else typed
    if question[0].islower() and chance.random() < 0.35:
        proper = question[0].upper() + question[1:]
        return proper if proper.endswith("?") else f"{proper}?"
    return question


def _invented(path: Path, chance: random.Random) -> Iterator[Example]:
    """Read the texts about nobody: `[question, answer, what only seems to answer]` each.

    An answer is a phrase, or the numbers of sentences, or null where there is none.
    """
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        asked = [Asked(vary(q, chance), _reply(answer)) for q, answer, *_ in row["questions"]]
        chance.shuffle(asked)
        yield Example(tuple(map(flatten, row["sentences"])), tuple(asked))


def _reply(answer: str | Sequence[int] | None) -> str:
    if answer is None:
        return NOT_STATED
    return answer if isinstance(answer, str) else _mark(answer)


def _mark(numbers: Iterable[int]) -> str:
    return " ".join(f"[{n}]" for n in numbers)


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def _kind(reply: str) -> str:
    if reply == NOT_STATED:
        return "none"
    return "sentences" if reply.startswith("[") else "phrase"


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _save(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
