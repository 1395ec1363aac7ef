from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from qa.evaluation.report import to_html, to_markdown
from qa.evaluation.types import (
    Change,
    Comparison,
    Curve,
    Difference,
    Figure,
    Header,
    Place,
    Question,
    Quote,
    Record,
    Run,
    Unit,
    Verdict,
)
from qa.evaluation.wording import (
    amount,
    beyond_chance,
    category_of,
    chance,
    headline,
    interval,
    run_names,
    signed,
)

ATTACK = "<script>alert(1)</script>"
VOID = {"meta", "link", "input"}

RIGHT = Difference(
    group="answers",
    name="right",
    unit=Unit.SHARE,
    higher_is_better=True,
    a=0.50,
    b=0.54,
    delta=0.04,
    low=0.005,
    high=0.075,
    p=0.03,
    test="McNemar",
    n=100,
)
SECONDS = Difference(
    group="cost",
    name="seconds, mean",
    unit=Unit.SECONDS,
    higher_is_better=False,
    a=4.0,
    b=3.48,
    delta=-0.52,
    low=-0.8,
    high=-0.24,
    p=0.0004,
    test="bootstrap",
    n=100,
)
CITED = Quote(
    source="tower.md",
    start=7,
    end=33,
    quote="begun at Wardenclyffe <b>in 1901",
    exact=False,
    answer_start=0,
    answer_end=4,
    before="The tower was ",
    after=" with borrowed money.",
)


def example(**changed: object) -> Comparison:
    """Give a comparison of four questions: a loss, a win, and two that came out the same."""
    questions = (
        Question("q1", f"When? {ATTACK}", answers=("1901",), category="when | then"),
        Question("q2", "Who?", answers=("Tesla", "Nikola Tesla"), category="who"),
        Question("q3", "Why?", answerable=False, category="who"),
        Question("q4", "Where?", answers=("Shoreham",), history=("And when?",), category="who"),
    )
    right = Record(questions[0], answered=True, answer="1901", citations=(CITED,), seconds=3.0)
    before = (
        right,
        Record(questions[1], answered=False, reason="not_stated", seconds=2.0),
        Record(questions[2], answered=False, reason="name_not_in_evidence", seconds=1.0),
        Record(questions[3], answered=True, answer="Shoreham", confidence=0.9, seconds=4.0),
    )
    after = (
        Record(questions[0], answered=False, error="TimeoutError: <i>", seconds=120.0),
        replace(right, question=questions[1], answer="Tesla", citations=()),
        replace(before[2], seconds=0.5),
        replace(before[3], citations=None),
    )
    verdicts = (Verdict.LOSS, Verdict.WIN, Verdict.SAME, Verdict.SAME)
    scores = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 1.0))
    figure = Figure("answers", "right", 0.5, 0.4, 0.6, 100, Unit.SHARE, higher_is_better=True)
    untested = replace(figure, group="cost", name="seconds, p50", unit=Unit.SECONDS, low=None)
    details = {"model": "local", "weights": {"reader": "ab12"}, "passages": 8}
    comparison = Comparison(
        a=Run(Header("before", "2026-11-22T14:05:00+00:00", "tower", "d", details), before),
        b=Run(Header("after", "yesterday", "tower", "d", {**details, "passages": 6}), after),
        figures_a=(figure, replace(untested, value=3.5)),
        figures_b=(replace(figure, value=0.54), replace(untested, value=3.25, n=99)),
        differences=(RIGHT, SECONDS),
        changes=tuple(
            Change(q, a, b, *both, verdict)
            for q, a, b, both, verdict in zip(
                questions, before, after, scores, verdicts, strict=True
            )
        ),
        curves=(Curve("before", ((0.5, 0.0), (1.0, 0.25))), Curve("after", ())),
        categories=(("when | then", 1, 1.0, 0.0), ("who", 3, 0.67, 1.0)),
    )
    return replace(comparison, **changed)  # type: ignore[arg-type]  # fields by their names


class Page(HTMLParser):
    """A page as a browser takes it apart: balanced tags, their attributes, their texts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        self.tags.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Take note of an end, which must be that of the tag opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take note of a text, for every tag around it."""
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Give the attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_texts_of_a_run_are_never_markup() -> None:
    page = Page(to_html(example()))
    assert len(page.all("script")) == 1
    assert not page.all("b")
    assert not page.all("i")
    assert f"When? {ATTACK}" in page.texts["h4"]
    assert CITED.quote in page.texts["mark"]


@pytest.mark.parametrize("attack", [ATTACK, '"><svg onload=alert(1)>', "</style>", "{{ 7 * 7 }}"])
def test_not_even_names_and_settings_are_markup(attack: str) -> None:
    comparison = example()
    header = Header(attack, attack, attack, attack, {attack: {attack: attack}})
    hostile = replace(comparison.a, header=header)
    named = [replace(d, group=attack, name=attack) for d in comparison.differences]
    page = to_html(
        replace(
            comparison,
            a=hostile,
            differences=tuple(named),
            curves=(Curve(attack, ((1.0, 0.5),)), comparison.curves[1]),
            categories=((attack, 4, 0.5, 0.5), ("other", 1, 1.0, 1.0)),
        )
    )
    taken = Page(page)
    assert len(taken.all("script")) == len(taken.all("style")) == 1
    assert attack in taken.texts["title"][0]
    assert not any(name.startswith("on") for _, found in taken.tags for name in found)


def test_nothing_is_fetched() -> None:
    page = to_html(example())
    for reference in ("http://", "https://", "src=", "url(", "@import", "fetch("):
        assert reference not in page
    taken = Page(page)
    assert [link["href"] for link in taken.all("link")] == ["data:,"]
    assert not any("style" in found for _, found in taken.tags)


def test_the_policy_allows_this_style_and_this_script_alone() -> None:
    page = to_html(example())
    taken = Page(page)
    policy = next(m["content"] for m in taken.all("meta") if "http-equiv" in m) or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag in ("style", "script"):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert len(inside) == 1
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"


def test_changed_questions_come_first_and_the_rest_is_folded() -> None:
    page = to_html(example())
    order = [page.index(f'id="{name}"') for name in ("losses", "q-1", "wins", "q-2", "rest", "q-3")]
    assert order == sorted(order)
    assert page.index("<details", page.index('id="q-2"')) < page.index('id="q-3"')


def test_a_question_carries_what_the_filters_ask_for() -> None:
    articles = {a["id"]: a for a in Page(to_html(example())).all("article")}
    assert articles["q-1"]["data-verdict"] == "loss"
    assert articles["q-1"]["data-category"] == "when | then"
    assert "data-failed" in articles["q-1"]
    assert "data-refused" not in articles["q-1"]
    assert "data-refused" in articles["q-2"]


def test_every_label_and_description_is_on_the_page() -> None:
    taken = Page(to_html(example()))
    ids = [found["id"] for _, found in taken.tags if "id" in found]
    assert len(ids) == len(set(ids))
    for _, found in taken.tags:
        for name in (found.get("aria-labelledby") or "").split():
            assert name in ids
    assert len(taken.all("table")) == len(taken.all("caption"))
    assert all("scope" in th for th in taken.all("th"))


def test_both_sides_of_a_question_are_told() -> None:
    page = " ".join(Page(to_html(example())).texts["html"][0].split())
    assert "1901[1]" in page
    assert "tower.md, characters 7–33 ✗ not the source’s text" in page
    assert "Refused: not_stated" in page
    assert "Error: TimeoutError: <i>" in page
    assert "Right: Tesla or Nikola Tesla" in page
    assert "Not answerable: a refusal is right." in page
    assert "Asked before: “And when?”" in page
    assert "4.00 s · confidence 0.90" in page


def test_figures_stand_beside_their_difference() -> None:
    cells = [" ".join(cell.split()) for cell in Page(plain(to_html(example()))).texts["td"]]
    assert "50.0 % 40.0 to 60.0" in cells
    assert "+4.0 points 0.5 to 7.5" in cells
    assert "▲ better" in cells
    assert "-0.25 s" in cells
    assert "not tested" in cells
    assert "100 / 99" in cells


def test_settings_that_differ_are_not_folded() -> None:
    page = to_html(example())
    assert page.index(">passages<") < page.index("the same in both") < page.index("weights.reader")


def test_a_search_shows_what_it_found() -> None:
    question = Question("s", "where?", relevant=("b.md",))
    found = (Place("a.md", 0, 5), Place("b.md", 3, 9))
    record = Record(question, answered=False, reason="retrieval_only", citations=None)
    a, b = replace(record, passages=found), replace(record, passages=())
    page = Page(to_html(example(changes=(Change(question, a, b, 0.63, 0.0, Verdict.LOSS),))))
    assert "b.md, characters 3–9 ✓ relevant" in page.texts["li"]
    assert "No passage found." in page.texts["p"]
    assert "data-refused" not in page.all("article")[0]
    assert "score 0.63" in page.texts["span"]


def test_runs_of_different_questions_are_said_to_be() -> None:
    comparison = example()
    assert "Different question sets" not in to_html(comparison)
    other = replace(comparison.b, header=replace(comparison.b.header, questions_digest="e"))
    assert "Different question sets" in to_html(replace(comparison, b=other))


def test_a_comparison_of_nothing_is_a_page_too() -> None:
    bare = example(figures_a=(), figures_b=(), differences=(), changes=(), curves=(), categories=())
    assert "No figure of quality is known of both runs." in to_html(bare)
    assert "No figure of quality is known of both runs." in to_markdown(bare)


def test_the_headline_of_a_difference_beyond_chance() -> None:
    assert [plain(s) for s in headline(example())] == [
        (
            "after answers 4.0 points more questions right than before "
            "(95 % interval 0.5 to 7.5, p = 0.03, n = 100)."
        ),
        "after wins 1 question and loses 1; 2 come out the same.",
        "after is 0.52 s quicker a question (95 % interval 0.24 to 0.80, p < 0.001, n = 100).",
        "before failed on 0 questions, after on 1.",
    ]


def test_the_headline_of_a_worse_run_turns_its_interval_about() -> None:
    worse = replace(RIGHT, delta=-0.04, low=-0.075, high=-0.005)
    assert plain(headline(example(differences=(worse,)))[0]) == (
        "after answers 4.0 points fewer questions right than before "
        "(95 % interval 0.5 to 7.5, p = 0.03, n = 100)."
    )


@pytest.mark.parametrize(("low", "p"), [(-0.015, 0.27), (0.001, 0.06), (-0.001, 0.04)])
def test_the_headline_of_what_may_be_chance_calls_no_run_better(low: float, p: float) -> None:
    unsure = replace(RIGHT, low=low, p=p)
    assert not beyond_chance(unsure)
    first = plain(headline(example(differences=(unsure,)))[0])
    assert first.startswith(
        "There is no difference in right answers that could not be chance: +4.0 points for after"
    )


def test_the_headline_of_a_search_is_of_its_ranking() -> None:
    ranked = replace(RIGHT, group="retrieval", name="nDCG@10")
    assert plain(headline(example(differences=(ranked,)))[0]).startswith(
        "The nDCG@10 of after is 4.0 points higher than that of before"
    )


def test_runs_named_alike_are_told_apart() -> None:
    comparison = example()
    assert run_names(replace(comparison, b=comparison.a)) == ("before (A)", "before (B)")


def test_numbers_are_written_for_reading() -> None:
    assert plain(amount(0.6372, Unit.SHARE)) == "63.7 %"
    assert plain(amount(3.414, Unit.SECONDS)) == "3.41 s"
    assert plain(amount(1203, Unit.COUNT)) == "1,203.0"
    assert plain(signed(-0.04, Unit.SHARE)) == "-4.0 points"
    assert plain(signed(-0.00001, Unit.SHARE)) == "0.0 points"
    assert interval(-0.015, 0.055, Unit.SHARE) == "\u22121.5 to 5.5"
    assert [plain(chance(p)) for p in (0.00001, 0.004, 0.049, 0.05, 0.266, 1)] == [
        "< 0.001",
        "0.004",
        "0.049",
        "0.05",
        "0.27",
        "1.00",
    ]


def test_a_question_without_a_category_has_that_of_its_kind() -> None:
    assert category_of(Question("1", "?", category="who")) == "who"
    assert category_of(Question("1", "?")) == "answerable"
    assert category_of(Question("1", "?", answerable=False)) == "unanswerable"
    assert category_of(Question("1", "?", relevant=("a",))) == "(none)"


def test_the_comment_has_a_table_and_the_changed_questions() -> None:
    comment = plain(to_markdown(example()))
    table = [line for line in comment.splitlines() if line.startswith("|")]
    assert table == [
        "| metric | before | after | difference | 95 % interval | | p | n |",
        "|---|--:|--:|--:|:-:|---|--:|--:|",
        "| answers: right | 50.0 % | 54.0 % | +4.0 points | 0.5 to 7.5 | ▲ better | 0.03 | 100 |",
        (
            "| cost: seconds, mean | 4.00 s | 3.48 s | -0.52 s | -0.80 to -0.24 | ▲ better "
            "| &lt; 0.001 | 100 |"
        ),
    ]
    assert comment.startswith("### after compared with before\n")
    assert "**▼ Losses: 1**" in comment
    assert "- **When? &lt;script&gt;alert(1)&lt;/script&gt;** (1901)" in comment
    assert "  - B: error: TimeoutError: &lt;i&gt;" in comment
    assert "  - A: refused: not\\_stated" in comment


def test_the_comment_keeps_texts_on_their_line_and_mentions_nobody() -> None:
    text = "# a | `b`\n\n- @everyone *see* [x](https://example.com) #1 \\"
    question = Question("q", text, answers=("1",))
    record = Record(question, answered=True, answer=text)
    change = Change(question, record, record, 1, 0, Verdict.LOSS)
    comment = to_markdown(example(changes=(change,)))
    line = next(line for line in comment.splitlines() if line.startswith("- **"))
    assert line == (
        "- **\\# a \\| \\`b\\` - @\u200beveryone \\*see\\* \\[x\\](https:\u200b//example.com) "
        "#\u200b1 \\\\** (1)"
    )


def test_the_comment_stays_short() -> None:
    change = example().changes[1]
    long = replace(change, question=replace(change.question, text="why " * 500))
    comment = to_markdown(example(changes=(long,) * 30))
    assert comment.count("- **") == 20
    assert "- … and 10 more" in comment
    assert len(comment) < 8000


def plain(text: str) -> str:
    """Give a text with ordinary spaces and minus signs."""
    return text.replace("\u00a0", " ").replace("\u2212", "-")
