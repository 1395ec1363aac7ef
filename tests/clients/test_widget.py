"""Our own widget in a real browser, on pages of another origin than the server's."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from qa.testing import ScriptedChatModel, always

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
QUESTION = "how much will Alibaba invest?"
ANSWER = "€50 billion ($53.5 billion)"
PAGE_MILLISECONDS = 10_000
WAIT_SECONDS = 20.0
HOSTILE = '<img src=x onerror="parent.broken=window.broken=1"><script>window.broken=1</script>'

IN_SIGHT = """box => {
  const log = box.closest('.log').getBoundingClientRect(), own = box.getBoundingClientRect();
  return own.top >= log.top && own.bottom <= log.bottom && box.getRootNode().activeElement === box;
}"""

Embed = Callable[..., Any]


class SilentModel(ScriptedChatModel):
    """A model that says nothing until it is let go on."""

    entered: Any
    go_on: Any

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        self.entered.set()
        await asyncio.to_thread(self.go_on.wait, WAIT_SECONDS)
        async for chunk in super()._astream(messages, stop, **kwargs):
            yield chunk


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    yield made
    made.close()


def create(address: str, **values: Any) -> str:
    """Create a widget on a server; give its id."""
    made = httpx.post(f"{address}/v1/widgets", json=values, timeout=WAIT_SECONDS)
    made.raise_for_status()
    return str(made.json()["id"])


@pytest.fixture
def embed(site: Any, context: BrowserContext) -> Embed:
    """Give what opens a page of the site with a server's widget in it."""

    def opened(
        address: str,
        *,
        widget: str | None = None,
        policy: str | None = None,
        body: str = "",
        **attributes: str,
    ) -> Page:
        named = widget or create(address, origins=[site.origin], per_minute=100)
        given = "".join(f' data-{k}="{escape(v)}"' for k, v in attributes.items())
        script = f'<script async src="{address}/widget.js" data-widget="{named}"{given}></script>'
        page = context.new_page()
        page.set_default_timeout(PAGE_MILLISECONDS)
        page.goto(
            site.add(
                '<!doctype html><html lang="en"><meta name="viewport" '
                f'content="width=device-width"><title>A shop</title>{script}'
                f"<main><h1>A shop</h1>{body}</main></html>",
                policy.format(server=address) if policy else None,
            )
        )
        return page

    return opened


def ask(page: Page, question: str = QUESTION) -> None:
    """Open the chat and ask."""
    launcher = page.locator("footnote-chat .launcher")
    if launcher.get_attribute("aria-expanded") == "false":
        launcher.click()
    page.get_by_role("textbox").fill(question)
    page.get_by_role("textbox").press("Enter")


def last_answer(page: Page) -> Any:
    return page.locator("footnote-chat .answer").last


def test_a_page_of_another_origin_asks_and_the_document_opens_at_the_quote(
    answering: str, embed: Embed
) -> None:
    page = embed(answering)
    ask(page)
    mark = page.get_by_role("button", name="Source 1: alibaba-ai-investment")
    mark.wait_for()
    assert last_answer(page).inner_text().startswith(f"{ANSWER}1")

    quote = page.locator("footnote-chat figure")
    assert not quote.is_visible()
    mark.click()
    assert "plans to invest €50 billion" in quote.inner_text()

    page.get_by_role("link", name="Open in document").click()
    view = page.frame_locator("footnote-chat iframe")
    view.locator("mark").wait_for()
    assert "plans to invest €50 billion" in view.locator("mark").inner_text()
    seen = view.locator("mark").evaluate(
        "m => { const r = m.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight }"
    )
    assert seen
    page.keyboard.press("Escape")
    page.locator("footnote-chat dialog").wait_for(state="detached")
    assert page.locator("footnote-chat .panel").is_visible()


def test_the_document_opens_in_a_tab_of_its_own_too(answering: str, embed: Embed) -> None:
    page = embed(answering)
    ask(page)
    page.locator("footnote-chat .mark").click()
    page.get_by_role("link", name="Open in document").click()
    with page.context.expect_page() as opening:
        page.get_by_role("link", name="Open in a new tab").click()
    tab = opening.value
    tab.locator("mark").wait_for()
    assert tab.evaluate("window.opener") is None


def test_words_appear_while_the_model_still_writes(held: tuple[str, Any], embed: Embed) -> None:
    address, model = held
    page = embed(address)
    ask(page)
    assert model.entered.wait(WAIT_SECONDS)
    last_answer(page).get_by_text("99", exact=True).wait_for()
    assert page.get_by_role("button", name="Stop").is_visible()
    model.go_on.set()
    # Then the check fails, and the words are withdrawn.
    page.get_by_text("The documents do not say.").wait_for()
    assert "99 billion" not in last_answer(page).locator("p").first.inner_text()
    assert page.get_by_role("button", name="Send").is_visible()


def test_a_refusal_says_so_with_a_reason_and_the_nearest_passages(
    answering: str, embed: Embed
) -> None:
    page = embed(answering)
    ask(page, "How much will Tencent invest?")
    page.get_by_text("The documents do not say.").wait_for()
    text = last_answer(page).inner_text()
    assert "Tencent" in text
    assert "Nearest passages" in text
    assert page.locator("footnote-chat figure").count() >= 1
    assert page.locator("footnote-chat .mark").count() == 0


def test_a_server_that_is_down_is_said_to_be(answering: str, embed: Embed) -> None:
    page = embed(answering, server="http://127.0.0.1:9/")
    ask(page)
    page.get_by_text("The server cannot be reached.").wait_for()
    assert page.get_by_role("button", name="Try again").is_visible()


def test_a_server_that_goes_away_can_be_asked_again(answering: str, embed: Embed) -> None:
    page = embed(answering)
    page.route(f"{answering}/**", lambda route: route.abort())
    ask(page)
    page.get_by_text("The server cannot be reached.").wait_for()
    page.unroute(f"{answering}/**")
    page.get_by_role("button", name="Try again").click()
    page.locator("footnote-chat .mark").wait_for()
    assert page.locator("footnote-chat .you").count() == 1


def test_a_slow_server_is_waited_for_and_can_be_stopped(
    serve: Callable[..., str], embed: Embed
) -> None:
    model = SilentModel(script=always(ANSWER), entered=threading.Event(), go_on=threading.Event())
    page = embed(serve(model))
    page.clock.install()
    try:
        ask(page)
        page.get_by_text("Looking it up").wait_for()
        assert model.entered.wait(WAIT_SECONDS)
        page.clock.fast_forward(7_000)
        page.get_by_text("Still reading, a moment").wait_for()
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("Stopped.").wait_for()
    finally:
        model.go_on.set()
    ask(page)
    page.locator("footnote-chat .mark").wait_for()


def test_too_many_questions_are_said_to_be_with_the_seconds(
    answering: str, site: Any, embed: Embed
) -> None:
    page = embed(answering, widget=create(answering, origins=[site.origin], per_minute=1))
    ask(page)
    page.locator("footnote-chat .mark").wait_for()
    ask(page, "who is Jack Ma?")
    said = page.get_by_role("alert").inner_text()
    assert re.search(r"Try again in [1-9]\d? seconds", said)


def test_a_failing_model_is_said_to_have_failed(failing: str, embed: Embed) -> None:
    page = embed(failing)
    ask(page)
    page.get_by_role("alert").wait_for()
    assert "No answer could be given." in page.get_by_role("alert").inner_text()


def test_an_origin_that_is_not_allowed_is_refused(answering: str, embed: Embed) -> None:
    page = embed(answering, widget=create(answering, origins=["https://another.example"]))
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    ask(page)
    page.get_by_text("This page may not use this assistant.").wait_for()
    assert page.get_by_role("button", name="Try again").count() == 0
    assert any("footnote widgets create --origin" in line for line in said)


def test_a_revoked_widget_is_not_shown_and_the_pages_keeper_is_told(
    answering: str, site: Any, embed: Embed
) -> None:
    widget = create(answering, origins=[site.origin])
    httpx.delete(f"{answering}/v1/widgets/{widget}").raise_for_status()
    page = embed(answering, widget=widget)
    with page.expect_console_message(lambda said: f"has no widget {widget}" in said.text):
        page.reload()
    page.locator("footnote-chat .launcher").wait_for(state="hidden")


def test_it_works_under_the_strictest_policy(answering: str, embed: Embed) -> None:
    page = embed(
        answering,
        policy="default-src 'none'; script-src {server}; connect-src {server}; "
        "frame-src {server}; require-trusted-types-for 'script'; trusted-types 'none'",
    )
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    ask(page)
    page.locator("footnote-chat .mark").click()
    page.get_by_role("link", name="Open in document").click()
    page.frame_locator("footnote-chat iframe").locator("mark").wait_for()
    # The sheet holds: the panel floats at the corner.
    position = page.locator("footnote-chat .panel").evaluate("p => getComputedStyle(p).position")
    assert position == "fixed"
    assert [line for line in said if "favicon" not in line] == []


def test_a_page_that_is_not_allowed_cannot_frame_a_document(
    answering: str, site: Any, context: BrowserContext
) -> None:
    found = httpx.get(f"{answering}/v1/documents?collection=default", timeout=WAIT_SECONDS)
    document = found.json()["documents"][0]["id"]
    page = context.new_page()

    def put_up(origin: str) -> str:
        widget = create(answering, origins=[origin])
        address = f"{answering}/documents/{document}/view?widget={widget}"
        return site.add(f'<!doctype html><iframe src="{address}"></iframe>')

    with page.expect_event("requestfailed") as failing:
        page.goto(put_up("https://another.example"))
    assert failing.value.failure == "net::ERR_BLOCKED_BY_RESPONSE"
    page.goto(put_up(site.origin))
    page.frame_locator("iframe").locator("pre#text").wait_for()


def test_what_documents_questions_and_answers_hold_is_never_run(
    serve: Callable[..., str], site: Any, embed: Embed
) -> None:
    address = serve(ScriptedChatModel(script=always(HOSTILE)))
    text = f"The password of the lamp is {HOSTILE} and [this](javascript:window.broken=1)."
    hostile = {"text": text, "title": HOSTILE, "collection": "hostile"}
    httpx.post(f"{address}/v1/documents", json=hostile, timeout=WAIT_SECONDS).raise_for_status()
    looks = {"title": HOSTILE[:60], "greeting": HOSTILE, "starters": [HOSTILE]}
    widget = create(address, origins=[site.origin], collection="hostile", looks=looks)
    page = embed(address, widget=widget)
    ask(page, f"What is the password of the lamp? {HOSTILE}")
    page.locator("footnote-chat figure, footnote-chat .mark").first.wait_for()
    if page.locator("footnote-chat .mark").count():
        page.locator("footnote-chat .mark").first.click()
    page.get_by_role("link", name="Open in document").first.click()
    page.frame_locator("footnote-chat iframe").locator("pre").wait_for()
    page.keyboard.press("Escape")
    page.reload()
    page.locator("footnote-chat .launcher").click()
    assert page.locator("footnote-chat .you").count() == 1
    assert page.evaluate("window.broken") is None
    assert page.locator("footnote-chat img, footnote-chat script").count() == 0
    assert page.locator("footnote-chat a[href^='javascript']").count() == 0


def test_an_answers_markup_is_a_short_list_and_leads_nowhere(embed: Embed, answering: str) -> None:
    page = embed(answering)
    marked = (
        "**Bold** and *soft* and `code` [a](https://a.example/) [b](javascript:alert(1)) "
        "![c](https://c.example/c.png)\n\n- one\n- two\n\n1. first\n\n```\n<b>x</b>\n```"
    )
    answer = {
        "answered": True,
        "answer": marked,
        "reason": None,
        "citations": [],
        "passages": [],
    }
    page.locator("footnote-chat").evaluate(
        """(chat, answer) => {
          const script = document.querySelector('script[data-widget]');
          const server = new URL('.', script.src).href;
          const key = `footnote:${server}:${script.dataset.widget}:`;
          sessionStorage.setItem(key, JSON.stringify([{ question: 'q', answer }]));
        }""",
        answer,
    )
    page.locator("footnote-chat .launcher").click()
    shown = last_answer(page)
    for tag, count in {
        "strong": 1,
        "em": 1,
        "code": 1,
        "li": 3,
        "ul": 1,
        "ol": 1,
        "pre": 1,
    }.items():
        assert shown.locator(tag).count() == count, tag
    assert shown.locator("img, b").count() == 0
    assert shown.locator("a").count() == 0
    assert "a (https://a.example/) [b](javascript:alert(1)) c" in shown.inner_text()


def test_the_conversation_stays_in_its_tab_until_it_is_cleared(
    answering: str, embed: Embed
) -> None:
    page = embed(answering)
    ask(page)
    page.locator("footnote-chat .mark").wait_for()
    page.reload()
    page.locator("footnote-chat .launcher").click()
    page.locator("footnote-chat .mark").wait_for()
    page.get_by_role("button", name="New conversation").click()
    assert page.locator("footnote-chat .you").count() == 0
    page.reload()
    page.locator("footnote-chat .launcher").click()
    assert page.locator("footnote-chat .you").count() == 0


def test_an_answer_is_copied_with_its_footnotes(
    answering: str, embed: Embed, context: BrowserContext
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = embed(answering)
    ask(page)
    page.get_by_role("button", name="Copy with sources").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{ANSWER} [1]\n\n[1] “Alibaba Group")
    assert re.search(r"http://127\.0\.0\.1:\d+/documents/\w+/view#\d+-\d+", copied)


def feedback_of(address: str) -> list[dict[str, Any]]:
    """Give what was judged on a server, newest first."""
    found = httpx.get(f"{address}/v1/feedback", timeout=WAIT_SECONDS).json()["feedback"]
    return list(found)


def test_an_answer_is_judged_with_a_word_on_why(answering: str, embed: Embed) -> None:
    page = embed(answering)
    ask(page)
    page.get_by_role("button", name="Not helpful").click()
    page.get_by_text("Thank you.").wait_for()
    comment = page.get_by_role("textbox", name="What was good, wrong or missing?")
    # Where a person looks and types next.
    comment.wait_for()
    assert comment.evaluate(IN_SIGHT)
    page.keyboard.type("It is in dollars.")
    page.keyboard.press("Enter")
    comment.wait_for(state="detached")

    kept = feedback_of(answering)[0]
    assert (kept["rating"], kept["comment"]) == ("down", "It is in dollars.")
    assert (kept["question"], kept["answer"]) == (QUESTION, ANSWER)
    assert kept["widget"].startswith("w_")
    # What was pressed stays so while the tab does, and can be thought over.
    page.reload()
    page.locator("footnote-chat .launcher").click()
    assert page.get_by_role("button", name="Not helpful", pressed=True).count() == 1
    page.get_by_role("button", name="Helpful", exact=True).click()
    page.get_by_role("button", name="Helpful", exact=True, pressed=True).wait_for()
    assert feedback_of(answering)[0]["rating"] == "up"


def test_a_comment_stays_when_the_judgement_is_thought_over(answering: str, embed: Embed) -> None:
    page = embed(answering)
    ask(page)
    page.get_by_role("button", name="Not helpful").click()
    comment = page.get_by_role("textbox", name="What was good, wrong or missing?")
    comment.fill("It is in dollars.")
    comment.press("Enter")
    comment.wait_for(state="detached")
    page.reload()
    page.locator("footnote-chat .launcher").click()
    page.get_by_role("button", name="Helpful", exact=True).click()
    page.get_by_role("button", name="Helpful", exact=True, pressed=True).wait_for()
    kept = feedback_of(answering)[0]
    assert (kept["rating"], kept["comment"]) == ("up", "It is in dollars.")


def test_the_comment_of_a_refusal_is_in_sight(answering: str, embed: Embed) -> None:
    page = embed(answering)
    ask(page, "How much will Tencent invest?")
    page.get_by_role("button", name="Not helpful").click()
    comment = page.get_by_role("textbox", name="What was good, wrong or missing?")
    comment.wait_for()
    assert comment.evaluate(IN_SIGHT)


def test_a_refusal_can_be_judged_too(answering: str, embed: Embed) -> None:
    page = embed(answering)
    ask(page, "How much will Tencent invest?")
    page.get_by_role("button", name="Helpful", exact=True).click()
    page.get_by_text("Thank you.").wait_for()
    kept = feedback_of(answering)[0]
    assert (kept["rating"], kept["answered"]) == ("up", False)


def test_a_judgement_that_does_not_arrive_is_said_not_to(answering: str, embed: Embed) -> None:
    page = embed(answering)
    ask(page)
    page.locator("footnote-chat .mark").wait_for()
    page.route(f"{answering}/v1/feedback**", lambda route: route.abort())
    page.get_by_role("button", name="Helpful", exact=True).click()
    page.get_by_text("The server cannot be reached.").wait_for()
    assert page.get_by_role("button", name="Helpful", exact=True, pressed=True).count() == 0


def test_a_page_can_listen_to_what_is_asked_and_answered(answering: str, embed: Embed) -> None:
    page = embed(answering, explain="")
    page.evaluate(
        """() => { window.heard = [];
          for (const name of ['start', 'answer', 'explain'])
            addEventListener(`footnote-${name}`, (e) => heard.push([name, e.detail])); }"""
    )
    ask(page)
    page.get_by_role("button", name="Why this answer").click()
    heard = page.evaluate("heard")
    assert [name for name, _ in heard] == ["start", "answer", "explain"]
    assert heard[0][1] == {"question": QUESTION, "lookedUp": QUESTION}
    assert heard[1][1]["answer"]["answer"] == ANSWER
    assert heard[2][1] == heard[1][1]


def test_the_keyboard_is_enough(answering: str, embed: Embed) -> None:
    page = embed(answering)
    page.locator("footnote-chat .launcher").focus()
    page.keyboard.press("Enter")
    page.locator("footnote-chat textarea:focus").wait_for()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.locator("footnote-chat .mark").wait_for()
    page.locator("footnote-chat .mark").focus()
    page.keyboard.press("Enter")
    assert page.locator("footnote-chat figure").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("footnote-chat .panel").is_visible()
    focused = page.evaluate(
        "document.querySelector('footnote-chat').shadowRoot.activeElement.className"
    )
    assert focused == "launcher"


def test_looks_that_come_late_leave_what_is_being_typed(
    answering: str, embed: Embed, site: Any, context: BrowserContext
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    context.route("**/v1/widgets/*", hold)
    widget = create(answering, origins=[site.origin], looks={"title": "Ask the shop"})
    with context.expect_event("request", lambda request: "/v1/widgets/" in request.url):
        page = embed(answering, widget=widget)
    page.locator("footnote-chat .launcher").click()
    page.keyboard.type(QUESTION)
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    held[0].continue_()
    page.get_by_role("dialog", name="Ask the shop").wait_for()
    page.keyboard.type("-")
    typed = page.get_by_role("textbox")
    assert typed.input_value() == QUESTION[:-4] + "-" + QUESTION[-4:]
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    page.locator("footnote-chat .mark").wait_for()


def test_it_can_stand_in_the_page_itself(answering: str, embed: Embed) -> None:
    page = embed(answering, body="<footnote-chat></footnote-chat>", title="Ask the shop")
    page.get_by_role("region", name="Ask the shop").wait_for()
    assert page.locator("footnote-chat").count() == 1
    assert page.locator("footnote-chat .launcher").count() == 0


@pytest.mark.parametrize(
    ("language", "direction", "placeholder"),
    [
        ("de", "ltr", "Frage stellen"),
        ("pt-BR", "ltr", "Faça uma pergunta"),
        ("ar", "rtl", "اطرح سؤالاً"),
        ("xx", "ltr", "Ask a question"),
    ],
)
def test_its_words_are_in_the_languages_it_knows(
    answering: str, embed: Embed, language: str, direction: str, placeholder: str
) -> None:
    page = embed(answering, language=language)
    page.locator("footnote-chat .launcher").click()
    assert page.get_by_role("textbox").get_attribute("placeholder") == placeholder
    assert (
        page.locator("footnote-chat > *, footnote-chat .panel").first.evaluate(
            "p => getComputedStyle(p).direction"
        )
        == direction
    )


def test_looks_come_from_the_widget_and_the_page_has_the_last_word(
    answering: str, site: Any, embed: Embed
) -> None:
    looks = {"title": "From the server", "greeting": "Hello!", "starters": [QUESTION]}
    widget = create(answering, origins=[site.origin], looks={**looks, "accent": "#b00020"})
    page = embed(answering, widget=widget, title="From the page", position="left")
    page.locator("footnote-chat .launcher").click()
    page.get_by_text("Hello!").wait_for()
    assert page.get_by_role("dialog", name="From the page").is_visible()
    box = page.locator("footnote-chat .launcher").bounding_box()
    assert box is not None
    assert box["x"] < 100
    color = page.locator("footnote-chat .launcher").evaluate(
        "b => getComputedStyle(b).backgroundColor"
    )
    assert color == "rgb(176, 0, 32)"
    page.get_by_role("button", name=QUESTION).click()
    page.locator("footnote-chat .mark").wait_for()


@pytest.mark.parametrize("width", [320, 375])
def test_a_small_screen_is_filled_and_never_scrolls_sideways(
    answering: str, embed: Embed, width: int
) -> None:
    page = embed(answering)
    page.set_viewport_size({"width": width, "height": 640})
    ask(page)
    page.locator("footnote-chat .mark").click()
    page.locator("footnote-chat figure").wait_for()
    box = page.locator("footnote-chat .panel").bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, width)
    sideways = page.locator("footnote-chat .log").evaluate("l => l.scrollWidth - l.clientWidth")
    assert sideways == 0
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    answering: str, embed: Embed, check: Callable[[Page], list[str]], scheme: Any
) -> None:
    page = embed(answering, starters="How much?|Who?", greeting="Hello!")
    page.emulate_media(color_scheme=scheme)
    found = [check(page)]
    page.locator("footnote-chat .launcher").click()
    found.append(check(page))
    ask(page)
    page.locator("footnote-chat .mark").click()
    found.append(check(page))
    page.get_by_role("button", name="Helpful", exact=True).click()
    page.get_by_text("Thank you.").wait_for()
    found.append(check(page))
    page.get_by_role("button", name="New conversation").click()
    ask(page, "How much will Tencent invest?")
    page.get_by_text("The documents do not say.").wait_for()
    found.append(check(page))
    page.get_by_role("link", name="Open in document").first.click()
    page.frame_locator("footnote-chat iframe").locator("mark").wait_for()
    found.append(check(page))
    assert found == [[]] * 6


@pytest.mark.parametrize(("name", "most"), [("widget.js", 40_000), ("console.js", 40_000)])
def test_the_built_files_are_current_and_small(tmp_path: Path, name: str, most: int) -> None:
    built = ROOT / "api" / "static" / name
    npm = shutil.which("npm")
    if npm is None or not (WEB / "node_modules" / "esbuild").is_dir():
        pytest.skip("the build's tools are absent: npm ci --prefix web")
    done = subprocess.run(
        [npm, "run", "build", "--prefix", str(WEB), "--", f"--outdir={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / name).read_bytes() == built.read_bytes()
    assert len(built.read_bytes()) < most
