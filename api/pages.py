"""The pages that we serve, each under a Content-Security-Policy without `unsafe-inline`."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi.responses import HTMLResponse

NOBODY = "'none'"
OURSELVES = "'self'"


def page(
    html: str,
    *,
    framed_by: Iterable[str] = (),
    allow: Iterable[str] = (),
) -> HTMLResponse:
    """Give a page whose scripts and styles are files of ours.

    `framed_by` lists who may show it in a frame, nobody by default; `allow` adds directives.
    """
    policy = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        f"frame-ancestors {' '.join(framed_by) or NOBODY}",
        *allow,
    ]
    return HTMLResponse(
        html,
        headers={
            "Content-Security-Policy": "; ".join(policy),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )
