"""The pages that we serve, in a real browser and under their own policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGE_MILLISECONDS = 10_000


def test_the_apis_page_works_under_its_policy(answering: str, browser: Browser) -> None:
    page = browser.new_page()
    page.set_default_timeout(PAGE_MILLISECONDS)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{answering}/docs")
    page.get_by_text("/v1/ask", exact=True).wait_for()
    page.get_by_text("/v1/ask", exact=True).click()
    page.get_by_role("button", name="Try it out").wait_for()
    page.close()
    assert said == []
