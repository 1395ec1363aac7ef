"""What a verifier is shown."""

from __future__ import annotations

from qa.types import Evidence
from qa.verifier import shown


def test_what_is_shown_is_on_one_line_and_visible() -> None:
    texts = ("One\n two.", "Th\u200bree.")
    evidence = [Evidence(n, "d", "T", 0, 1, text) for n, text in enumerate(texts)]
    assert shown("Is\nit?", evidence) == ("Is it?", "One two. Three.")
