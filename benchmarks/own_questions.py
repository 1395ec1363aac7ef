"""Our own questions -> question sets with their documents, to look up, to ask and to evaluate.

    python benchmarks/own_questions.py --squad1 train-v1.1.json --out FOLDER

`almost.jsonl` and `explained.jsonl` are about paragraphs of SQuAD 1.1's training set, `forms.jsonl`
has texts of its own (`verifier_examples.py` says more). What a row marks as `held` no model is
trained on; it makes `held-almost`, with what people asked of the same paragraphs, `held-explained`
and `held-forms`. `explained`, `forms`, and `almost`, of which that is a part, have the other rows.
The format is that of `footnote evaluate`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from qa.prompts import flatten

SEED = 7
BESIDE = 450
"""So many more paragraphs are among the documents of the held-out ones."""
SOME = 400
"""Of so many paragraphs of `almost.jsonl` the set `almost` is made."""
END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
HERE = Path(__file__).parent

Span: TypeAlias = tuple[int, int]
Row: TypeAlias = Mapping[str, Any]
Documents: TypeAlias = Mapping[str, tuple[str, str]]
"""Title and text by id."""


def main() -> None:
    """Write the sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--squad1", type=Path, required=True, help="train-v1.1.json")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    articles = json.loads(options.squad1.read_text(encoding="utf-8"))["data"]
    write_sets(articles, options.out, random.Random(SEED))  # noqa: S311  to repeat a run


def read_rows(name: str, *, held: bool = False) -> Iterator[Row]:
    """Give the rows of one of our files that are held out, or the others."""
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row.get("held", False) == held:
            yield row


def write_sets(articles: Sequence[Row], out: Path, chance: random.Random) -> None:
    """Write each set as a folder of `documents.jsonl` and `questions.jsonl`."""
    almost = list(read_rows("almost.jsonl", held=True))
    explained = list(read_rows("explained.jsonl", held=True))
    every = [(a, p) for a, row in enumerate(articles) for p in range(len(row["paragraphs"]))]
    beside = chance.sample(every, BESIDE)
    documents = _documents(articles, [*map(_place, (*almost, *explained)), *beside])
    _write(out / "held-almost", documents, _ask_almost(articles, almost), chance)
    _write(out / "held-explained", documents, _ask_explained(documents, explained), chance)
    almost = chance.sample(list(read_rows("almost.jsonl")), SOME)
    explained = list(read_rows("explained.jsonl"))
    documents = _documents(articles, map(_place, (*almost, *explained)))
    _write(out / "almost", documents, _ask_almost(articles, almost), chance)
    _write(out / "explained", documents, _ask_explained(documents, explained), chance)
    forms = {
        held: [
            (f"forms/{held}-{n}", row) for n, row in enumerate(read_rows("forms.jsonl", held=held))
        ]
        for held in (False, True)
    }
    texts = {i: (row["kind"], row["text"]) for rows in forms.values() for i, row in rows}
    _write(out / "forms", texts, _ask_forms(forms[False]), chance)
    _write(out / "held-forms", texts, _ask_forms(forms[True]), chance)


def _place(row: Row) -> tuple[int, int]:
    return row["article"], row["paragraph"]


def _documents(articles: Sequence[Row], places: Iterable[tuple[int, int]]) -> Documents:
    return {
        _name(a, p): (
            articles[a]["title"].replace("_", " "),
            flatten(articles[a]["paragraphs"][p]["context"]),
        )
        for a, p in places
    }


def _ask_almost(articles: Sequence[Row], rows: Sequence[Row]) -> Iterator[Row]:
    for row in rows:
        paragraph = articles[row["article"]]["paragraphs"][row["paragraph"]]
        asked = ((q["question"].strip(), q["answers"][0]["text"], None) for q in paragraph["qas"])
        for question, answer, _ in (*row["questions"], *asked):
            text = flatten(paragraph["context"])
            document = _name(row["article"], row["paragraph"])
            yield _question(question, document, text, [answer] if answer else [])


def _ask_explained(documents: Documents, rows: Sequence[Row]) -> Iterator[Row]:
    for row in rows:
        document = _name(row["article"], row["paragraph"])
        _, text = documents[document]
        sentences = split(text)
        for question, numbers in row["questions"]:
            answers = [text[slice(*sentences[n - 1])] for n in numbers]
            yield _question(question, document, text, answers, together=True)


def _ask_forms(rows: Sequence[tuple[str, Row]]) -> Iterator[Row]:
    for document, row in rows:
        for question, answer, _ in row["questions"]:
            yield _question(question, document, row["text"], [answer] if answer else [])


def _question(
    question: str, document: str, text: str, answers: Sequence[str], *, together: bool = False
) -> Row:
    found = [find(text, flatten(answer)) or find(text, answer) for answer in answers]
    return {
        "question": question,
        "answerable": bool(answers),
        "answers": [" ".join(answers)] if together and answers else list(answers),
        "document": document,
        "evidence": [span for span in found if span],
    }


def _write(
    folder: Path, documents: Documents, questions: Iterator[Row], chance: random.Random
) -> None:
    folder.mkdir(exist_ok=True)
    asked = [{"id": f"{folder.name}-{n}", **row} for n, row in enumerate(questions)]
    chance.shuffle(asked)
    kept = [{"id": i, "title": title, "text": text} for i, (title, text) in documents.items()]
    for name, rows in (("documents", kept), ("questions", asked)):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _name(article: int, paragraph: int) -> str:
    return f"squad1/{article}-{paragraph}"


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


if __name__ == "__main__":
    main()
