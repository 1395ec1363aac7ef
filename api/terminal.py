"""What the command line shows: progress, answers with footnotes, passages, documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.status import Status
from rich.table import Table
from rich.text import Text

from index.errors import FootnoteError
from index.ingest import Progress as IngestProgress
from index.library import Upload
from index.load import LOADERS
from qa.settings import Settings
from qa.weights import EMBEDDERS, MPNET, ensure, find

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)
Ingest = Callable[[Upload, IngestProgress], dict[str, Any]]


def print_json(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


@contextmanager
def spinner(what: str) -> Iterator[Status]:
    """Show that something goes on, on standard error, while the block runs."""
    with err.status(f"[dim]{what}[/dim]", spinner="dots") as status:
        yield status


def fetch_weights(settings: Settings, *, language_model: bool = True) -> list[Path]:
    """Fetch what is missing of the models with a progress bar; give their folders.

    The language model and what verifies its answers, which are also made ready for what runs them,
    can be left out.
    """
    from qa.bootstrap import needed_weights  # noqa: PLC0415  numpy

    folders = []
    for weights in needed_weights(settings):
        if not language_model and weights not in EMBEDDERS.values():
            continue
        folder = find(weights, settings.cache_path)
        folders.append(folder or _fetch(weights, settings.cache_path))
        if weights.main or weights is MPNET:
            _prepare(settings, weights, folders[-1])
    return folders


def _prepare(settings: Settings, weights: Any, folder: Path) -> None:
    from qa.bootstrap import prepare_local, prepare_verifier  # noqa: PLC0415  numpy

    with Progress(TextColumn("{task.description}"), BarColumn(), console=err) as bar:
        task = bar.add_task("converting for this processor, once", total=None, visible=False)

        def advance(_name: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        if weights is MPNET:
            prepare_verifier(settings, folder, advance)
        else:
            prepare_local(settings, weights, advance)


def _fetch(weights: Any, cache: Path) -> Path:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        task = bar.add_task(weights.name, total=weights.size)
        base = {file.path: 0 for file in weights.files}

        def advance(path: str, done: int, _total: int) -> None:
            base[path] = done
            bar.update(task, completed=sum(base.values()))

        folder = ensure(weights, cache, advance)
        bar.update(task, completed=weights.size)
    return folder


def find_files(paths: Sequence[Path]) -> list[Path]:
    """List the files, and of folders those that a loader reads, in order."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                p
                for p in path.rglob("*")
                if p.is_file() and p.suffix.lower() in set(LOADERS) - {""}
            )
        else:
            found.append(path)
    return found


def ingest_files(
    ingest: Ingest, paths: Sequence[Path], collection: str, *, quiet: bool
) -> list[dict[str, Any]]:
    """Ingest files one by one with a progress bar; a bad one is reported and the rest goes on."""
    outcomes = []
    # Names of files are not markup: "[draft].txt" stays as it is.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet) as bar:
        for path in find_files(paths):
            task = bar.add_task(path.name, total=None)

            def advance(done: int, total: int, task: Any = task) -> None:
                bar.update(task, completed=done, total=total)

            outcome = _ingest_file(ingest, path, collection, advance)
            bar.remove_task(task)
            outcomes.append(outcome)
            if not quiet:
                err.print(_describe(path, outcome), soft_wrap=True)
    return outcomes


def _ingest_file(
    ingest: Ingest, path: Path, collection: str, progress: IngestProgress
) -> dict[str, Any]:
    try:
        upload = read_file(path, collection)
        return ingest(upload, progress)
    except FootnoteError as error:
        return {"path": str(path), "problem": str(error), "fix": error.fix}
    except OSError as error:
        fix = "Check the path and its permissions."
        return {"path": str(path), "problem": f"{path}: {error.strerror}", "fix": fix}


def read_file(path: Path, collection: str) -> Upload:
    """Read a file for upload; its source is its absolute path.

    Raises `DocumentTooLargeError` before anything is read, and OSError.
    """
    from index.errors import DocumentTooLargeError  # noqa: PLC0415

    limit = Settings().max_document_bytes
    size = path.stat().st_size
    if size > limit:
        raise DocumentTooLargeError(f"{path} has {size:,} bytes; the limit is {limit:,}.")
    source = str(path.resolve())
    return Upload(path.read_bytes(), path.name, collection=collection, source=source)


def _describe(path: Path, outcome: dict[str, Any]) -> Text:
    if "problem" in outcome:
        return Text.assemble(("✗ ", "red"), f"{outcome['problem']} {outcome['fix']}")
    document = outcome["document"]
    count = f"{document['passages']} passages"
    return Text.assemble(("✓ ", "green"), f"{path.name}: {outcome['outcome']}, {count}")


class AnswerPrinter:
    """Prints an answer as it is written, and its footnotes once they are verified.

    On a terminal the tokens are shown as they come, in grey; the verified answer replaces them.
    """

    def __init__(self) -> None:
        self._draft = ""

    def token(self, waiting: Status) -> Callable[[str], None]:
        """Give what shows the next token beside the spinner."""

        def show(text: str) -> None:
            self._draft += text
            waiting.update(Text(self._draft, style="dim"))

        return show

    def finish(self, answer: dict[str, Any]) -> None:
        """Print the verified answer with its footnotes, or the refusal and what is nearest."""
        if answer["answered"]:
            out.print(mark(answer), soft_wrap=True)
            seen: set[int] = set()
            for citation in answer["citations"]:
                if citation["marker"] not in seen:
                    seen.add(citation["marker"])
                    _print_footnote(citation)
            return
        out.print(Text(answer["reason"]["message"], style="bold"), soft_wrap=True)
        if answer["passages"]:
            out.print(Text("Nearest:", style="dim"))
            print_passages(answer["passages"][:3])


def mark(answer: dict[str, Any]) -> Text:
    """Put the footnote numbers into the answer's text, where their claims end."""
    text = answer["answer"]
    places: dict[int, list[int]] = {}
    for citation in answer["citations"]:
        places.setdefault(citation["answer_end"], []).append(citation["marker"])
    marked = Text()
    position = 0
    for end in sorted(places):
        marked.append(text[position:end], style="bold")
        marked.append("".join(f" [{n}]" for n in places[end]), style="cyan")
        position = end
    return marked.append(text[position:], style="bold")


def _print_footnote(citation: dict[str, Any]) -> None:
    quote = " ".join(citation["quote"].split())
    place = f"{citation['title']}, characters {citation['start']}–{citation['end']}"
    if citation["section"]:
        place += f", section “{citation['section']}”"
    out.print()
    out.print(Text.assemble((f"[{citation['marker']}] ", "cyan"), f"“{quote}”"), soft_wrap=True)
    out.print(Text(f"    {place}", style="dim"), soft_wrap=True)


def print_passages(passages: Sequence[dict[str, Any]]) -> None:
    """Print passages, best first, each with where it stands."""
    if not passages:
        out.print("Nothing found.")
    for number, passage in enumerate(passages, start=1):
        text = " ".join(passage["text"].split())
        place = f"{passage['title']}, characters {passage['start']}–{passage['end']}"
        out.print(Text.assemble((f"{number}. ", "cyan"), (place, "dim")), soft_wrap=True)
        out.print(Text(f"   {text[:300]}{'…' if len(text) > 300 else ''}"), soft_wrap=True)  # noqa: PLR2004


def print_documents(documents: Sequence[dict[str, Any]]) -> None:
    """Print a table of documents."""
    if not documents:
        out.print("No documents yet. Add some: footnote ingest PATH")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "collection", "title", "characters", "passages", "updated"):
        table.add_column(column, overflow="fold")
    for d in documents:
        table.add_row(
            d["id"],
            d["collection"],
            Text(d["title"]),
            f"{d['characters']:,}",
            str(d["passages"]),
            d["updated_at"],
        )
    out.print(table)


def print_feedback(judged: Sequence[dict[str, Any]]) -> None:
    """Print a table of judged answers."""
    if not judged:
        out.print("Nobody has judged an answer yet.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "rating", "question", "answer", "comment", "when"):
        table.add_column(column, overflow="fold")
    for j in judged:
        told = j["answer"] if j["answered"] else f"(refused: {j['reason']})"
        table.add_row(
            j["answer_id"],
            j["rating"],
            Text(j["question"]),
            Text(told),
            Text(j["comment"]),
            j["created_at"],
        )
    out.print(table)
