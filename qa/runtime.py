"""What runs the local model: OpenVINO, the installed `xllamacpp`, or a `llama-server` program.

OpenVINO multiplies eight-bit integers where the processor can (VNNI), and is the fastest there.
The wheel of `xllamacpp` is built for any processor with AVX2. A `llama-server` that was compiled
for the very processor it runs on (`make native`), or one that chooses its arithmetic as it starts
(the builds that llama.cpp publishes), reads a prompt faster than that where there is AVX-512 or
AMX.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias

from qa.errors import ModelSettingError

logger = logging.getLogger(__name__)

Wanted: TypeAlias = Literal["auto", "openvino", "llama.cpp"]
EIGHT_BIT = frozenset({"avx512_vnni", "avx_vnni"})
"""Linux's names of what multiplies eight-bit integers and adds four of them at once."""
PROCESSOR = Path("/proc/cpuinfo")
BUILT = "footnote-llama-server"
"""The program that `make native` puts beside the interpreter."""
SECONDS = 20.0
"""How long a program may take to say its version."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs the model; `program` is None for the installed `xllamacpp`."""

    name: str
    program: Path | None = None


def wants_openvino(wanted: Wanted, chosen: Path | None, processor: Path = PROCESSOR) -> bool:
    """Say whether OpenVINO is to run the model.

    `auto` takes it where it is installed and the processor multiplies eight-bit integers, unless a
    program was `chosen`. Raises `ModelSettingError` where it is asked for and not installed.
    """
    installed = importlib.util.find_spec("openvino") is not None
    if wanted == "openvino" and not installed:
        raise ModelSettingError(
            "FOOTNOTE_RUNTIME=openvino, and OpenVINO is not installed.",
            fix="There is no OpenVINO for this machine; leave FOOTNOTE_RUNTIME out.",
        )
    if wanted == "auto":
        return installed and chosen is None and multiplies_eight_bits(processor)
    return wanted == "openvino"


def multiplies_eight_bits(processor: Path = PROCESSOR) -> bool:
    """Say whether the processor has VNNI; False where Linux does not tell."""
    try:
        told = processor.read_text(encoding="utf-8", errors="replace")
    except OSError:  # another system
        return False
    flags = re.search(r"^flags\s*:(.*)$", told, re.MULTILINE)
    return flags is not None and not EIGHT_BIT.isdisjoint(flags[1].split())


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
