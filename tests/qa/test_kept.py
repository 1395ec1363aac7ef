from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from qa.kept import LOCK, PARTIAL, forget, keep


def write(work: Path) -> None:
    (work / "a.txt").write_text("whole")


def fail(work: Path) -> None:
    write(work)
    raise RuntimeError("broke off")


def test_a_folder_is_filled_once(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "kept"
    assert keep(target, write) == target
    assert keep(target, fail) == target
    assert (target / "a.txt").read_text() == "whole"


def test_what_broke_off_leaves_nothing_and_can_be_done_again(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    with pytest.raises(RuntimeError, match="broke off"):
        keep(target, fail)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    half = tmp_path / f"kept{PARTIAL}"
    half.mkdir()
    (half / "b.txt").write_text("half")
    keep(target, write)
    assert [path.name for path in target.iterdir()] == ["a.txt"]


def test_what_is_forgotten_is_gone_with_what_was_left_of_it(tmp_path: Path) -> None:
    target = keep(tmp_path / "kept", write)
    (tmp_path / f"kept{PARTIAL}").mkdir()
    forget(target)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    forget(target)


def test_what_another_process_is_at_stays(tmp_path: Path) -> None:
    target = keep(tmp_path / "kept", write)
    with FileLock(f"{target}{LOCK}"):
        forget(target)
    assert target.exists()
