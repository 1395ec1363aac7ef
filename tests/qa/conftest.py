import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from index.library import Library, Upload
from index.testing import HashingEmbedder

SEED = Path(__file__).parents[2] / "seeds" / "alibaba-ai-investment.txt"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("FOOTNOTE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def seed_text() -> str:
    return SEED.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def seed_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Give a library that holds the seed document; nobody may change it."""
    with Library(tmp_path_factory.mktemp("seed"), HashingEmbedder(512)) as library:
        library.ingest(Upload(SEED.read_bytes(), SEED.name))
        yield library
