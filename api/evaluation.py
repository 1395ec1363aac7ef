"""What `footnote evaluate` and `footnote compare` do: open a target, run, print, write reports."""

from __future__ import annotations

import asyncio
import json
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from os import cpu_count
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from api.targets import Opened, Options, open_target
from api.terminal import err, out
from qa.bootstrap import build_reader
from qa.errors import RunError
from qa.evaluation.comparison import compare
from qa.evaluation.evaluate import evaluate
from qa.evaluation.judge import Judge
from qa.evaluation.metrics import right
from qa.evaluation.questions import (
    QuestionSet,
    check_places,
    choose,
    read_questions,
    with_joint_evidence,
)
from qa.evaluation.report import to_html, to_markdown
from qa.evaluation.runs import RunWriter, read_run
from qa.evaluation.summary import summarize
from qa.evaluation.targets import (
    Target,
)
from qa.evaluation.types import (
    Comparison,
    Difference,
    Figure,
    Header,
    Question,
    Record,
    Run,
)
from qa.evaluation.wording import (
    PRIMARY,
    amount,
    beyond_chance,
    chance,
    interval,
    is_better,
    signed,
)
from qa.settings import Settings

PACKAGES = ("footnote", "chromadb", "langchain-core", "sentence-transformers", "torch")


def run_evaluation(options: Options) -> Path:
    """Evaluate as asked and print the figures; give the run's file."""
    questions = _read_questions(options)
    chosen = choose(
        questions.questions, limit=options.limit, sample=options.sample, seed=options.seed
    )
    if options.joint_evidence:
        chosen = with_joint_evidence(chosen)
    with open_target(options) as opened:
        if opened.lengths is not None:
            check_places(chosen, opened.lengths)
        header = _header(options, questions, opened)
        path = options.out or _default_path(options, header)
        begin = RunWriter.resume if options.resume else RunWriter.create
        with begin(path, header) as writer:
            _evaluate(options, chosen, opened.target, writer)
    run = read_run(path)
    if options.as_json:
        out.print_json(json.dumps({"run": str(path), "figures": _figures(run)}))
    else:
        print_figures(run)
        err.print(f"[dim]written to {path}[/dim]", soft_wrap=True)
    return path


def run_comparison(
    paths: Sequence[Path],
    *,
    html: Path | None,
    markdown: Path | None,
    fail_under: float | None,
    max_regression: float | None,
) -> list[str]:
    """Compare the first run with each of the others; print, and write what is asked for.

    Gives what breaks the bounds, in words: the share right of the last run under `fail_under`, or
    less than the first one's by more than `max_regression`; both in percent.
    """
    first, *others = [read_run(path) for path in paths]
    comparisons = [compare(first, other) for other in others]
    for comparison in comparisons:
        print_comparison(comparison)
    pages = _numbered(html, len(comparisons)), _numbered(markdown, len(comparisons))
    for comparison, page, text in zip(comparisons, *pages, strict=True):
        if page is not None:
            _write(page, to_html(comparison))
        if text is not None:
            _write(text, to_markdown(comparison))
    return _broken(comparisons[-1], fail_under, max_regression)


def print_figures(run: Run) -> None:
    """Print a run's figures as a table."""
    table = Table(title=f"{run.header.name}: {len(run.records)} questions", title_justify="left")
    for column in ("", "", "value", "95 % interval", "n"):
        table.add_column(column, justify="right" if column in {"value", "n"} else "left")
    group = ""
    for figure in summarize(run.records):
        table.add_row(
            "" if figure.group == group else figure.group,
            figure.name,
            *_written(figure),
            str(figure.n),
        )
        group = figure.group
    out.print(table)
    if errors := [r for r in run.records if r.error is not None]:
        out.print(f"{len(errors)} questions met an error; the first: {errors[0].error}")


def print_comparison(comparison: Comparison) -> None:
    """Print the paired differences of two runs, and the questions that changed."""
    a, b = comparison.a.header.name, comparison.b.header.name
    table = Table(title=f"{b} beside {a}", title_justify="left")
    for column in ("", a, b, "difference", "95 % interval", "p", "n"):
        table.add_column(column, justify="left" if column in {"", "95 % interval"} else "right")
    for d in comparison.differences:
        table.add_row(
            f"{d.group}: {d.name}",
            amount(d.a, d.unit),
            amount(d.b, d.unit),
            _colour(d),
            interval(d.low, d.high, d.unit),
            chance(d.p),
            str(d.n),
        )
    out.print(table)
    for verdict, style in (("win", "green"), ("loss", "red")):
        changed = [c for c in comparison.changes if c.verdict == verdict]
        out.print(f"[{style}]{len(changed)} questions: {verdict}[/{style}]")
        for change in changed[:10]:
            out.print(f"  {change.question.id}  {change.question.text}", markup=False)


def _read_questions(options: Options) -> QuestionSet:
    def complain(line: str) -> None:
        err.print(f"skipped: {line}", markup=False, soft_wrap=True)

    return read_questions(
        options.questions,
        complain=complain if options.skip_bad_lines else None,
        field=options.field,
    )


def _header(options: Options, questions: QuestionSet, opened: Opened) -> Header:
    details = {
        **opened.details,
        "field": options.field,
        "limit": options.limit,
        "sample": options.sample,
        "seed": options.seed if options.sample is not None else None,
        "retrieval_only": options.retrieval_only,
        "joint_evidence": options.joint_evidence,
        "judge": options.judge,
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {cpu_count()} processors",
    }
    now = datetime.now(UTC)
    name = options.out.stem if options.out else f"{options.questions.stem}-{now:%Y%m%d-%H%M%S}"
    # What comes back from the file is JSON: a tuple would come back as another value.
    plain: dict[str, Any] = json.loads(json.dumps(details))
    return Header(name, now.isoformat(timespec="seconds"), questions.name, questions.digest, plain)


def _default_path(options: Options, header: Header) -> Path:
    if options.resume:
        raise RunError("--resume needs the run's file.", fix="Name it with --out.")
    return Path("runs") / f"{header.name}.jsonl"


def _evaluate(
    options: Options, chosen: Sequence[Question], target: Target, writer: RunWriter
) -> None:
    columns = (
        TextColumn("asking"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=err, disable=options.as_json) as bar:
        task = bar.add_task(_running(writer.records), total=len(chosen))
        bar.update(task, completed=len(writer.done))

        def advance(_: Record) -> None:
            bar.update(task, advance=1, description=_running(writer.records))

        with _judge(options) as judge:
            asyncio.run(
                evaluate(
                    chosen,
                    target,
                    writer,
                    concurrency=options.concurrency,
                    judge=judge,
                    progress=advance,
                )
            )


@contextmanager
def _judge(options: Options) -> Iterator[Judge | None]:
    if options.judge is None:
        yield None
        return
    reader = build_reader(Settings().model_copy(update={"model": options.judge}))
    try:
        yield Judge(asyncio.run(reader.chat()))
    finally:
        reader.close()


def _running(records: Sequence[Record]) -> str:
    judged = [r for r in map(right, records) if r is not None]
    return f"{100 * sum(judged) / len(judged):.1f} % right" if judged else ""


def _figures(run: Run) -> list[dict[str, Any]]:
    return [asdict(figure) for figure in summarize(run.records)]


def _written(figure: Figure) -> tuple[str, str]:
    if figure.value is None or figure.low is None or figure.high is None:
        return "-", "-"
    return amount(figure.value, figure.unit), interval(figure.low, figure.high, figure.unit)


def _colour(d: Difference) -> str:
    said = signed(d.delta, d.unit)
    if not beyond_chance(d):
        return said
    return f"[green]{said}[/green]" if is_better(d) else f"[red]{said}[/red]"


def _numbered(path: Path | None, count: int) -> list[Path | None]:
    if path is None or count == 1:
        return [path] * count
    return [path.with_stem(f"{path.stem}-{n}") for n in range(1, count + 1)]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    err.print(f"[dim]written to {path}[/dim]", soft_wrap=True)


def _broken(
    comparison: Comparison, fail_under: float | None, max_regression: float | None
) -> list[str]:
    before, after = _primary(comparison.figures_a), _primary(comparison.figures_b)
    if after is None or before is None or after.value is None or before.value is None:
        return ["There is no score to hold against a bound."]
    share, fell = 100 * after.value, 100 * (before.value - after.value)
    broken = []
    if fail_under is not None and share < fail_under:
        broken.append(f"{after.name}: {share:.1f} % is under {fail_under:g} %.")
    if max_regression is not None and fell > max_regression:
        broken.append(f"{after.name} fell by {fell:.1f} points, more than {max_regression:g}.")
    return broken


def _primary(figures: Sequence[Figure]) -> Figure | None:
    """Find the figure that says which run is better: rightness, or nDCG where only search ran."""
    by_place = {(f.group, f.name): f for f in figures}
    return next((by_place[place] for place in PRIMARY if place in by_place), None)
