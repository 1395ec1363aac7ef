from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

import index.errors
import qa.errors
from api.errors import TABLE, TYPE_PREFIX, UNKNOWN, row_of, to_problem
from index.errors import FootnoteError
from index.library import Library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.testclient import TestClient


def descend(root: type[FootnoteError]) -> Iterator[type[FootnoteError]]:
    for child in root.__subclasses__():
        if child.__module__.split(".")[0] in {"index", "qa"}:
            yield child
        yield from descend(child)


TREE = sorted(set(descend(FootnoteError)), key=lambda k: k.__name__)
ids = [k.__name__ for k in TREE]


def test_the_tree_holds_both_packages() -> None:
    modules = {k.__module__ for k in TREE}

    assert {index.errors.__name__, qa.errors.__name__} <= modules
    assert len(TREE) > 15


@pytest.mark.parametrize("kind", TREE, ids=ids)
def test_every_error_has_a_row(kind: type[FootnoteError]) -> None:
    assert row_of(kind("What happened.")) is not UNKNOWN


@pytest.mark.parametrize("kind", TREE, ids=ids)
def test_every_error_becomes_a_whole_problem(kind: type[FootnoteError]) -> None:
    problem = to_problem(kind("What happened.", fix="What to do."), "/somewhere")

    assert re.fullmatch(re.escape(TYPE_PREFIX) + r"[a-z]+(-[a-z]+)*", problem.type)
    assert problem.title
    assert 400 <= problem.status <= 599
    assert problem.detail == "What happened."
    assert problem.fix == "What to do."
    assert problem.instance == "/somewhere"


def test_each_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in TABLE.values()]

    assert len(set(names)) == len(names)


def test_a_class_without_a_row_takes_its_ancestors() -> None:
    class OddError(index.errors.StorageFullError):
        pass

    assert row_of(OddError("Odd.")) == TABLE[index.errors.StorageFullError]


def test_a_class_outside_the_tree_is_an_internal_error() -> None:
    assert row_of(FootnoteError("Odd.")) == UNKNOWN
    assert UNKNOWN.status == 500


def check_problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "fix", "instance"}
    assert problem["status"] == status
    assert all(problem[key] for key in problem)
    return problem


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/nothing", "/static/no.js", "/static/%2e%2e/app.py"]
)
def test_an_unknown_path_is_a_problem(seeded: TestClient, path: str) -> None:
    problem = check_problem(seeded.get(path), 404)

    assert problem["type"] == "urn:footnote:problem:not-found"
    assert "/docs" in problem["fix"]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/healthz"), ("GET", "/v1/ask"), ("PATCH", "/v1/documents")]
)
def test_another_method_is_a_problem_that_names_the_right_ones(
    seeded: TestClient, method: str, path: str
) -> None:
    response = seeded.request(method, path)

    assert check_problem(response, 405)["type"] == "urn:footnote:problem:method-not-allowed"
    assert response.headers["allow"]


def test_a_wrong_form_says_where(seeded: TestClient) -> None:
    problem = check_problem(seeded.post("/v1/ask", json={"question": "why?", "stram": True}), 422)

    assert problem["type"] == "urn:footnote:problem:invalid-request"
    assert "stram" in problem["detail"]


def test_only_what_may_pass_by_itself_says_when_to_come_back(seeded: TestClient) -> None:
    assert "retry-after" not in seeded.get("/nothing").headers
    assert "retry-after" not in seeded.get("/v1/documents/nothing").headers


@pytest.mark.parametrize("path", ["/v1/documents", "/documents/d/view", "/v1/documents/d/text"])
def test_an_unexpected_error_is_a_500_that_keeps_its_text_to_the_log(
    open_client: Callable[..., TestClient],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    def break_down(*_arguments: Any) -> None:
        raise LookupError("secret words")

    client = open_client(show_errors=False)
    monkeypatch.setattr(Library, "documents", break_down)
    monkeypatch.setattr(Library, "document", break_down)
    response = client.get(path)

    assert check_problem(response, 500)["type"] == "urn:footnote:problem:internal-error"
    assert "secret words" not in response.text
    assert "LookupError" not in response.text
    assert "secret words" in caplog.text


def test_a_failure_of_ours_is_logged_and_a_mistake_of_theirs_is_not(
    open_client: Callable[..., TestClient],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_arguments: Any) -> None:
        raise index.errors.StorageError("The disk went away.", fix="Bring it back.")

    client = open_client()
    client.get("/v1/documents/nothing")
    assert not [r for r in caplog.records if r.name == "api.errors"]

    monkeypatch.setattr(Library, "documents", fail)
    check_problem(client.get("/v1/documents"), 500)
    assert "The disk went away." in caplog.text
