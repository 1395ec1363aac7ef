from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_a_widget_is_created_listed_and_revoked(run_command: Run, tmp_path: Path) -> None:
    made = run_command("widgets", "create", "--origin", "https://a.example/", home=tmp_path)
    assert made.code == 0
    assert f"kept in {tmp_path}, where no server runs" in " ".join(made.err.split())
    assert made.out.startswith('<script async src="http://127.0.0.1:8000/widget.js" data-widget="')

    listed = json.loads(run_command("widgets", "list", "--json", home=tmp_path).out)["widgets"]
    assert [w["origins"] for w in listed] == [["https://a.example"]]
    assert listed[0]["snippet"] == made.out.strip()
    assert listed[0]["id"] in run_command("widgets", "list", home=tmp_path).out

    assert run_command("widgets", "revoke", listed[0]["id"], home=tmp_path).code == 0
    assert "no widgets" in run_command("widgets", "list", home=tmp_path).out


def test_a_widget_for_nobody_says_so(run_command: Run, tmp_path: Path) -> None:
    made = run_command("widgets", "create", home=tmp_path)
    assert made.code == 0
    assert "--origin" in made.err


def test_what_is_no_origin_is_a_line_and_a_hint(run_command: Run, tmp_path: Path) -> None:
    failed = run_command("widgets", "create", "--origin", "*", home=tmp_path)
    assert failed.code == 1
    assert "'*' is not an origin" in failed.err
    assert "https://example.com" in failed.err


def test_revoking_what_is_not_there_fails(run_command: Run, tmp_path: Path) -> None:
    failed = run_command("widgets", "revoke", "w_no", home=tmp_path)
    assert failed.code == 1
    assert "There is no widget 'w_no'" in failed.err


def test_looks_given_on_the_command_line_are_kept(run_command: Run, tmp_path: Path) -> None:
    options = ("--title", "Help", "--starter", "Who?", "--starter", "Why?", "--accent", "#0b57d0")
    made = json.loads(run_command("widgets", "create", *options, "--json", home=tmp_path).out)
    assert made["looks"]["title"] == "Help"
    assert made["looks"]["starters"] == ["Who?", "Why?"]
    assert made["looks"]["accent"] == "#0b57d0"
