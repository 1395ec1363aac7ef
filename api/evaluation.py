"""What `footnote evaluate` and `footnote compare` do: open a target, run, print, write reports."""

from __future__ import annotations

import asyncio
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
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

from api.client import AsyncFootnote, Footnote, StreamEnd, StreamRefused, StreamToken
from api.schemas import AnswerResponse, CitationBody, PassageBody
from api.terminal import err, fetch_weights, out
from index.library import Library, Upload
from index.load import decode
from qa.bootstrap import build_library, build_reader, build_service
from qa.errors import QuestionSetError, RunError
from qa.evaluation.comparison import compare
from qa.evaluation.evaluate import evaluate
from qa.evaluation.judge import Judge
from qa.evaluation.metrics import right
from qa.evaluation.questions import (
    QuestionSet,
    check_places,
    choose,
    read_documents,
    read_questions,
    with_joint_evidence,
)
from qa.evaluation.report import to_html, to_markdown
from qa.evaluation.runs import RunWriter, read_run
from qa.evaluation.summary import summarize
from qa.evaluation.targets import (
    DEEP,
    ChainTarget,
    ModelTarget,
    SearchTarget,
    Target,
    describe,
    found,
    quote,
)
from qa.evaluation.types import (
    Comparison,
    Difference,
    Figure,
    Header,
    Place,
    Question,
    Quote,
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
from qa.models import openai_compatible
from qa.settings import Settings

PACKAGES = ("footnote", "chromadb", "langchain-core", "sentence-transformers", "torch", "xllamacpp")


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked for, as the command line has it."""

    questions: Path
    documents: Path | None = None
    collection: str | None = None
    out: Path | None = None
    resume: bool = False
    limit: int | None = None
    sample: int | None = None
    seed: int = 0
    concurrency: int = 1
    retrieval_only: bool = False
    rewrite: bool = False
    field: str = "question"
    joint_evidence: bool = False
    skip_bad_lines: bool = False
    judge: str | None = None
    url: str | None = None
    openai: str | None = None
    model: str | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A target that is open: what it is made of, and the length of each document it has."""

    target: Target
    details: Mapping[str, Any]
    lengths: Mapping[str, int] | None


class ServerTarget:
    """A Footnote server, over its own API; with `search_only`, its search alone."""

    def __init__(
        self, url: str, collection: str, sources: Mapping[str, str], *, search_only: bool
    ) -> None:
        self._client = AsyncFootnote(url)
        self._collection = collection
        self._sources = sources
        self._search_only = search_only
        self._texts: dict[str, str] = {}

    async def prepare(self) -> None:
        """Do nothing: a server loads its models when it starts."""

    async def answer(self, question: Question) -> Record:
        """Ask, or search."""
        return await (self._find(question) if self._search_only else self._ask(question))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, question: Question) -> Record:
        clock = asyncio.get_running_loop().time
        began, first, given = clock(), None, None
        async for event in self._client.stream(
            question.text, collection=self._collection, history=question.history, fresh=True
        ):
            match event:
                case StreamToken():
                    first = first or clock() - began
                case StreamEnd(answer) | StreamRefused(answer):
                    given = answer
        assert given is not None  # noqa: S101  a stream that ends without one raises
        return await self._record(question, given, clock() - began, first)

    async def _find(self, question: Question) -> Record:
        clock = asyncio.get_running_loop().time
        began = clock()
        response = await self._client.search(question.text, collection=self._collection, limit=DEEP)
        return found(question, self._places(response.passages), clock() - began)

    async def _record(
        self, question: Question, given: AnswerResponse, seconds: float, first: float | None
    ) -> Record:
        return Record(
            question=question,
            answered=given.answered,
            answer=given.answer,
            reason=None if given.reason is None else given.reason.code,
            confidence=given.confidence,
            citations=tuple([await self._quote(c) for c in given.citations]),
            passages=self._places(given.passages),
            evidence=tuple(
                Place(self._source(e.document_id), e.start, e.end) for e in given.evidence
            ),
            seconds=seconds,
            first_token=first,
            input_tokens=None if given.usage is None else given.usage.input_tokens,
            output_tokens=None if given.usage is None else given.usage.output_tokens,
        )

    async def _quote(self, citation: CitationBody) -> Quote:
        id_ = citation.document_id
        if id_ not in self._texts:
            self._texts[id_] = await self._client.text(id_)
        return quote(
            self._source(id_),
            self._texts[id_],
            span=(citation.start, citation.end),
            said=citation.quote,
            claim=(citation.answer_start, citation.answer_end),
        )

    def _places(self, passages: Sequence[PassageBody]) -> tuple[Place, ...]:
        return tuple(Place(self._source(p.document_id), p.start, p.end) for p in passages)

    def _source(self, document_id: str) -> str:
        return self._sources.get(document_id, document_id)


def run_evaluation(options: Options) -> Path:
    """Evaluate as asked and print the figures; give the run's file."""
    questions = _read_questions(options)
    chosen = choose(
        questions.questions, limit=options.limit, sample=options.sample, seed=options.seed
    )
    if options.joint_evidence:
        chosen = with_joint_evidence(chosen)
    with _open_target(options) as opened:
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


@contextmanager
def _open_target(options: Options) -> Iterator[Opened]:
    if options.rewrite and (not options.retrieval_only or options.url or options.openai):
        raise QuestionSetError(
            "--rewrite is for a search in this process.",
            fix="Add --retrieval-only and leave --url and --openai out; when asked, the chain "
            "rewrites by itself.",
        )
    if options.openai is not None:
        yield _open_model(options)
    elif options.url is not None:
        with _open_server(options, options.url) as opened:
            yield opened
    else:
        with _open_chain(options) as opened:
            yield opened


def _open_model(options: Options) -> Opened:
    if options.retrieval_only:
        raise QuestionSetError("--openai has no search.", fix="Leave --retrieval-only out.")
    if options.model is None or options.openai is None:
        raise QuestionSetError(
            "--openai needs the name of a model.", fix="Add --model NAME, as the server has it."
        )
    settings = Settings()
    key = settings.api_key.get_secret_value() if settings.api_key else "none"
    model = openai_compatible(
        options.model, options.openai, key, answer_tokens=500, timeout=settings.model_timeout
    )
    details = {"target": "openai", "model": options.model, "url": options.openai}
    return Opened(ModelTarget(model, options.model), details, None)


@contextmanager
def _open_server(options: Options, url: str) -> Iterator[Opened]:
    collection = _collection(options)
    with Footnote(url) as client:
        if options.documents is not None:
            for upload in _track(read_documents(options.documents), "ingesting"):
                client.add(
                    decode(upload.data, name=upload.name),
                    title=upload.title,
                    source=upload.source,
                    collection=collection,
                    markdown=upload.name.lower().endswith((".md", ".markdown")),
                )
        documents = client.documents(collection)
    target = ServerTarget(
        url,
        collection,
        {d.id: d.source for d in documents},
        search_only=options.retrieval_only,
    )
    details = {"target": "server", "url": url, "collection": collection}
    yield Opened(target, details, {d.source: d.characters for d in documents})


@contextmanager
def _open_chain(options: Options) -> Iterator[Opened]:
    settings = Settings()
    reads = options.rewrite or not options.retrieval_only
    fetch_weights(settings, language_model=reads)
    collection = _collection(options)
    with ExitStack() as stack:
        library = stack.enter_context(build_library(settings))
        if options.documents is not None:
            _ingest(library, read_documents(options.documents), collection)
        lengths = {d.source: d.characters for d in library.documents(collection)}
        if options.retrieval_only:
            details = {"target": "search", "embedder": library.embedder.name, "passages": DEEP}
            reader = stack.enter_context(closing(build_reader(settings))) if reads else None
            if reader is not None:
                details |= {"rewritten_by": reader.name}
            yield Opened(SearchTarget(library, collection, reader=reader), details, lengths)
        else:
            service = stack.enter_context(closing(build_service(settings, library=library)))
            details = {"target": "chain", "collection": collection, **describe(service)}
            yield Opened(ChainTarget(service, collection), details, lengths)


def _ingest(library: Library, uploads: Sequence[Upload], collection: str) -> None:
    for upload in _track(uploads, "ingesting"):
        library.ingest(Upload(upload.data, upload.name, collection, upload.source, upload.title))


def _collection(options: Options) -> str:
    if options.collection is not None:
        return options.collection
    if options.documents is None:
        return "default"
    digest = hashlib.sha256(str(options.documents.resolve()).encode()).hexdigest()[:12]
    return f"evaluation-{digest}"


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


def _track(uploads: Sequence[Upload], what: str) -> Iterator[Upload]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as bar:
        yield from bar.track(uploads)


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
