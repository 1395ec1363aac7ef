"""The deep-chat web component asks the server in a headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.formats.deep_chat import WITHDRAWN

SCRIPT = Path(__file__).parent / "node_modules" / "deep-chat" / "dist" / "deepChat.bundle.js"
QUESTION = "how much will Alibaba invest?"
ANSWER = "€50 billion ($53.5 billion)"
STRANGER = "how much will Microsoft invest?"
HTML = "<!doctype html><meta charset=utf-8><script type=module src=client.js></script>"
OPEN = """(settings) => {
    const chat = document.createElement("deep-chat");
    chat.id = "chat";
    chat.connect = settings;
    chat.errorMessages = { displayServiceErrorMessages: true };
    chat.onMessage = ({ message }) => window.said.push(message);
    chat.onComponentRender = () => { window.rendered = true; };
    window.said = [];
    document.body.append(chat);
}"""
SUBMIT = "text => { document.getElementById('chat').submitUserMessage({ text }) }"
STREAM = {"url": "/v1/deep-chat", "stream": True}
WHOLE = {"url": "/v1/deep-chat"}


@pytest.fixture
def ask(open_page: Any) -> Any:
    """Give what asks a question in a new page and gives the page."""

    def asked(
        address: str,
        settings: dict[str, Any],
        question: str = QUESTION,
        site: Any = None,
    ) -> Any:
        page = open_page(address, SCRIPT, HTML, site)
        page.wait_for_function("Boolean(customElements.get('deep-chat'))")
        page.evaluate(OPEN, settings)
        page.wait_for_function("window.rendered")
        page.evaluate(SUBMIT, question)
        return page

    return asked


def wait_for_reply(page: Any) -> Any:
    """Give the component's last message, once it is a whole one that is not the user's."""
    page.wait_for_function("window.said.some((message) => message.role === 'ai')")
    return page.evaluate("document.getElementById('chat').getMessages().at(-1)")


def shown(page: Any, kind: str = "ai-message-text") -> str:
    return str(page.locator(f".{kind}").last.inner_text())


@pytest.mark.parametrize("settings", [STREAM, WHOLE], ids=["stream", "whole"])
def test_the_answer_is_shown_with_its_citations_beside_it(
    ask: Any, answering: str, settings: dict[str, Any]
) -> None:
    page = ask(answering, settings)
    reply = wait_for_reply(page)
    custom = reply["custom"]

    assert shown(page) == reply["text"] == ANSWER
    assert custom["answered"] is True
    assert custom["citations"]
    for citation in custom["citations"]:
        assert "€50 billion" in citation["quote"]
        assert citation["url"].startswith(f"{answering}/documents/")
    assert page.locator(".error-message-text").count() == 0


@pytest.mark.parametrize("settings", [STREAM, WHOLE], ids=["stream", "whole"])
def test_a_refusal_is_shown_with_its_reason_beside_it(
    ask: Any, answering: str, settings: dict[str, Any]
) -> None:
    page = ask(answering, settings, STRANGER)
    reply = wait_for_reply(page)

    assert "Microsoft" in shown(page)
    assert reply["custom"]["reason"]["code"] == "name_not_in_evidence"
    assert reply["custom"]["passages"]


def test_words_are_shown_as_they_come_and_taken_back_where_they_prove_wrong(
    ask: Any, held: Any
) -> None:
    address, model = held
    page = ask(address, STREAM)
    page.locator(".ai-message-text", has_text="99").wait_for()

    model.go_on.set()
    reply = wait_for_reply(page)

    assert "99" not in reply["text"]
    assert shown(page) == reply["text"]
    assert reply["custom"]["reason"]["code"].startswith("unsupported")


def test_an_error_in_mid_stream_takes_back_what_was_shown(ask: Any, failing: str) -> None:
    page = ask(failing, STREAM)
    page.locator(".error-message-text").wait_for()

    assert "broke off" in shown(page, "error-message-text")
    texts = page.locator(".ai-message-text").all_inner_texts()
    assert texts[0] == WITHDRAWN
    assert "Half of an" not in "".join(texts)


def test_an_error_without_a_stream_is_shown(ask: Any, failing: str) -> None:
    page = ask(failing, WHOLE)
    page.locator(".error-message-text").wait_for()

    assert "broke off" in shown(page, "error-message-text")
    assert page.locator(".ai-message-text").all_inner_texts() == [shown(page)]


@pytest.mark.parametrize("settings", [STREAM, WHOLE], ids=["stream", "whole"])
def test_a_busy_server_is_shown(ask: Any, busy: str, settings: dict[str, Any]) -> None:
    page = ask(busy, settings)
    page.locator(".error-message-text").wait_for()

    assert "wait" in shown(page, "error-message-text")


@pytest.mark.parametrize("settings", [STREAM, WHOLE], ids=["stream", "whole"])
def test_an_unknown_collection_is_shown(ask: Any, answering: str, settings: dict[str, Any]) -> None:
    page = ask(answering, settings | {"url": "/v1/deep-chat?collection=nowhere"})
    page.locator(".error-message-text").wait_for()

    assert "nowhere" in shown(page, "error-message-text")


def test_a_collection_is_chosen_by_the_body(ask: Any, answering: str) -> None:
    page = ask(answering, STREAM | {"additionalBodyProps": {"collection": "lamps"}}, STRANGER)

    assert {p["title"] for p in wait_for_reply(page)["custom"]["passages"]} == {"Lamps"}


def test_the_component_can_be_asked_again(ask: Any, answering: str) -> None:
    page = ask(answering, STREAM)
    wait_for_reply(page)
    page.evaluate("window.said = []")
    page.evaluate(SUBMIT, STRANGER)
    wait_for_reply(page)

    assert page.locator(".ai-message-text").count() == 2


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_page_of_another_origin_asks_by_its_widget(
    ask: Any, answering: str, widget: str, site: Any, *, stream: bool
) -> None:
    settings = {"url": f"{answering}/v1/deep-chat?widget={widget}", "stream": stream}
    page = ask(answering, settings, site=site)
    assert wait_for_reply(page)["text"] == ANSWER


@pytest.mark.parametrize("case", [("stranger", ""), ("site", "&collection=lamps")])
def test_a_page_gets_no_answer_by_a_widget_of_others(
    ask: Any, answering: str, widget: str, case: tuple[str, str], request: Any
) -> None:
    place, more = case
    settings = {"url": f"{answering}/v1/deep-chat?widget={widget}{more}"}
    page = ask(answering, settings, site=request.getfixturevalue(place))
    page.locator(".error-message-text").wait_for()
    assert not page.evaluate("window.said.some((message) => message.role === 'ai')")
