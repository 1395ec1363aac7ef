"""A folder of files that were made from others: whole where it exists, whatever breaks off."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock

Write: TypeAlias = Callable[[Path], None]
"""Given an empty folder, what writes its files."""


def keep(target: Path, write: Write) -> Path:
    """Give the folder, letting `write` fill it where it is not there.

    The files are written beside it, and moved there when they are whole and on the disk; another
    process that wants the same waits. Raises what `write` raises, and `OSError`.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.exists():  # another process may have made it meanwhile
            _fill(target, write)
    return target


def _fill(target: Path, write: Write) -> None:
    work = target.with_name(f"{target.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        write(work)
        for path in work.iterdir():
            with path.open("rb") as written:
                os.fsync(written.fileno())
        work.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
