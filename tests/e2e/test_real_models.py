"""The whole product as a newcomer has it: the real server process, the real models, over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import string
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from qa.settings import Settings
from qa.weights import MINILM, MPNET, QWEN_1_5B, find

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "seeds"
QUESTIONS = [json.loads(line) for line in (SEEDS / "questions.jsonl").read_text().splitlines()]
CACHE = Settings().cache_path
WHOLE_SENTENCE = (
    "Alibaba Group, based in Hangzhou, China, has announced plans to invest €50 billion "
    "($53.5 billion) in artificial intelligence (AI) and cloud computing infrastructure over the "
    "next three years."
)

FLOORS = {
    ("answers", "right"): 0.8,
    ("retrieval", "evidence was read"): 0.9,
    ("refusal", "recall"): 0.7,
    ("citations", "exact"): 1.0,
}
"""Recorded on 2026-11-23: 0.9, 1.0, 0.86 and 1.0; room for two questions more to go wrong."""

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        any(find(weights, CACHE) is None for weights in (MINILM, MPNET, QWEN_1_5B)),
        reason=f"the default models' weights are not in {CACHE}; run `footnote weights`",
    ),
]


@dataclass(frozen=True)
class Server:
    """A running `footnote serve`."""

    process: subprocess.Popen[bytes]
    address: str
    environment: dict[str, str]

    def ask(self, question: str, **options: Any) -> dict[str, Any]:
        """Ask without a stream."""
        body = {"question": question, **options}
        answer = httpx.post(f"{self.address}/v1/ask", json=body, timeout=300)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def text(self, document_id: str) -> str:
        """Read a document's text."""
        return httpx.get(f"{self.address}/v1/documents/{document_id}/text").text


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[Server]:
    """Start a server on the seeds, and end it."""
    environment = {**os.environ, "FOOTNOTE_HOME": str(home), "FOOTNOTE_CACHE": str(CACHE)}
    environment |= {f"FOOTNOTE_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--ingest", str(SEEDS)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        said = b""
        address = None
        while address is None:
            line = process.stderr.readline()
            said += line
            assert line, f"the server did not start: {said.decode()}"
            found = re.search(rb"Footnote is at (http://\S+)", line)
            address = found[1].decode() if found else None
        yield Server(process, address, environment)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server as it is started by default."""
    with serving(tmp_path_factory.mktemp("home")) as started:
        yield started


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Server]:
    """Give a server whose model is run by llama.cpp, in a process of its own."""
    with serving(tmp_path, runtime="llama.cpp") as started:
        yield started


def normalize(text: str) -> str:
    words = "".join(" " if c in string.punctuation else c for c in text.lower()).split()
    return " ".join(word for word in words if word not in {"a", "an", "the"})


def test_the_investment_is_answered_with_the_whole_sentence_it_stands_on(server: Server) -> None:
    answer = server.ask("how much will Alibaba invest?")
    assert answer["answered"] is True
    assert "€50 billion" in answer["answer"]
    assert "$53.5 billion" in answer["answer"]
    [citation] = answer["citations"]
    assert citation["quote"] == WHOLE_SENTENCE
    source = (SEEDS / "alibaba-ai-investment.txt").read_text()
    assert source[citation["start"] : citation["end"]] == WHOLE_SENTENCE
    assert server.text(citation["document_id"]) == source


def test_a_name_that_the_documents_never_mention_is_refused_with_the_nearest_passages(
    server: Server,
) -> None:
    answer = server.ask("How much will Tencent invest?")
    assert answer["answered"] is False
    assert answer["answer"] == ""
    assert answer["reason"]["code"] == "name_not_in_evidence"
    assert answer["reason"]["terms"] == ["Tencent"]
    assert answer["passages"]


def test_at_least_85_percent_of_the_seed_questions_are_answered_or_refused_rightly(
    server: Server,
) -> None:
    right: list[bool] = []
    refused: list[bool] = []
    for question in QUESTIONS:
        answer = server.ask(question["question"])
        for citation in answer["citations"]:
            text = server.text(citation["document_id"])
            assert text[citation["start"] : citation["end"]] == citation["quote"]
        given = f" {normalize(answer['answer'])} "
        if question["answerable"]:
            right.append(any(f" {normalize(gold)} " in given for gold in question["answers"]))
        else:
            refused.append(not answer["answered"])
    assert sum(right) >= 0.85 * len(right), f"{sum(right)} of {len(right)} right"
    assert sum(refused) >= 0.85 * len(refused), f"{sum(refused)} of {len(refused)} refused"


def test_two_documents_that_disagree_are_both_told_and_cited(server: Server) -> None:
    texts = {
        "may.txt": "The council met on Monday. The new library in Arnfeld will cost 4.2 million "
        "euros, the mayor said, and will have a garden.",
        "june.txt": "Work begins in autumn. The new library in Arnfeld will cost 5.1 million "
        "euros, the council announced. It will open in 2027.",
    }
    for source, text in texts.items():
        body = {"source": source, "text": text, "collection": "library"}
        httpx.post(f"{server.address}/v1/documents", json=body, timeout=300).raise_for_status()
    told = server.ask("How much will the new library in Arnfeld cost?", collection="library")
    assert told["disagreement"] is True
    assert {c["quote"].partition(" million")[0][-3:] for c in told["citations"]} == {"4.2", "5.1"}
    assert "4.2 million" in told["answer"]
    assert "5.1 million" in told["answer"]
    only = server.ask("When will the new library in Arnfeld open?", collection="library")
    assert "2027" in only["answer"]
    assert only["disagreement"] is False


def test_a_stream_shows_tokens_before_its_verified_end(server: Server) -> None:
    body = {"question": "Which startup is a success of China's AI sector?", "stream": True}
    names: list[str] = []
    with httpx.stream("POST", f"{server.address}/v1/ask", json=body, timeout=300) as answer:
        names += [line[7:] for line in answer.iter_lines() if line.startswith("event: ")]
    assert names[0] == "start"
    assert "token" in names
    assert names[-2:] == ["citation", "end"]


def test_a_model_that_dies_is_an_error_with_a_hint_and_is_back_for_the_next_question(
    watched: Server,
) -> None:
    assert watched.ask("how much will Alibaba invest?")["citations"][0]["quote"] == WHOLE_SENTENCE
    children = (
        Path(f"/proc/{watched.process.pid}/task/{watched.process.pid}/children")
        if sys.platform == "linux"
        else None
    )
    if children is None or not children.parent.exists():
        pytest.skip("finding the model's process needs /proc")
    pids = [
        int(pid)
        for task in Path(f"/proc/{watched.process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    [model] = [p for p in pids if b"qa.llama_child" in Path(f"/proc/{p}/cmdline").read_bytes()]
    body = {"question": "Why is the announcement significant?", "stream": True}
    with httpx.stream("POST", f"{watched.address}/v1/ask", json=body, timeout=300) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: start"
        os.kill(model, signal.SIGKILL)
        rest = list(lines)
    assert "event: error" in rest
    problem = json.loads(rest[rest.index("event: error") + 1].removeprefix("data: "))
    assert problem["status"] == 503
    assert problem["fix"]
    assert watched.ask("Where is Alibaba Group based?")["answered"] is True


def test_the_command_line_asks_the_running_server(server: Server) -> None:
    command = [sys.executable, "-m", "api.cli", "ask", "Where is Alibaba Group based?"]
    done = subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, text=True, check=True
    )
    assert "Hangzhou" in done.stdout
    assert f"[1] “{WHOLE_SENTENCE}”" in done.stdout


def test_a_second_server_on_the_same_folder_is_told_where_the_first_one_is(server: Server) -> None:
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0"]
    done = subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert server.address in done.stderr
    assert "Traceback" not in done.stderr


def test_answers_on_a_second_document_keep_to_their_floors(server: Server, tmp_path: Path) -> None:
    """Twenty questions on a document that nothing was tuned on, by `footnote evaluate`."""
    data = ROOT / "tests" / "data"
    command = [
        *(sys.executable, "-m", "api.cli", "evaluate", str(data / "skelling.questions.jsonl")),
        *("--documents", str(data), "--url", server.address, "--json"),
        *("--out", str(tmp_path / "run.jsonl")),
    ]
    ran = subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    figures = {(f["group"], f["name"]): f for f in json.loads(ran.stdout)["figures"]}
    for place, floor in FLOORS.items():
        assert figures[place]["value"] >= floor, figures[place]
    assert figures["answers", "right"]["n"] == 20
