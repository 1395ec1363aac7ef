"""Feedback: what is judged is kept with all that was said, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.feedback import FeedbackStore, Given, Rating
from index.errors import StorageError
from qa.evaluation.questions import read_questions

SITE = "https://site.example"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def server(make_app: Callable[..., FastAPI], seed: Path, home: Path) -> Iterator[TestClient]:
    with TestClient(make_app(home=home)) as opened:
        sent = opened.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
        sent.raise_for_status()
        yield opened


def ask(server: TestClient, question: str, address: str = "/v1/ask", **more: Any) -> Any:
    answered = server.post(address, json={"question": question, **more})
    assert answered.status_code == 200
    return answered.json()


def judge(server: TestClient, answer_id: str, rating: str, comment: str = "") -> int:
    body = {"answer_id": answer_id, "rating": rating, "comment": comment}
    return server.post("/v1/feedback", json=body).status_code


def listed(server: TestClient, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/v1/feedback", params=filters).json()["feedback"]
    return found


def exported(server: TestClient) -> list[dict[str, Any]]:
    lines = server.get("/v1/feedback/questions").text.splitlines()
    return [json.loads(line) for line in lines]


def make(answer_id: str, collection: str = "default") -> Given:
    return Given(
        id=answer_id,
        collection=collection,
        widget=None,
        question="Who?",
        looked_up="Who?",
        history=(),
        answered=False,
        answer="",
        reason="not_stated",
        citations=(),
        model="scripted",
        index_version="0" * 16,
        given_at="2026-01-01T00:00:00+00:00",
    )


def test_a_judged_answer_is_kept_with_what_it_stood_on(
    server: TestClient, question: dict[str, Any]
) -> None:
    answer = ask(server, question["question"])
    assert judge(server, answer["id"], "up", " Right. ") == 204

    (kept,) = listed(server)
    assert kept["answer_id"] == answer["id"]
    assert (kept["rating"], kept["comment"]) == ("up", "Right.")
    assert kept["question"] == question["question"]
    assert (kept["answered"], kept["answer"]) == (True, answer["answer"])
    assert kept["model"] == answer["model"]
    assert kept["index_version"]
    (cited,) = kept["citations"]
    assert cited["source"] == "alibaba-ai-investment.txt"
    text = server.get(f"/v1/documents/{cited['document_id']}/text").text
    assert text[cited["start"] : cited["end"]] == cited["quote"]


def test_nothing_reaches_the_disk_before_somebody_judges(
    server: TestClient, question: dict[str, Any], home: Path
) -> None:
    ask(server, question["question"])

    assert listed(server) == []
    assert not (home / "feedback.sqlite3").exists()


def test_a_streamed_answer_can_be_judged_too(server: TestClient, question: dict[str, Any]) -> None:
    streamed = server.post("/v1/ask", json={**question, "stream": True}).text
    last = json.loads(streamed.split("data: ")[-1])

    assert judge(server, last["id"], "down") == 204
    assert [f["rating"] for f in listed(server)] == ["down"]


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/v1/chat/completions", {"model": "footnote"}),
        ("/v1/deep-chat", {}),
    ],
)
def test_an_answer_in_a_foreign_format_can_be_judged_too(
    server: TestClient, address: str, body: dict[str, Any], question: dict[str, Any]
) -> None:
    said = {"role": "user", "content": question["question"], "text": question["question"]}
    answered = server.post(address, json={**body, "messages": [said]}).json()
    native = answered.get("footnote") or answered["custom"]

    assert judge(server, native["id"], "up") == 204


def test_the_last_judgement_of_an_answer_counts(
    server: TestClient, question: dict[str, Any]
) -> None:
    answer = ask(server, question["question"])
    judge(server, answer["id"], "up")
    judge(server, answer["id"], "down", "It is in dollars.")

    (kept,) = listed(server)
    assert (kept["rating"], kept["comment"]) == ("down", "It is in dollars.")


def test_judgements_are_listed_newest_first_by_collection_and_rating(
    server: TestClient, question: dict[str, Any]
) -> None:
    first = ask(server, question["question"])["id"]
    second = ask(server, "How much will Tencent invest?")["id"]
    judge(server, first, "up")
    judge(server, second, "down")

    assert [f["answer_id"] for f in listed(server)] == [second, first]
    assert [f["answer_id"] for f in listed(server, rating="up")] == [first]
    assert [f["answer_id"] for f in listed(server, limit=1, offset=1)] == [first]
    assert listed(server, collection="other") == []
    assert server.get("/v1/feedback", params={"limit": 1}).json()["total"] == 2


def test_a_judgement_can_be_taken_back(server: TestClient, question: dict[str, Any]) -> None:
    answer = ask(server, question["question"])["id"]
    judge(server, answer, "up")

    assert server.delete(f"/v1/feedback/{answer}").status_code == 204
    assert listed(server) == []
    assert server.delete(f"/v1/feedback/{answer}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"rating": "up"},
        {"answer_id": "a_1", "rating": "great"},
        {"answer_id": "a_1", "rating": "up", "comment": "x" * 2001},
        {"answer_id": "a_1", "rating": "up", "stars": 5},
    ],
)
def test_what_is_no_judgement_is_refused(server: TestClient, body: dict[str, Any]) -> None:
    assert server.post("/v1/feedback", json=body).status_code == 422


def test_an_answer_that_nobody_gave_cannot_be_judged(server: TestClient) -> None:
    body = {"answer_id": "a_" + "0" * 20, "rating": "up"}
    refused = server.post("/v1/feedback", json=body)

    assert refused.status_code == 404
    assert refused.json()["type"].endswith("answer-not-found")
    assert "1,000" in refused.json()["fix"]


def test_judgements_outlive_the_server_and_can_still_be_changed(
    make_app: Callable[..., FastAPI], seed: Path, home: Path, question: dict[str, Any]
) -> None:
    with TestClient(make_app(home=home)) as first:
        first.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
        judged, other = (ask(first, question["question"])["id"] for _ in range(2))
        judge(first, judged, "up")
    with TestClient(make_app(home=home)) as second:
        assert judge(second, judged, "down") == 204
        assert judge(second, other, "down") == 404
        assert [f["rating"] for f in listed(second)] == ["down"]


def test_a_widget_judges_its_own_answers_and_no_others(
    server: TestClient, question: dict[str, Any]
) -> None:
    made = [server.post("/v1/widgets", json={"origins": [SITE]}).json()["id"] for _ in range(2)]
    asked = ask(server, question["question"], f"/v1/ask?widget={made[0]}")["id"]
    unnamed = ask(server, question["question"])["id"]
    headers = {"origin": SITE}

    def post(widget: str, answer_id: str) -> int:
        body = {"answer_id": answer_id, "rating": "up"}
        address = f"/v1/feedback?widget={widget}"
        return server.post(address, json=body, headers=headers).status_code

    assert post(made[0], asked) == 204
    assert post(made[1], asked) == 404
    assert post(made[0], unnamed) == 404
    assert server.get(f"/v1/feedback?widget={made[0]}", headers=headers).status_code == 403
    assert [f["widget"] for f in listed(server)] == [made[0]]


def test_the_export_is_a_question_set_with_what_people_liked_as_gold(
    server: TestClient, question: dict[str, Any], tmp_path: Path
) -> None:
    liked = ask(server, question["question"])
    refused = ask(server, "How much will Tencent invest?")
    disliked = ask(server, "Who invests €50 billion?")
    judge(server, liked["id"], "up")
    judge(server, refused["id"], "up")
    judge(server, disliked["id"], "down", "Too short.")

    path = tmp_path / "feedback.jsonl"
    path.write_text(server.get("/v1/feedback/questions").text)
    good, no, bad = read_questions(path).questions

    assert (good.text, good.answers) == (question["question"], (liked["answer"],))
    assert good.document == "alibaba-ai-investment.txt"
    cited = liked["citations"][0]
    assert [tuple(span) for span in good.evidence] == [(cited["start"], cited["end"])]
    assert (no.answerable, no.answers) == (False, ())
    assert (bad.answerable, bad.answers, bad.category) == (True, (), "disliked")
    assert exported(server)[2]["comment"] == "Too short."


def test_the_export_leaves_out_evidence_that_the_document_no_longer_holds(
    server: TestClient, question: dict[str, Any], seed: Path
) -> None:
    answer = ask(server, question["question"])
    judge(server, answer["id"], "up")
    changed = b"A new first line. " + seed.read_bytes()
    server.post("/v1/documents", files={"file": (seed.name, changed)}).raise_for_status()

    (line,) = exported(server)
    assert line["answers"] == [answer["answer"]]
    assert "evidence" not in line

    server.delete(f"/v1/documents/{answer['citations'][0]['document_id']}").raise_for_status()
    (line,) = exported(server)
    assert "document" not in line


def test_the_version_of_the_index_tells_what_the_answer_stood_on(
    server: TestClient, question: dict[str, Any], seed: Path
) -> None:
    def version() -> Any:
        judge(server, ask(server, question["question"])["id"], "up")
        return listed(server)[0]["index_version"]

    before = version()
    assert version() == before
    more = {"text": "The lamp is red.", "source": "lamp", "title": "Lamp"}
    made = server.post("/v1/documents", json=more).json()["document"]["id"]
    assert version() != before
    server.delete(f"/v1/documents/{made}").raise_for_status()
    assert version() == before
    server.post(
        "/v1/documents", files={"file": (seed.name, seed.read_bytes() + b"More.")}
    ).raise_for_status()
    assert version() != before


@pytest.mark.usefixtures("offline")
def test_the_command_lists_exports_and_forgets(
    make_app: Callable[..., FastAPI],
    seed: Path,
    question: dict[str, Any],
    run_command: Callable[..., Any],
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    with TestClient(make_app(home=home)) as server:
        server.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
        answer = ask(server, question["question"])
        judge(server, answer["id"], "up", "Right.")

    shown = run_command("feedback", home=home)
    assert answer["id"] in shown.out
    assert "Right." in shown.out
    path = tmp_path / "feedback.jsonl"
    assert run_command("feedback", "--export", path, home=home).code == 0
    (found,) = read_questions(path).questions
    assert found.answers == (answer["answer"],)
    assert len(found.evidence) == 1
    assert "Nobody" in run_command("feedback", "--delete", answer["id"], home=home).out
    refused = run_command("feedback", "--delete", answer["id"], home=home)
    assert refused.code == 1
    assert "There is no answer" in refused.err


def test_the_command_asks_the_server_where_there_is_one(
    served: Any, run_command: Callable[..., Any], seed: Path, question: dict[str, Any]
) -> None:
    with httpx.Client(base_url=served.address, timeout=20) as client:
        client.post("/v1/documents", files={"file": (seed.name, seed.read_bytes())})
        answer = client.post("/v1/ask", json=question).json()
        client.post("/v1/feedback", json={"answer_id": answer["id"], "rating": "down"})

    assert answer["id"] in run_command("feedback", home=served.home).out
    printed = run_command("feedback", "--export", "-", home=served.home).out
    assert json.loads(printed)["category"] == "disliked"
    assert run_command("feedback", "--delete", answer["id"], home=served.home).code == 0
    told = run_command("feedback", "--json", home=served.home).out
    assert json.loads(told) == {"total": 0, "feedback": []}


def test_a_broken_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "feedback.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError) as raised:
        FeedbackStore.of(tmp_path).save(make("a"), Rating.UP, "")
    assert "backup" in raised.value.fix
