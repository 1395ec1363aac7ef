"""What runs the local model: the installed `xllamacpp`, or a `llama-server` program in its place.

The wheel of `xllamacpp` is built for any processor with AVX2. A `llama-server` that was compiled
for the very processor it runs on (`make native`), or one that chooses its arithmetic as it starts
(the builds that llama.cpp publishes), reads a prompt faster where there is AVX-512 or AMX.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from qa.errors import ModelSettingError

logger = logging.getLogger(__name__)

BUILT = "footnote-llama-server"
"""The program that `make native` puts beside the interpreter."""
SECONDS = 20.0
"""How long a program may take to say its version."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs the model; `program` is None for the installed `xllamacpp`."""

    name: str
    program: Path | None = None


def find_runtime(chosen: Path | None, beside: Path | None = None) -> Runtime:
    """Give the program that was chosen, else what `make native` built, else `xllamacpp`.

    A chosen program that does not start raises `ModelSettingError`. A built one that does not,
    because the folder moved to another processor, is passed over with a warning. `beside` is the
    folder to look for it in, by default the interpreter's.
    """
    if chosen is not None:
        # A name on the path, or a place seen from here: the child starts in another folder.
        program = Path(shutil.which(chosen) or chosen).absolute()
        try:
            return Runtime(_ask_version(program), program)
        except (OSError, subprocess.SubprocessError) as error:
            raise ModelSettingError(
                f"FOOTNOTE_LLAMA_SERVER={str(chosen)!r} does not start: {error}",
                fix="Set it to the path of llama.cpp's `llama-server` program, or leave it out.",
            ) from error
    built = (beside or Path(sys.executable).parent) / BUILT
    if built.exists():
        try:
            return Runtime(_ask_version(built), built)
        except (OSError, subprocess.SubprocessError) as error:
            logger.warning(
                "%s does not start here (%s): using xllamacpp. `make native` builds it again.",
                built,
                error,
            )
    return Runtime(f"xllamacpp {version('xllamacpp')}")


def _ask_version(program: Path) -> str:
    told = subprocess.run(  # noqa: S603  the user's own choice, or our own build
        [program, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=True,
    )
    found = re.search(r"version:\s*(\S+)", told.stdout + told.stderr)
    return f"llama-server {found[1]}" if found else "llama-server"
