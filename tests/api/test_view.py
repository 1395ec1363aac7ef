from __future__ import annotations

from html.parser import HTMLParser
from typing import cast

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from api.routes.view import view
from index.library import Library
from index.types import Document

ATTACKS = [
    "<script>alert(1)</script>",
    "</pre><img src=x onerror=alert(1)>",
    "</title><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "{text} {0} {title.__class__} %s",
    "&lt;b&gt; &amp; &#13; &notit;",
    "<!-- --> <![CDATA[ ]]>",
]


class Page(HTMLParser):
    """What a browser makes of a page: its tags, and the texts of `pre`, `h1` and `title`."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.texts: dict[str, str] = {"pre": "", "h1": "", "title": ""}
        self._inside: list[str] = []
        # The standard's input stream has no carriage returns of its own.
        self.feed(page.replace("\r\n", "\n").replace("\r", "\n"))
        self.close()
        # And a line feed right after <pre> is not part of its text.
        self.texts["pre"] = self.texts["pre"].removeprefix("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        assert not any(name.startswith("on") for name, _ in attrs)
        self.tags.append(tag)
        if tag in self.texts:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Take note of an end."""
        if tag in self.texts:
            self._inside.remove(tag)

    def handle_data(self, data: str) -> None:
        """Take note of a text."""
        for tag in self._inside:
            self.texts[tag] += data


class OneDocument:
    """A library of one document, for the route alone."""

    def __init__(self, text: str, title: str) -> None:
        self._document = Document("d", "default", "s", title, text, "text/plain", "hash")

    def document(self, _document_id: str) -> Document:
        """Give it."""
        return self._document


def page_of(text: str, title: str = "A title") -> Page:
    response = view("d", cast("Library", OneDocument(text, title)))
    return Page(bytes(response.body).decode())


TAGS = page_of("Text.").tags


def test_the_page_holds_the_seed_document_as_it_was_read(seeded: TestClient, seed_id: str) -> None:
    response = seeded.get(f"/documents/{seed_id}/view")
    page = Page(response.content.decode())

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert page.texts["pre"] == seeded.get(f"/v1/documents/{seed_id}/text").content.decode()
    assert page.texts["h1"] == page.texts["title"] == "alibaba-ai-investment"


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_in_text_and_title_stays_text(attack: str) -> None:
    page = page_of(attack, attack)

    assert page.tags == TAGS
    assert page.texts == {"pre": attack, "h1": attack, "title": attack}


def test_markup_in_an_uploaded_document_stays_text(client: TestClient) -> None:
    body = {"text": ATTACKS[1], "title": ATTACKS[2], "source": "attack"}
    url = client.post("/v1/documents", json=body).json()["document"]["url"]
    response = client.get(url)

    assert "<script>alert" not in response.text
    assert "<img" not in response.text
    assert Page(response.content.decode()).tags == TAGS


@pytest.mark.parametrize(
    "text",
    [
        "\nA leading newline.",
        "\n\nTwo.",
        "\r\nOne of two characters.",
        "\rOne of the other.",
        "a\r\nb\rc\nd\r",
        "\ufeffA mark.\x0c\x85\u2028",
        "😀 then €",
    ],
)
def test_the_page_keeps_every_character_of_the_text(text: str) -> None:
    assert page_of(text).texts["pre"] == text


@hypothesis_settings(deadline=None)
@given(
    st.text(
        st.one_of(
            st.sampled_from("\r\n&<>\"';#13{}"),
            st.characters(exclude_characters="\x00", exclude_categories=["Cs"]),
        )
    )
)
def test_the_page_keeps_any_text(text: str) -> None:
    assert page_of(text).texts["pre"] == text


def test_the_page_allows_nothing_from_elsewhere(seeded: TestClient, seed_id: str) -> None:
    response = seeded.get(f"/documents/{seed_id}/view")
    policy = response.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "://" not in response.text


@pytest.mark.parametrize(("name", "kind"), [("view.css", "text/css"), ("view.js", "javascript")])
def test_what_the_page_links_is_served(
    seeded: TestClient, seed_id: str, name: str, kind: str
) -> None:
    assert f"/static/{name}" in seeded.get(f"/documents/{seed_id}/view").text
    response = seeded.get(f"/static/{name}")

    assert response.status_code == 200
    assert kind in response.headers["content-type"]


def test_the_view_of_no_document_is_a_problem(seeded: TestClient) -> None:
    response = seeded.get("/documents/nothing/view")

    assert response.status_code == 404
    assert response.json()["type"] == "urn:footnote:problem:document-not-found"
