from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from fastapi import FastAPI
from rich.progress import Progress
from typer.testing import CliRunner

from api.cli import app
from index.library import Library, announce_address
from index.testing import HashingEmbedder

COMMANDS = ["serve", "ingest", "ask", "search", "documents", "evaluate", "compare", "weights"]
HEAVY = ["torch", "chromadb", "langchain", "langchain_core", "sentence_transformers", "fastapi"]
QUESTION = "how much will Alibaba invest?"
SECONDS = 60


class Served(Protocol):
    """A server on loopback."""

    home: Path
    address: str


RunCommand = Callable[..., Any]


@pytest.fixture(params=["url", "announced"])
def run_served(
    request: pytest.FixtureRequest, run_command: RunCommand, served: Served
) -> RunCommand:
    """Give what runs a command against a server: one that is named, or one that is found."""

    def run(*arguments: str | Path) -> Any:
        if request.param == "url":
            return run_command(*arguments, "--url", served.address)
        return run_command(*arguments, home=served.home)

    return run


@pytest.mark.parametrize("arguments", [[], *([c] for c in COMMANDS)], ids=["footnote", *COMMANDS])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['footnote', *{arguments!r}, '--help']\n"
        "from api.cli import main\n"
        "try:\n    main()\n"
        f"finally:\n    print('HEAVY', [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert "Usage:" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "HEAVY []"


def test_the_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])

    assert result.exit_code == 0
    assert all(command in result.output for command in COMMANDS)


def test_an_option_that_is_not_there_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["ask", "why?", "--colour"]).exit_code == 2
    assert CliRunner().invoke(app, ["search", "why", "--limit", "0"]).exit_code == 2


def test_an_error_is_a_line_and_a_hint(run_command: RunCommand) -> None:
    ran = run_command("documents", "--url", "http://127.0.0.1:9")

    assert ran.code == 1
    assert ran.out == ""
    first, hint = ran.err.splitlines()
    assert first.startswith("footnote: The server did not answer")
    assert hint.startswith("  ")
    assert "make serve" in hint


@pytest.mark.parametrize("url", ["nowhere", "http://127.0.0.1:port", "ftp://127.0.0.1"])
def test_an_address_that_is_none_is_an_error_of_ours(run_command: RunCommand, url: str) -> None:
    ran = run_command("documents", "--url", url)

    assert ran.code == 1
    assert ran.err.startswith("footnote: ")
    assert "Traceback" not in ran.err


def test_a_setting_that_cannot_be_is_named(
    run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_option = run_command("serve", "--port", "99999")
    monkeypatch.setenv("FOOTNOTE_PORT", "many")
    by_variable = run_command("documents")

    for ran in (by_option, by_variable):
        assert ran.code == 1
        assert ran.err.startswith("footnote: FOOTNOTE_PORT: ")
        assert len(ran.err.splitlines()) == 2


def test_a_bug_still_shows_where_it_is(
    run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("api.session.find_server", fail)
    with pytest.raises(ValueError, match="a bug"):
        run_command("documents")


def test_commands_speak_to_a_server(run_served: RunCommand, seed: Path) -> None:
    ingested = run_served("ingest", seed, "--json")
    listed = run_served("documents", "--json")
    found = run_served("search", "investor confidence", "--limit", "2", "--json")
    answered = run_served("ask", QUESTION, "--json")

    assert [r.code for r in (ingested, listed, found, answered)] == [0, 0, 0, 0]
    (outcome,) = json.loads(ingested.out)["documents"]
    assert outcome["outcome"] == "created"
    assert outcome["document"]["source"] == str(seed.resolve())
    assert json.loads(listed.out)["documents"] == [outcome["document"]]
    text = seed.read_text(encoding="utf-8")
    passages = json.loads(found.out)["passages"]
    assert 1 <= len(passages) <= 2
    assert all(text[p["start"] : p["end"]] == p["text"] for p in passages)
    answer = json.loads(answered.out)
    assert answer["answered"] is True
    assert all(text[c["start"] : c["end"]] == c["quote"] for c in answer["citations"])


def test_an_answer_is_printed_with_its_footnotes(run_served: RunCommand, seed: Path) -> None:
    run_served("ingest", seed)
    answer = json.loads(run_served("ask", QUESTION, "--json").out)
    printed = run_served("ask", QUESTION).out

    citation = answer["citations"][0]
    assert printed.startswith(f"{answer['answer']} [1]\n")
    assert f"[1] “{citation['quote']}”" in printed
    place = f"{citation['title']}, characters {citation['start']}–{citation['end']}"
    assert place in printed


def test_a_refusal_is_printed_with_what_is_nearest(run_served: RunCommand, seed: Path) -> None:
    run_served("ingest", seed)
    ran = run_served("ask", "how much will Microsoft invest?")

    assert ran.code == 0
    assert "do not mention Microsoft" in ran.out
    assert "Nearest:" in ran.out
    assert "alibaba-ai-investment, characters" in ran.out


def test_lists_are_printed_for_people(run_served: RunCommand, seed: Path) -> None:
    empty = run_served("documents")
    run_served("ingest", seed)

    assert "footnote ingest" in empty.out
    assert "alibaba-ai-investment" in run_served("documents").out
    found = run_served("search", "investor confidence").out
    assert found.startswith("1. alibaba-ai-investment, characters ")


def test_a_document_is_deleted_by_its_id(run_served: RunCommand, seed: Path) -> None:
    (outcome,) = json.loads(run_served("ingest", seed, "--json").out)["documents"]
    deleted = run_served("documents", "--delete", outcome["document"]["id"], "--json")
    again = run_served("documents", "--delete", outcome["document"]["id"])

    assert json.loads(deleted.out) == {"documents": []}
    assert again.code == 1
    assert again.err.startswith("footnote: There is no document")
    assert "footnote documents" in again.err


def test_collections_are_kept_apart(run_served: RunCommand, seed: Path) -> None:
    run_served("ingest", seed, "--collection", "news")

    assert json.loads(run_served("documents", "-c", "news", "--json").out)["documents"]
    refused = json.loads(run_served("ask", QUESTION, "--json").out)
    assert refused["reason"]["code"] == "nothing_indexed"
    assert json.loads(run_served("ask", QUESTION, "-c", "news", "--json").out)["answered"]
    unknown = run_served("ask", QUESTION, "-c", "nowhere")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith("footnote: There is no collection 'nowhere'")


@pytest.mark.parametrize("extra", [[], ["--json"]], ids=["people", "json"])
def test_one_bad_file_of_a_folder_is_reported_and_the_rest_goes_in(
    run_served: RunCommand, tmp_path: Path, extra: list[str]
) -> None:
    folder = tmp_path / "folder"
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.txt").write_text("Bridges are long.")
    (folder / "bad [1].txt").write_bytes(b"caf\xe9")
    (folder / "deeper" / "c.md").write_text("# Roads\n\nRoads are longer.")
    (folder / "ignored.bin").write_bytes(b"\x00")
    ran = run_served("ingest", folder, *extra)

    assert ran.code == 1
    assert "not valid UTF-8" in ran.out + ran.err
    assert "bad [1].txt" in ran.out + ran.err
    listed = json.loads(run_served("documents", "--json").out)["documents"]
    assert sorted(d["title"] for d in listed) == ["Roads", "a"]
    if extra:
        outcomes = json.loads(ran.out)["documents"]
        assert [o.get("outcome") for o in outcomes] == ["created", None, "created"]
        assert outcomes[1]["fix"]


@pytest.fixture
def held_home(
    make_app: Callable[..., FastAPI],
    start_server: Callable[[FastAPI], str],
    held: Any,
    tmp_path: Path,
) -> Path:
    """Give the data folder of a server with the held embedder."""
    home = tmp_path / "home"
    announce_address(home, start_server(make_app(home=home, embedder=held)))
    return home


@pytest.fixture
def shown(held: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Give what bars show; the embedder is held until one shows the first of two steps."""
    seen: list[tuple[int, int]] = []

    class Bar(Progress):
        def update(self, task_id: Any, **values: Any) -> None:  # type: ignore[override]
            super().update(task_id, **values)
            (task,) = self.tasks
            seen.append((int(task.completed), int(task.total or 0)))
            if seen[-1] == (1, 2):
                held.go.set()

    monkeypatch.setattr("api.terminal.Progress", Bar)
    return seen


@pytest.mark.usefixtures("one_by_one")
def test_the_bar_follows_the_server_while_it_ingests(
    run_command: RunCommand, held_home: Path, shown: list[tuple[int, int]], tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("One. " * 150 + "\n\n" + "We hold. " * 100)
    ran = run_command("ingest", path, home=held_home)

    assert ran.code == 0
    assert shown == [(0, 2), (1, 2), (2, 2)]
    assert "a.txt: created, 2 passages" in ran.err


def test_a_file_that_is_not_there_is_reported(run_served: RunCommand, tmp_path: Path) -> None:
    ran = run_served("ingest", tmp_path / "nothing.txt")

    assert ran.code == 1
    assert "No such file" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.usefixtures("offline")
def test_without_a_server_commands_open_the_data_folder(
    run_command: RunCommand, seed: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    ingested = run_command("ingest", seed, "--json", home=home)
    again = run_command("ingest", seed, "--json", home=home)
    answered = run_command("ask", QUESTION, "--json", home=home)
    printed = run_command("ask", QUESTION, home=home)
    found = run_command("search", "investor confidence", home=home)
    (outcome,) = json.loads(ingested.out)["documents"]
    deleted = run_command("documents", "--delete", outcome["document"]["id"], home=home)

    assert outcome["outcome"] == "created"
    assert json.loads(again.out)["documents"][0]["outcome"] == "unchanged"
    assert json.loads(answered.out)["answered"] is True
    assert "[1] “" in printed.out
    assert "alibaba-ai-investment" in found.out
    assert "No documents yet" in deleted.out


def test_a_data_folder_in_use_is_an_error_that_names_it(
    run_command: RunCommand, offline: Any, tmp_path: Path
) -> None:
    del offline
    home = tmp_path / "home"
    with Library(home, HashingEmbedder(512)):
        ran = run_command("documents", home=home)

    assert ran.code == 1
    assert ran.err.startswith("footnote: Another process is using the data folder")
    assert "FOOTNOTE_HOME" in ran.err


def test_weights_prints_where_the_models_are(
    run_command: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("api.terminal.fetch_weights", lambda _settings: [tmp_path])

    assert run_command("weights").out == f"{tmp_path}\n"
