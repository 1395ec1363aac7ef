"""Try a Chroma folder in a process of its own: exit code 0 says that it can be opened and read."""

from __future__ import annotations

import sys
from pathlib import Path

from index.vectors import open_client


def main(store: Path) -> None:
    """Read every id and ask every collection for a neighbour."""
    client = open_client(store)
    for collection in client.list_collections():
        rows = collection.get(include=["embeddings"], limit=1)
        if collection.count() != len(collection.get(include=[])["ids"]):
            raise SystemExit(1)
        if len(rows["ids"]):
            collection.query(query_embeddings=rows["embeddings"], n_results=1)
    client.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
