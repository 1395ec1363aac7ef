"""The report, of a small comparison made by hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from qa.evaluation.comparison import compare
from qa.evaluation.report import to_html, to_markdown
from qa.evaluation.types import Comparison, Header, Question, Quote, Record, Run

BROWSER = next(
    (b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None
)
EVIL = '<script>alert("1")</script> & <img src=x onerror=alert(2)>'
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--virtual-time-budget=3000"),
)


def record(number: int, answer: str, **details: float) -> Record:
    asked = EVIL if number == 0 else f"Who opened bridge {number}?"
    question = Question(str(number), asked, True, ("Ruth Okafor",), "d", ((4, 15),))
    quote = Quote("d", 4, 15, "Ruth Okafor", True, 0, len(answer), "The ", " opened it.")
    return Record(
        question,
        answered=bool(answer),
        answer=answer,
        reason=None if answer else "not_stated",
        confidence=0.5 + number / 100,
        citations=(quote,) if answer else (),
        seconds=details.get("seconds", 1.0),
    )


def run(name: str, *answers: str) -> Run:
    details = {"model": name, "seed": 1}
    header = Header(name, "2026-01-02T03:04:05+00:00", "q.jsonl", "d" * 64, details)
    return Run(header, tuple(record(i, answer) for i, answer in enumerate(answers)))


def example() -> Comparison:
    """Twenty questions: twelve wins, one loss, and both refuse the last."""
    a = ["Paul"] * 12 + ["Ruth Okafor"] * 7 + [""]
    b = ["Ruth Okafor"] * 12 + ["Paul"] + ["Ruth Okafor"] * 6 + [""]
    return compare(run("small", *a), run("large", *b))


@pytest.fixture(scope="module")
def page() -> str:
    return to_html(example())


def test_what_stands_in_runs_is_text_and_never_markup(page: str) -> None:
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in page


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    assert not re.search(
        r"(?:src|href|action)\s*=|@import|url\(|https?://", page.split("<body>", maxsplit=1)[0]
    )
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;") or policy[1].startswith(
        "default-src 'none'"
    )
    assert "unsafe" not in policy[1]
    assert "style=" not in page


def test_the_headline_says_how_much_better_and_how_sure(page: str) -> None:
    assert "large answers 55.0" in page
    assert "more questions right than small" in page
    assert "large wins 12 questions and loses 1" in page
    same = to_html(compare(run("one", "Paul", ""), run("two", "Paul", "")))
    assert "no difference in right answers that could not be chance" in same


def test_settings_that_differ_stand_apart_from_those_that_do_not(page: str) -> None:
    differing, same = page.split("<details>", maxsplit=1)
    assert '<th scope="row">model</th><td>small</td><td>large</td>' in differing
    assert '<th scope="row">seed</th><td>1</td>' in same


def test_every_question_has_both_answers_and_the_quotes_in_their_surroundings(page: str) -> None:
    assert page.count('<article class="question"') == 20
    assert "…The <mark>Ruth Okafor</mark> opened it.…" in page
    assert "Refused: not_stated" in page
    assert page.index('data-kinds="loss') < page.index('data-kinds="win')


def test_every_plot_has_a_title_for_those_who_do_not_see_it(page: str) -> None:
    assert page.count('<svg role="img"') == 4
    assert page.count("<desc>") == 4


def test_markdown_is_a_table_and_lists_of_what_changed() -> None:
    text = to_markdown(example())
    assert "| answers: right | 35.0" in text
    assert "### Losses: 1" in text
    assert "### Wins: 12" in text
    assert "<script>" not in text.replace("\\<script\\>", "")
    long = compare(run("a", *["Paul"] * 30), run("b", *["Ruth Okafor"] * 30))
    assert "and 10 more" in to_markdown(long)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize(
    ("state", "shown"),
    [("", 20), ("#filter=loss", 1), ("#filter=win&text=bridge+3", 1), ("#filter=refused", 1)],
)
def test_in_a_browser_a_filter_leaves_its_questions_and_says_how_many(
    page: str, tmp_path: Path, state: str, shown: int
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    ran = subprocess.run(
        [
            str(BROWSER),
            *QUIET,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--dump-dom",
            file.as_uri() + state,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    articles = re.findall(r'<article class="question"[^>]*>', ran.stdout)
    assert len([a for a in articles if "hidden" not in a]) == shown
    assert f"{shown} of 20 questions shown" in ran.stdout
    assert ran.stdout.count("<svg") == 4
    assert "Content Security Policy" not in ran.stderr
