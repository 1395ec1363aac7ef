"""The report of a comparison as a browser shows it, with its script and under its policy."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from qa.evaluation.comparison import compare
from qa.evaluation.report import to_html
from qa.evaluation.types import Header, Question, Quote, Record, Run

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
    "--dump-dom",
)
CATEGORIES = ("who", "when & where")
ARTICLE = re.compile(r"<article([^>]*)>")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def run(name: str, answers: str) -> Run:
    """Give a run of a question a letter: right, wrong, refused, or error."""
    records = [_record(place, letter) for place, letter in enumerate(answers)]
    return Run(Header(name, "2026-11-23", "letters", "d"), tuple(records))


def _record(place: int, letter: str) -> Record:
    question = Question(
        f"q{place}",
        f"Question number {place}? <script>document.title = 'broken into'</script>",
        answers=("Tesla",),
        category=CATEGORIES[place % 2],
    )
    if letter == "r":
        return Record(question, answered=False, reason="not_stated", seconds=1.0)
    if letter == "e":
        return Record(question, answered=False, error="TimeoutError", seconds=9.0)
    answer = "Tesla" if letter == "+" else "Edison"
    quote = Quote("a.md", 4, 9, answer, exact=True, answer_start=0, answer_end=len(answer))
    return Record(
        question, answered=True, answer=answer, citations=(quote,), seconds=2.0, confidence=0.5
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report of six questions: two losses, one win, three the same."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    comparison = compare(run("before", "++-+r-"), run("after", "-e++r-"))
    path.write_text(to_html(comparison), encoding="utf-8")
    return path


def show(page: Path, fragment: str, profile: Path) -> tuple[str, list[str]]:
    """Give the page as it stands when its script has run, and what the browser said of it."""
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, *OPTIONS, f"--user-data-dir={profile}", f"{page.as_uri()}{fragment}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def shown(dom: str) -> list[str]:
    """Give the places of the questions that no filter hides."""
    articles = [tag for tag in ARTICLE.findall(dom) if not re.search(r"\shidden\b", tag)]
    return [found[1] for tag in articles if (found := re.search(r'id="q-(\d+)"', tag))]


def count(dom: str) -> str:
    """Give what the page says of how many questions are shown."""
    found = re.search(r'id="count"[^>]*>([^<]*)<', dom)
    assert found is not None
    return unescape(found[1])


@pytest.mark.parametrize(
    ("fragment", "questions", "unfolded", "said"),
    [
        ("", "123456", False, "3 of 6 questions shown, 3 folded at the end"),
        ("#filter=losses", "12", False, "2 of 6 questions shown"),
        ("#filter=refused", "5", True, "1 of 6 questions shown"),
        ("#filter=losses&category=when+%26+where", "2", False, "1 of 6 questions shown"),
        ("#text=NUMBER%204", "5", True, "1 of 6 questions shown"),
        ("#filter=toString&category=none", "123456", False, "3 of 6 questions shown, 3 folded"),
    ],
)
def test_a_linked_view_shows_what_it_names(  # noqa: PLR0913  a row of the table above
    page: Path, tmp_path: Path, fragment: str, questions: str, *, unfolded: bool, said: str
) -> None:
    dom, console = show(page, fragment, tmp_path)
    assert console == []
    assert "<title>after compared with before</title>" in dom
    assert "".join(shown(dom)) == questions
    assert count(dom).startswith(said)
    assert bool(re.search(r'id="rest" open', dom)) == unfolded
    assert len(re.findall(r'<svg[^>]*role="img"', dom)) == 4
    named = re.search(r"filter=(losses|refused)", fragment)
    pressed = re.findall(r'data-filter="(\w+)" aria-pressed="true"', dom)
    assert pressed == [named[1] if named else "all"]


def test_a_press_filters_and_is_kept_in_the_address(page: Path, tmp_path: Path) -> None:
    # The policy lets no second script in, so this page tries the first one without it.
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    steps = """<script>
      document.querySelector('[data-filter="losses"]').click();
      document.body.dataset.address = location.hash;
      document.getElementById("category").value = "who";
      document.getElementById("category").dispatchEvent(new Event("change"));
      document.body.dataset.both = location.hash;
    </script></body>"""
    driven = tmp_path / "driven.html"
    driven.write_text(text.replace("</body>", steps), encoding="utf-8")
    dom, _ = show(driven, "", tmp_path / "profile")
    assert 'data-address="#filter=losses"' in dom
    assert 'data-both="#filter=losses&amp;category=who"' in dom
    assert shown(dom) == ["1"]


def test_the_policy_stops_what_is_not_the_reports_own(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    hostile = '<script>document.title = "broken into"</script></body>'
    path = tmp_path / "hostile.html"
    path.write_text(text.replace("</body>", hostile), encoding="utf-8")
    dom, console = show(path, "", tmp_path / "profile")
    assert any("Content Security Policy" in line for line in console)
    assert "<title>after compared with before</title>" in dom
