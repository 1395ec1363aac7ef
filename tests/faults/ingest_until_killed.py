"""Ingest made-up documents for ever; say when each is acknowledged. Started by path, to be killed.

Standard output has a line `progress` for each step of an ingest, and `done SOURCE VERSION` for each
acknowledged document.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from index import ingest as ingest_module
from index.library import Library, Upload
from index.testing import HashingEmbedder

SOURCES = 6
"""Fewer than the documents of a round, so that most of them replace one."""


def write_document(source: str, version: str) -> str:
    """Give a text whose every sentence names its source and version; some lengths differ."""
    sentences = 20 + sum(map(ord, source + version)) % 40
    return "\n\n".join(
        f"Sentence {n} of {source} in version {version} tells of the heron."
        for n in range(sentences)
    )


def say(line: str) -> None:
    """Tell the parent at once."""
    print(line, flush=True)  # noqa: T201  the parent reads it


def main(home: Path, round_: int) -> None:
    """Ingest until the process is killed."""
    ingest_module.BATCH = 2
    with Library(home, HashingEmbedder()) as library:
        for number in count():
            source, version = f"source{number % SOURCES}", f"r{round_}n{number}"
            upload = Upload(write_document(source, version).encode(), f"{source}.txt")
            library.ingest(upload, progress=lambda _done, _total: say("progress"))
            say(f"done {source} {version}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
