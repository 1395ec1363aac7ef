"""`GET /documents/{id}/view`: a source as it was read, the span of `#start-end` highlighted."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.deps import LibraryDep

router = APIRouter(tags=["documents"])
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
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
def view(document_id: str, library: LibraryDep) -> HTMLResponse:
    """Show a document's text; the fragment `#start-end` (code points) is marked and scrolled to."""
    document = library.document(document_id)
    page = PAGE.format(
        title=escape(document.title),
        characters=f"{len(document.text):,}",
        # A parser turns a bare carriage return into a line feed, and offsets would move.
        text=escape(document.text).replace("\r", "&#13;"),
    )
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(page, headers=headers)
