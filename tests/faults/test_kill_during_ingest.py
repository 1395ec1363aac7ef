"""An ingest is killed at a moment of chance, again and again, in one and the same folder."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from index.catalog import check_integrity
from index.library import Library
from index.testing import HashingEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
SEED = 20_260_101
CHILD = Path(__file__).with_name("ingest_until_killed.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def write_document() -> Callable[[str, str], str]:
    spec = importlib.util.spec_from_file_location(CHILD.stem, CHILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written: Callable[[str, str], str] = module.write_document
    return written


def ingest_and_kill(home: Path, round_: int, chance: random.Random) -> list[tuple[str, str]]:
    """Kill the child a moment after some line of its output; give what it acknowledged."""
    command = [sys.executable, str(CHILD), str(home), str(round_)]
    # More lines than one document prints, so that most rounds die after replacing something.
    lines_to_live = chance.randrange(1, 90)
    grace = chance.random() * 0.02
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        hangs = threading.Timer(60, child.kill)
        hangs.start()
        lines = [child.stdout.readline() for _ in range(lines_to_live)]
        killer = threading.Timer(grace, child.kill)
        killer.start()
        lines += child.stdout.readlines()
        child.wait(timeout=10)
        killer.join()
        hangs.cancel()
        hangs.join()
        assert child.returncode < 0, child.stderr.read()
    complete = [line.split() for line in lines if line.endswith("\n")]
    return [(words[1], words[2]) for words in complete if words[0] == "done"]


def test_what_was_acknowledged_survives_kills_and_nothing_is_half_there(
    tmp_path: Path, write_document: Callable[[str, str], str]
) -> None:
    """After each kill: whole documents, one sound catalog, both indexes in line, found by search.

    A document killed between its commit and its acknowledgement may be newer than the last one
    acknowledged, but it is whole.
    """
    chance = random.Random(SEED)  # noqa: S311  a kill's moment is no secret
    acknowledged: dict[str, str] = {}
    for round_ in range(ROUNDS):
        acknowledged.update(ingest_and_kill(tmp_path, round_, chance))
        with Library(tmp_path, HashingEmbedder()) as library:
            records = {r.source.removesuffix(".txt"): r for r in library.documents()}
            assert set(acknowledged) <= set(records)
            for source, record in records.items():
                text = library.document(record.id).text
                version = text.split()[6]
                assert text == write_document(source, version)
                assert order(version) >= order(acknowledged.get(source, "r0n0"))
                hits = library.search(f"heron {source} {version}")
                assert record.id in {h.passage.document_id for h in hits}
                for hit in hits:
                    source_text = library.document(hit.passage.document_id).text
                    assert hit.passage.text == source_text[hit.passage.start : hit.passage.end]
            if records:
                live = library.catalog.live_ids("default")
                assert library.vectors.ids("default") == live
                assert len(live) == sum(r.passages for r in records.values())
        assert check_integrity(tmp_path / "catalog.sqlite3") == "ok"
    assert acknowledged


def order(version: str) -> tuple[int, int]:
    round_, number = version.removeprefix("r").split("n")
    return int(round_), int(number)
