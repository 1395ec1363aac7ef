"""Flowise's embedded chat asks the server in a headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

SCRIPT = Path(__file__).parent / "node_modules" / "flowise-embed" / "dist" / "web.js"
QUESTION = "how much will Alibaba invest?"
ANSWER = "€50 billion ($53.5 billion)"
STRANGER = "how much will Microsoft invest?"
HTML = """<!doctype html><meta charset=utf-8><title>chat</title>
<body style="height: 600px"><flowise-fullchatbot></flowise-fullchatbot>
<script type=module>
import Chatbot from "./client.js";
const chatflowid = new URLSearchParams(location.search).get("id") ?? "default";
Chatbot.initFull({ chatflowid, apiHost: location.origin });
</script>"""


@pytest.fixture
def ask(open_page: Any) -> Any:
    """Give what asks a question in a new page and gives the page."""

    def asked(address: str, question: str = QUESTION, *, whole: bool = False) -> Any:
        page = open_page(address, SCRIPT, HTML)
        if whole:
            path = "**/api/v1/chatflows-streaming/*"
            page.route(path, lambda route: route.fulfill(json={"isStreaming": False}))
            page.reload()
        page.wait_for_load_state("networkidle")
        box = page.locator("textarea")
        box.fill(question)
        box.press("Enter")
        return page

    return asked


def last(page: Any, text: str) -> str:
    """Give the last bubble's text, once it has some text in it."""
    page.locator(".chatbot-host-bubble", has_text=text).last.wait_for()
    return str(page.locator(".chatbot-host-bubble").last.inner_text())


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
def test_the_answer_is_shown_and_a_source_opens_at_its_quote(
    ask: Any, answering: str, *, whole: bool
) -> None:
    page = ask(answering, whole=whole)
    assert ANSWER in last(page, "50 billion")

    source = page.get_by_text("alibaba-ai-investment")
    source.first.wait_for()
    with page.expect_popup() as opened:
        source.first.click()
    view = opened.value
    view.locator("mark").wait_for()

    assert view.url.startswith(f"{answering}/documents/")
    assert "€50 billion" in view.locator("mark").inner_text()


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
def test_a_refusal_is_shown_without_sources(ask: Any, answering: str, *, whole: bool) -> None:
    page = ask(answering, STRANGER, whole=whole)

    assert "Microsoft" in last(page, "Microsoft")
    assert page.get_by_text("alibaba-ai-investment").count() == 0


def test_no_word_that_turns_out_unsupported_is_ever_shown(ask: Any, doubting: str) -> None:
    told = httpx.post(f"{doubting}/v1/ask", json={"question": QUESTION}).json()
    page = ask(doubting)

    assert told["answered"] is False
    assert last(page, told["reason"]["message"][:20]).strip() == told["reason"]["message"]


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
def test_a_failing_model_is_shown(ask: Any, failing: str, *, whole: bool) -> None:
    page = ask(failing, whole=whole)

    assert "broke off" in last(page, "broke off")
    assert "Half of an" not in "".join(page.locator(".chatbot-host-bubble").all_inner_texts())


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
def test_a_busy_server_is_shown(ask: Any, busy: str, *, whole: bool) -> None:
    assert "wait" in last(ask(busy, whole=whole), "wait")


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
def test_a_question_that_is_too_long_is_shown_why(ask: Any, answering: str, *, whole: bool) -> None:
    """Its client shows no error of a stream that is not an event of the stream."""
    page = ask(answering, "why " * 600, whole=whole)

    assert "2,000" in last(page, "2,000")


FOREIGN = """<!doctype html><meta charset=utf-8><title>chat</title>
<body style="height: 600px"><flowise-fullchatbot></flowise-fullchatbot>
<script type=module>
import Chatbot from "client.js";
Chatbot.initFull({{ chatflowid: "{id}", apiHost: "{server}" }});
</script>"""


def test_a_page_of_another_origin_asks_by_its_widget(
    open_page: Any, answering: str, widget: str, site: Any
) -> None:
    html = FOREIGN.format(id=f"default?widget={widget}", server=answering)
    page = open_page(answering, SCRIPT, html, site)
    page.wait_for_load_state("networkidle")
    page.locator("textarea").fill(QUESTION)
    page.locator("textarea").press("Enter")
    assert ANSWER in last(page, "50 billion")


@pytest.mark.parametrize("case", [("stranger", "default"), ("site", "lamps")])
def test_a_page_gets_no_answer_by_a_widget_of_others(
    open_page: Any, answering: str, widget: str, case: tuple[str, str], request: Any
) -> None:
    place, collection = case
    html = FOREIGN.format(id=f"{collection}?widget={widget}", server=answering)
    page = open_page(answering, SCRIPT, html, request.getfixturevalue(place))
    page.wait_for_load_state("networkidle")
    page.locator("textarea").fill(QUESTION)
    with page.expect_event("console", lambda message: message.type == "error"):
        page.locator("textarea").press("Enter")
    page.wait_for_load_state("networkidle")
    assert "50 billion" not in page.locator(".chatbot-host-bubble").last.inner_text()
