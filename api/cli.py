"""The command line: `footnote serve | ingest | ask | search | documents | evaluate | ...`.

Nothing heavy is imported until a command needs it, so that help comes at once. Where a server has
the data folder, commands talk to it; otherwise they open the folder themselves.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from api import widgets_cli
from index.errors import FootnoteError

app = typer.Typer(
    name="footnote",
    help="Ask your documents, and see where each answer stands.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(widgets_cli.app, name="widgets")

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Collection = Annotated[str, typer.Option("--collection", "-c", help="The collection of documents.")]
Url = Annotated[str | None, typer.Option("--url", help="A server to ask, instead of the one here.")]


def main() -> NoReturn:
    """Run the command line; an error of ours is a line and a hint, not a traceback."""
    try:
        app()
    except FootnoteError as error:
        fail(str(error), error.fix)
    except ValueError as error:
        from pydantic import ValidationError  # noqa: PLC0415  help must come at once

        if not isinstance(error, ValidationError) or error.title != "Settings":
            raise
        wrong = "; ".join(
            f"FOOTNOTE_{e['loc'][0]}".upper() + f": {e['msg']}" for e in error.errors()
        )
        fail(wrong, "Correct the option, or the environment variable.")
    sys.exit(0)


def fail(message: str, fix: str) -> NoReturn:
    """Print an error and what to do, and end with exit code 1."""
    typer.echo(f"footnote: {message}", err=True)
    if fix:
        typer.echo(f"  {fix}", err=True)
    sys.exit(1)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [8000].")] = None,
    ingest: Annotated[
        list[Path] | None, typer.Option(help="A file or folder to ingest first; may be repeated.")
    ] = None,
) -> None:
    """Serve the HTTP API, fetching the models on the first run."""
    from api.serving import run  # noqa: PLC0415
    from qa.settings import Settings  # noqa: PLC0415

    changes = {k: v for k, v in {"host": host, "port": port}.items() if v is not None}
    run(Settings(**changes), tuple(ingest or ()))  # type: ignore[arg-type]  # values of two fields


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", show_default=False)],
    collection: Collection = "default",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make files searchable; the same file again changes nothing."""
    from api.session import open_session  # noqa: PLC0415
    from api.terminal import ingest_files, print_json  # noqa: PLC0415

    with open_session(url, reading=False) as session:
        outcomes = ingest_files(session.ingest, paths, collection, quiet=as_json)
    if as_json:
        print_json({"documents": outcomes})
    if any("problem" in outcome for outcome in outcomes):
        sys.exit(1)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question.", show_default=False)],
    collection: Collection = "default",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Answer a question with numbered footnotes, or say why not."""
    from api.session import open_session  # noqa: PLC0415
    from api.terminal import AnswerPrinter, print_json, spinner  # noqa: PLC0415

    with open_session(url, reading=True) as session:
        if as_json:
            with spinner("thinking"):
                answer = session.ask(question, collection)
            print_json(answer)
        else:
            printer = AnswerPrinter()
            with spinner("thinking") as waiting:
                answer = session.ask(question, collection, on_token=printer.token(waiting))
            printer.finish(answer)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="The query.", show_default=False)],
    collection: Collection = "default",
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many passages.")] = 5,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Find passages, without a language model."""
    from api.session import open_session  # noqa: PLC0415
    from api.terminal import print_json, print_passages, spinner  # noqa: PLC0415

    with open_session(url, reading=False) as session, spinner("searching"):
        found: dict[str, Any] = session.search(query, collection, limit)
    if as_json:
        print_json(found)
    else:
        print_passages(found["passages"])


@app.command()
def documents(
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Of one collection only.")
    ] = None,
    delete: Annotated[str | None, typer.Option(help="Delete the document of this id.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the documents, or delete one."""
    from api.session import open_session  # noqa: PLC0415
    from api.terminal import print_documents, print_json  # noqa: PLC0415

    with open_session(url, reading=False) as session:
        if delete is not None:
            session.delete(delete)
        found: dict[str, Any] = session.documents(collection)
    if as_json:
        print_json(found)
    else:
        print_documents(found["documents"])


@app.command()
def feedback(
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Of one collection only.")
    ] = None,
    export: Annotated[
        typer.FileTextWrite | None,
        typer.Option(help="Write a question set for `footnote evaluate`; - prints it."),
    ] = None,
    delete: Annotated[str | None, typer.Option(help="Forget the answer of this id.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List what people thought of answers, newest first, or write it as a question set."""
    from api.session import open_session  # noqa: PLC0415
    from api.terminal import print_feedback, print_json  # noqa: PLC0415

    with open_session(url, reading=False) as session:
        if delete is not None:
            session.forget(delete)
        if export is not None:
            export.write(session.questions(collection))
            return
        found: dict[str, Any] = session.feedback(collection)
    if as_json:
        print_json(found)
    else:
        print_feedback(found["feedback"])


@app.command("evaluate")
def evaluate_(  # noqa: PLR0913  each is an option of the command line
    questions: Annotated[Path, typer.Argument(help="JSONL or CSV file.", show_default=False)],
    *,
    documents: Annotated[
        Path | None, typer.Option(help="JSONL file or folder, ingested first, by itself.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's file [runs/NAME-DATE.jsonl].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many, at random.")] = None,
    seed: Annotated[int, typer.Option(help="The seed of --sample.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Questions at a time.")] = 1,
    retrieval_only: Annotated[
        bool, typer.Option("--retrieval-only", help="Search, without a language model.")
    ] = False,
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="With --retrieval-only: follow-ups, as when asked.")
    ] = False,
    field: Annotated[str, typer.Option(help="Where a line has its question.")] = "question",
    joint_evidence: Annotated[
        bool, typer.Option("--joint-evidence", help="Gold spans belong together.")
    ] = False,
    skip_bad_lines: Annotated[
        bool, typer.Option("--skip-bad-lines", help="Report bad lines and go on.")
    ] = False,
    judge: Annotated[
        str | None, typer.Option(help="A model that judges citations: local, provider:model.")
    ] = None,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="The collection to ask.")
    ] = None,
    url: Url = None,
    openai: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible base URL to score instead.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model to ask for at --openai.")] = None,
    as_json: Json = False,
) -> None:
    """Ask every question of a set and score the answers; an interrupted run can go on."""
    from api.evaluation import run_evaluation  # noqa: PLC0415
    from api.targets import Options  # noqa: PLC0415

    run_evaluation(
        Options(
            questions=questions,
            documents=documents,
            collection=collection,
            out=out,
            resume=resume,
            limit=limit,
            sample=sample,
            seed=seed,
            concurrency=concurrency,
            retrieval_only=retrieval_only,
            rewrite=rewrite,
            field=field,
            joint_evidence=joint_evidence,
            skip_bad_lines=skip_bad_lines,
            judge=judge,
            url=url,
            openai=openai,
            model=model,
            as_json=as_json,
        )
    )


@app.command("compare")
def compare_(
    runs: Annotated[list[Path], typer.Argument(help="Two runs or more.", show_default=False)],
    html: Annotated[Path | None, typer.Option(help="Write a page to look at.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a table as Markdown.")] = None,
    fail_under: Annotated[
        float | None, typer.Option(help="Fail where the last run has a smaller percentage right.")
    ] = None,
    max_regression: Annotated[
        float | None, typer.Option(help="Fail where it lost more points than this.")
    ] = None,
) -> None:
    """Put runs of the same questions beside the first, question by question."""
    from api.evaluation import run_comparison  # noqa: PLC0415

    if len(runs) < 2:  # noqa: PLR2004  it takes two
        fail("One run cannot be compared.", "Give two files that `footnote evaluate` wrote.")
    broken = run_comparison(
        runs, html=html, markdown=markdown, fail_under=fail_under, max_regression=max_regression
    )
    for line in broken if fail_under is not None or max_regression is not None else ():
        typer.echo(f"footnote: {line}", err=True)
    if broken and (fail_under is not None or max_regression is not None):
        sys.exit(1)


@app.command()
def weights() -> None:
    """Fetch the models' files, or go on with an interrupted fetch, and check their SHA-256."""
    from api.terminal import fetch_weights  # noqa: PLC0415
    from qa.settings import Settings  # noqa: PLC0415

    for folder in fetch_weights(Settings()):
        typer.echo(folder)


if __name__ == "__main__":
    main()
