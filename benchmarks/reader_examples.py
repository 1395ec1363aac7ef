"""Make the examples that the shipped reader is trained on (`benchmarks/train_reader.py`).

    python benchmarks/reader_examples.py --squad2 FOLDER --clapnq FOLDER --out WORK

Every tune question is looked up as the service does, and an example notes what a perfect reader
would reply to the sentences that it would be shown: a phrase of them, their numbers where the gold
answer is long, or NOT STATED, also where the answer exists and was not found. To these come texts
of our own about nobody (`--texts`): `invented.jsonl`, which the reader that ships has seen, and
`nearly.jsonl`, which it has not, with as many questions that a text nearly answers as ones that it
does (`docs/decisions/0018`). An example also notes what is stated: the gold reply, and not the one
that only seems right, or what the reader that ships replies when it must not refuse. That is for
`train --stated`.

Two documents of `squad2` and every third question of `clapnq` are left out and written as question
sets (`held-*.jsonl`): the confidence is fitted on these (`benchmarks/fit_confidence.py`).
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

from langchain_core.messages import BaseMessage
from rich.progress import track

from api.terminal import fetch_weights
from index.library import Library, Upload
from qa.bootstrap import build_library, prepare_local
from qa.citations import MARKER
from qa.compiled_reader import Loaded, load
from qa.decoding import Manner
from qa.evaluation.answers import containment, token_f1
from qa.evaluation.questions import read_documents
from qa.evidence import select
from qa.models import REFUSING
from qa.prompts import NOT_STATED, flatten, trained_messages
from qa.settings import Settings
from qa.types import TRAINED, Evidence
from qa.weights import ADAPTERS, QWEN_1_5B

SEED = 7
HELD_DOCUMENTS = frozenset({"squad2/Normans", "squad2/1973_oil_crisis"})
HELD_EVERY = 3
SQUAD = 1000
LONGEST = 1700
"""Code points of evidence; longer ones are left out, which cost the most and teach no more."""
LONGER = 2
"""So many times as long as the usual answer a longer one may be that people agreed on."""
RIGHT_F1 = 0.5
NEVER = -30.0
"""Added to the score of NOT STATED, where a reply is wanted whatever the reader thinks of it."""
REPLY_TOKENS = 48
NUMBER = re.compile(r"\d+")
INVENTED = Path(__file__).with_name("invented.jsonl")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the reply to it, and replies with whether they are stated: `yes` or `no`."""

    question: str
    reply: str
    stated: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """Sentences as the reader is shown them, and what is asked of them."""

    sentences: tuple[str, ...]
    asked: tuple[Asked, ...]


def main() -> None:
    """Look up, ask, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--squad2", type=Path, required=True)
    parser.add_argument("--clapnq", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--skip", type=int, default=0, help="squad2's questions of rounds before")
    parser.add_argument("--squad", type=int, default=SQUAD, help="how many of them are taken")
    parser.add_argument("--texts", type=Path, nargs="*", default=[INVENTED])
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    settings = Settings(home=out / "data")
    fetch_weights(settings)
    chance = random.Random(SEED)  # noqa: S311  to repeat a run, not to hide one
    with build_library(settings) as library:
        short = list(_look_up(library, options.squad2, "questions.tune-all.jsonl"))
        long = list(_look_up(library, options.clapnq, "questions.tune.jsonl"))
    held = [row for row, _ in short if row["document"] in HELD_DOCUMENTS]
    _save(out / "held-squad2.jsonl", held)
    last = HELD_EVERY - 1
    _save(out / "held-clapnq.jsonl", [row for row, _ in long[last::HELD_EVERY]])
    kept = [pair for pair in short if pair[0]["document"] not in HELD_DOCUMENTS]
    chance.shuffle(kept)
    kept = kept[options.skip : options.skip + options.squad]
    kept += [pair for n, pair in enumerate(long) if n % HELD_EVERY != last]
    folder = prepare_local(settings, QWEN_1_5B)
    if folder is None:
        parser.error("the reader is asked with OpenVINO: set FOOTNOTE_RUNTIME=openvino")
    reader = load(folder, adapter=ADAPTERS[QWEN_1_5B.name], threads=None)
    examples = [example for path in options.texts for example in _invented(path, chance)]
    for row, evidence in track(kept, description="asking"):
        asked = ask(row, evidence, _press(reader, row["question"], evidence), chance)
        texts = tuple(flatten(e.text) for e in evidence)
        if asked is not None and sum(map(len, texts)) < LONGEST:
            examples.append(Example(texts, (asked,)))
    chance.shuffle(examples)
    _save(out / "examples.jsonl", [asdict(example) for example in examples])
    replies = [asked.reply for example in examples for asked in example.asked]
    stated = sum(reply != NOT_STATED for reply in replies)
    print(
        f"{len(examples)} examples with {len(replies)} questions, {stated} of them with an answer; "
        f"{len(held)} of squad2 held out"
    )


def _look_up(
    library: Library, folder: Path, name: str
) -> Iterator[tuple[dict[str, Any], tuple[Evidence, ...]]]:
    collection = folder.name
    for upload in track(read_documents(folder / "documents.jsonl"), description="ingesting"):
        library.ingest(Upload(upload.data, upload.name, collection, upload.source, upload.title))
    sources = {record.id: record.source for record in library.documents(collection)}
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    for line in track(lines, description="looking up"):
        row = json.loads(line) | {"set": collection}
        hits = library.search(row["question"], collection=collection, limit=8)
        evidence = select(
            hits,
            sentences=TRAINED.sentences,
            characters=TRAINED.characters,
            worth=TRAINED.worth,
        )
        row["read"] = [sources[e.document_id] for e in evidence]
        yield row, evidence


def _press(reader: Loaded, question: str, evidence: Sequence[Evidence]) -> str:
    """Give what a reader replies that must not say NOT STATED."""
    messages: list[BaseMessage] = trained_messages(question, evidence)
    manner = Manner(
        limit=REPLY_TOKENS,
        ends=reader.chat.ends,
        adapted=True,
        bias=reader.chat.bias({REFUSING: NEVER}),
    )
    complete = reader.chat.stream()
    chosen = reader.decoder.reply(reader.chat.encode(messages), manner)
    return "".join(complete(c.token) for c in chosen if c.token not in manner.ends)


def ask(
    row: Row, evidence: Sequence[Evidence], pressed: str, chance: random.Random
) -> Asked | None:
    """Give what a question should be replied; None to leave it out.

    `pressed` is a reader's reply that had to be one. A question of `squad2` has a phrase for its
    answer; one of `clapnq` has sentences, and is told by its `set`.
    """
    is_long = row["set"] == "clapnq"
    reply = numbers_of(row, evidence) if is_long else phrase_of(row, evidence)
    verdict = judge_numbers(row, evidence, pressed) if is_long else judge_phrase(row, pressed)
    if reply is None:
        return None
    stated = [] if reply == NOT_STATED else [(reply, "yes")]
    if pressed and pressed != reply and verdict is not None:
        stated.append((pressed, verdict))
    return Asked(vary(row["question"], chance), reply, tuple(stated))


def gold(row: Row, evidence: Sequence[Evidence]) -> list[Evidence]:
    """Give the sentences that overlap the gold evidence."""
    return [
        e
        for e, source in zip(evidence, row["read"], strict=True)
        if source == row["document"]
        and any(start < e.end and e.start < end for start, end in row["evidence"])
    ]


def phrase_of(row: Row, evidence: Sequence[Evidence]) -> str | None:
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


def numbers_of(row: Row, evidence: Sequence[Evidence]) -> str:
    """Give the numbers of the gold sentences among those shown."""
    return _mark(e.number for e in gold(row, evidence)) or NOT_STATED


def judge_phrase(row: Row, pressed: str) -> str | None:
    """Say whether a phrase is stated as the answer; None where that cannot be told."""
    if not row["answerable"]:
        return "no"
    if MARKER.search(pressed):
        return None
    near = token_f1(pressed, row["answers"]) >= RIGHT_F1
    return "yes" if near or containment(pressed, row["answers"]) == 1.0 else "no"


def judge_numbers(row: Row, evidence: Sequence[Evidence], pressed: str) -> str | None:
    """Say whether the sentences named are an answer; None where they are less than half one."""
    if not row["answerable"]:
        return "no"
    named = {int(n) for marker in MARKER.findall(pressed) for n in NUMBER.findall(marker)}
    if not named:
        return None
    right = named & {e.number for e in gold(row, evidence)}
    if not right:
        return "no"
    return "yes" if 2 * len(right) >= len(named) else None


def vary(question: str, chance: random.Random) -> str:
    """Write some questions as people type them, and some typed ones properly.

    So how a question is written says nothing of the kind of answer that it asks for.
    """
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

    An answer is a phrase, or the numbers of sentences, or null where there is none; what seems to
    answer may be left out.
    """
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        asked = []
        for question, answer, *tempting in row["questions"]:
            reply, wrong = _reply(answer), _reply(tempting[0] if tempting else None)
            stated = [] if reply == NOT_STATED else [(reply, "yes")]
            if wrong != NOT_STATED and (reply == NOT_STATED or chance.random() < 0.5):
                stated.append((wrong, "no"))
            asked.append(Asked(vary(question, chance), reply, tuple(stated)))
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


def _save(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
