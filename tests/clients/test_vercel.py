"""The Vercel AI SDK asks the server: transport, schemas of three versions, and `useChat`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

HERE = Path(__file__).parent
QUESTION = "how much will Alibaba invest?"
ANSWER = "€50 billion ($53.5 billion)"
STRANGER = "how much will Microsoft invest?"
HTML = "<!doctype html><meta charset=utf-8><body><script src=client.js></script>"


def by_type(told: Any, kind: str) -> list[Any]:
    return [part for part in told["message"]["parts"] if part["type"] == kind]


def test_the_answer_is_text_with_sources_and_citations(node: Any, answering: str) -> None:
    told = node("vercel.mjs", answering, QUESTION)
    (text,) = by_type(told, "text")
    sources, citations = by_type(told, "source-url"), by_type(told, "data-citation")

    assert told["errors"] == []
    assert told["headers"]["x-vercel-ai-ui-message-stream"] == "v1"
    assert told["headers"]["content-type"].startswith("text/event-stream")
    assert (text["text"], text["state"]) == (ANSWER, "done")
    assert len(sources) == len(citations) >= 1
    for source, citation in zip(sources, citations, strict=True):
        data = citation["data"]
        assert source["sourceId"] == citation["id"]
        assert source["url"] == data["url"]
        assert source["url"].startswith(f"{answering}/documents/")
        assert source["title"] == data["title"]
        assert "€50 billion" in data["quote"]
        assert "50 billion" in text["text"][data["answer_start"] : data["answer_end"]]
        assert httpx.get(source["url"]).status_code == 200


@pytest.mark.parametrize("question", [QUESTION, STRANGER])
def test_every_part_is_valid_in_all_versions_and_in_order(
    node: Any, answering: str, question: str
) -> None:
    told = node("vercel.mjs", answering, question)
    names = [chunk["type"] for chunk in told["chunks"]]

    assert told["strict"]  # some versions refuse a part with a key that they do not know
    assert told["read"] == {"5": names, "6": names, "7": names}
    assert names[:2] == ["start", "text-start"]
    assert names[-1] == "finish"
    assert names.count("text-delta") > 1
    assert told["raw"].endswith("\n\ndata: [DONE]\n\n")


def test_a_refusal_is_text_with_its_reason_as_data(node: Any, answering: str) -> None:
    told = node("vercel.mjs", answering, STRANGER)
    (text,) = by_type(told, "text")
    (refusal,) = by_type(told, "data-refusal")

    assert text["text"] == refusal["data"]["reason"]["message"]
    assert refusal["data"]["reason"]["code"] == "name_not_in_evidence"
    assert refusal["data"]["passages"][0]["url"].startswith(answering)
    assert by_type(told, "source-url") == []


def test_no_word_that_turns_out_unsupported_is_ever_sent(node: Any, doubting: str) -> None:
    told = node("vercel.mjs", doubting, QUESTION)
    (text,) = by_type(told, "text")

    assert by_type(told, "data-refusal")[0]["data"]["reason"]["message"] == text["text"]
    assert '"delta": "99' not in told["raw"]


def test_an_error_in_mid_stream_reaches_the_page(node: Any, failing: str) -> None:
    told = node("vercel.mjs", failing, QUESTION)

    assert [chunk["type"] for chunk in told["chunks"]] == ["start", "error"]
    assert told["read"]["5"] == ["start", "error"]
    assert "broke off" in told["errors"][0]
    assert told["chat"]["status"] == "error"
    assert "broke off" in told["chat"]["error"]


def test_a_busy_server_reaches_the_page(node: Any, busy: str) -> None:
    told = node("vercel.mjs", busy, QUESTION)

    assert told["chat"]["status"] == "error"
    assert "Retry-After" in told["chat"]["error"]


def test_an_error_before_the_stream_is_thrown_with_its_status(node: Any, answering: str) -> None:
    told = node("vercel.mjs", answering, QUESTION, '{"collection": "nowhere"}')

    assert told["thrown"]["status"] == 404
    assert (
        json.loads(told["thrown"]["message"])["type"] == "urn:footnote:problem:collection-not-found"
    )
    assert told["chat"]["status"] == "error"


@pytest.mark.parametrize(
    ("body", "path"),
    [('{"collection": "lamps"}', "/api/chat"), ("{}", "/api/chat?collection=lamps")],
    ids=["body", "query"],
)
def test_a_collection_is_chosen_by_the_body_or_the_address(
    node: Any, answering: str, body: str, path: str
) -> None:
    told = node("vercel.mjs", answering, STRANGER, body, path)

    (refusal,) = by_type(told, "data-refusal")
    assert {passage["title"] for passage in refusal["data"]["passages"]} == {"Lamps"}


def test_a_chat_is_asked_again_and_has_no_stream_to_resume(node: Any, answering: str) -> None:
    told = node("vercel.mjs", answering, QUESTION)
    expected = [["user", QUESTION], ["assistant", ANSWER]]

    for step in ("chat", "again", "resumed"):
        assert told[step]["status"] == "ready"
        assert told[step]["texts"] == expected


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle the page with `useChat` for a browser."""
    esbuild = HERE / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists():
        pytest.skip("esbuild is absent: npm ci --prefix tests/clients")
    made = tmp_path_factory.mktemp("bundle") / "page.js"
    options = ["--bundle", "--jsx=automatic", "--define:process.env.NODE_ENV='production'"]
    subprocess.run(
        [esbuild, HERE / "use_chat.jsx", *options, "--log-level=error", f"--outfile={made}"],
        check=True,
        timeout=60,
    )
    return made


def test_use_chat_shows_the_answer_with_a_link_to_its_source(
    open_page: Any, bundle: Path, answering: str
) -> None:
    page = open_page(answering, bundle, HTML)
    page.evaluate("question => { window.question = question }", QUESTION)
    page.get_by_role("button").click()
    page.locator("main[data-status=ready] p.assistant").wait_for()

    assert page.locator("p.assistant").inner_text() == ANSWER
    assert "€50 billion" in page.locator("q").first.inner_text()
    page.locator("main a").first.click()
    page.locator("mark").first.wait_for()
    assert "€50 billion" in page.locator("mark").first.inner_text()


def test_use_chat_shows_a_refusal_and_an_error(
    open_page: Any, bundle: Path, answering: str, failing: str
) -> None:
    page = open_page(answering, bundle, HTML)
    page.evaluate("question => { window.question = question }", STRANGER)
    page.get_by_role("button").click()
    page.locator("main[data-status=ready] p.assistant").wait_for()
    assert "Microsoft" in page.locator("p.assistant").inner_text()
    assert page.locator("i").inner_text() == "name_not_in_evidence"

    page = open_page(failing, bundle, HTML)
    page.evaluate("question => { window.question = question }", QUESTION)
    page.get_by_role("button").click()
    assert "broke off" in page.locator("#error").inner_text()
