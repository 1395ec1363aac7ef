"""`GET /documents/{id}/view`: a source as it was read, the span of `#start-end` highlighted."""

from __future__ import annotations

from html import escape
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from api.deps import LibraryDep, WidgetDep
from api.pages import OURSELVES, page
from index.errors import DocumentNotFoundError

router = APIRouter(tags=["documents"])
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/static/view.css">
<script src="/static/view.js" defer></script>
</head>
<body>
<header>
<p class="brand">Footnote</p>
<h1>{title}</h1>
<p id="place" role="status">{characters} characters</p>
</header>
<main><pre id="text" tabindex="0">
{text}</pre></main>
</body>
</html>
"""


@router.get("/documents/{document_id}/view", response_class=HTMLResponse)
def view(
    document_id: str,
    library: LibraryDep,
    chosen: WidgetDep = None,
    widget: Annotated[str | None, Query(description="The widget that shows it.")] = None,
) -> HTMLResponse:
    """Show a document's text; the fragment `#start-end` (code points) is marked and scrolled to.

    Named with a widget, pages of that widget's origins may show it in a frame, and nobody else's.
    """
    del widget  # the middleware has read it; here it is for the schema
    document = library.document(document_id)
    if chosen is not None and library.catalog.record(document_id).collection != chosen.collection:
        raise DocumentNotFoundError(f"This widget's collection has no document {document_id!r}.")
    html = PAGE.format(
        title=escape(document.title),
        characters=f"{len(document.text):,}",
        # A parser turns a bare carriage return into a line feed, and offsets would move.
        text=escape(document.text).replace("\r", "&#13;"),
    )
    return page(html, framed_by=[OURSELVES, *(chosen.origins if chosen else ())])
