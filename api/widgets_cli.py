"""`footnote widgets create | list | revoke`: works on the data folder, with a server or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from api.widgets import Widget
    from qa.settings import Settings

app = typer.Typer(
    help="Public ids that let pages of other sites ask.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@app.command()
def create(  # noqa: PLR0913  each is an option of the command line
    *,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="A site that may use it, like https://example.com; may be repeated."),
    ] = None,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="The collection that it asks.")
    ] = "default",
    per_minute: Annotated[int, typer.Option(help="Questions a minute of one visitor.")] = 20,
    title: Annotated[str | None, typer.Option(help="The name above the conversation.")] = None,
    greeting: Annotated[str | None, typer.Option(help="What it says first.")] = None,
    starter: Annotated[
        list[str] | None, typer.Option(help="A question to begin with; may be repeated.")
    ] = None,
    accent: Annotated[str | None, typer.Option(help="Its colour, like #0b57d0.")] = None,
    position: Annotated[str | None, typer.Option(help="left or right.")] = None,
    language: Annotated[str | None, typer.Option(help="Of its buttons, like de.")] = None,
    as_json: Json = False,
) -> None:
    """Create a widget, and print the line that puts it into a page."""
    from api.widgets import Looks, WidgetStore  # noqa: PLC0415  help must come at once
    from index.library import read_address  # noqa: PLC0415
    from qa.settings import Settings  # noqa: PLC0415

    settings = Settings()
    looks = Looks(
        title=title,
        greeting=greeting,
        starters=tuple(starter or ()),
        accent=accent,
        position=position,
        language=language,
    )
    widget = WidgetStore.of(settings.home_path).create(
        collection=collection, origins=tuple(origin or ()), per_minute=per_minute, looks=looks
    )
    body = _describe(widget, settings)
    if as_json:
        _print_json(body)
        return
    typer.echo(body["snippet"])
    if not widget.origins:
        typer.echo("No site may use it yet: create one with --origin https://your.site.", err=True)
    if read_address(settings.home_path) is None:
        typer.echo(
            f"It is kept in {settings.home_path}, where no server runs now; a server of another "
            "data folder (FOOTNOTE_HOME) does not know it.",
            err=True,
        )


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the widgets."""
    from api.widgets import WidgetStore  # noqa: PLC0415  help must come at once
    from qa.settings import Settings  # noqa: PLC0415

    settings = Settings()
    widgets = WidgetStore.of(settings.home_path).list()
    if as_json:
        _print_json({"widgets": [_describe(widget, settings) for widget in widgets]})
        return
    for widget in widgets:
        origins = " ".join(widget.origins) or "no origin"
        typer.echo(f"{widget.id}  {widget.collection}  {widget.per_minute}/min  {origins}")
    if not widgets:
        typer.echo("There are no widgets. Create one: footnote widgets create --origin URL")


@app.command()
def revoke(
    widget: Annotated[str, typer.Argument(help="The widget's id.", show_default=False)],
) -> None:
    """Revoke a widget at once, also on a running server."""
    from api.widgets import WidgetStore  # noqa: PLC0415  help must come at once
    from qa.settings import Settings  # noqa: PLC0415

    WidgetStore.of(Settings().home_path).revoke(widget)
    typer.echo(f"{widget} is revoked.")


def _describe(widget: Widget, settings: Settings) -> dict[str, Any]:
    from api.schemas import WidgetBody  # noqa: PLC0415  pydantic's schemas take their time
    from api.widgets import write_snippet  # noqa: PLC0415
    from index.library import read_address  # noqa: PLC0415

    address = read_address(settings.home_path) or f"http://{settings.host}:{settings.port}"
    return WidgetBody.of(widget, write_snippet(widget, address)).model_dump()


def _print_json(body: dict[str, Any]) -> None:
    from api.terminal import print_json  # noqa: PLC0415

    print_json(body)
