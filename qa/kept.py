"""A folder of files that were made from others: whole where it exists, whatever breaks off."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout

Write: TypeAlias = Callable[[Path], None]
"""Given an empty folder, what writes its files."""
LOCK, PARTIAL = ".lock", ".partial"


def keep(target: Path, write: Write) -> Path:
    """Give the folder, letting `write` fill it where it is not there.

    The files are written beside it, and moved there when they are whole and on the disk; another
    process that wants the same waits. Raises what `write` raises, and `OSError`.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}{LOCK}"):
        if not target.exists():  # another process may have made it meanwhile
            _fill(target, write)
    return target


def forget(target: Path) -> None:
    """Take a folder away, and what an interrupted `keep` left of it, where nobody is at it.

    It is never half there under its own name. Where it cannot be taken away, it stays.
    """
    work = target.with_name(f"{target.name}{PARTIAL}")
    try:
        with FileLock(f"{target}{LOCK}", timeout=0):
            shutil.rmtree(work, ignore_errors=True)
            if target.exists():
                target.replace(work)
                shutil.rmtree(work, ignore_errors=True)
    except (Timeout, OSError):  # another process writes it, or has it open where that forbids it
        return


def _fill(target: Path, write: Write) -> None:
    work = target.with_name(f"{target.name}{PARTIAL}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        write(work)
        for path in work.iterdir():
            with path.open("r+b") as written:  # Windows syncs only what may be written
                os.fsync(written.fileno())
        work.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
