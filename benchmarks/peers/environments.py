"""The peers' virtual environments: one each, made anew only where its requirements changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"


def prepare(name: str, folder: Path) -> Path:
    """Give the interpreter of a peer's environment, with its requirements installed.

    pip reads the user's own configuration, and that of the environment that runs this.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    home = folder / name
    python = _interpreter(home)
    seal = home / "requirements.sha256"
    if python.exists() and seal.exists() and seal.read_text() == wanted:
        return python
    print(f"{name}: installing {', '.join(versions(name))} into {home}", flush=True)
    seal.unlink(missing_ok=True)
    _run(sys.executable, "-m", "venv", "--clear", str(home))
    _run(str(python), "-m", "pip", "install", "-qq", "--requirement", str(requirements))
    seal.write_text(wanted)
    return python


def versions(name: str) -> list[str]:
    """List a peer's pinned packages."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _interpreter(home: Path) -> Path:
    scripts = sysconfig.get_path("scripts", "venv", {"base": str(home)})
    return Path(scripts) / Path("python").with_suffix(sysconfig.get_config_var("EXE") or "")


def _run(*command: str) -> None:
    own = Path(sys.prefix) / "pip.conf"
    extra = {"PIP_CONFIG_FILE": str(own)} if own.exists() else {}
    subprocess.run(command, check=True, env={**extra, **os.environ})  # noqa: S603  our own commands
