"""Kill the server with SIGKILL while it ingests, again and again, and look for what is lost.

    python benchmarks/kill_during_ingest.py [--rounds 20]

Each round starts the real server (`footnote serve`, real embedding model) on one data folder,
uploads generated documents, and kills it at a random moment. The next start must succeed, and every
document that any round saw acknowledged must be there with its whole text and be found. The last
round asks a question about one of them and checks the citation.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from qa.settings import Settings

START_SECONDS = 120.0


def main() -> None:
    """Run the rounds and print what was acknowledged and what was found again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311  a repeatable choice of moments
    acknowledged: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            server, address = _start(Path(folder))
            lost = _check(address, acknowledged)
            fresh = _upload_until_killed(server, address, number, chance.uniform(0.05, 3.0))
            acknowledged.update(fresh)
            print(
                f"round {number + 1}: {len(acknowledged)} acknowledged, {len(lost)} lost",
                flush=True,
            )
            if lost:
                raise SystemExit(f"lost: {lost}")
        server, address = _start(Path(folder))
        try:
            lost = _check(address, acknowledged)
            _ask(address, acknowledged)
        finally:
            server.terminate()
            server.wait()
    print(f"killed {options.rounds} times, started again each time; lost {len(lost)}")


def _start(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    environment = {
        **os.environ,
        "FOOTNOTE_HOME": str(home),
        "FOOTNOTE_CACHE": str(Settings().cache_path),
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "serve", "--port", "0"],
        env=environment,
        stderr=subprocess.PIPE,
    )
    assert server.stderr is not None
    for raw in server.stderr:
        line = raw.decode()
        if "Footnote is at " in line:
            address = line.split("Footnote is at ")[1].split()[0]
            threading.Thread(target=server.stderr.read, daemon=True).start()
            break
    else:
        raise SystemExit("the server did not start")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/healthz").is_success:
                return server, address
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit("the server did not answer")


def _upload_until_killed(
    server: subprocess.Popen[bytes], address: str, number: int, seconds: float
) -> dict[str, str]:
    done: dict[str, str] = {}
    first = threading.Event()

    def kill() -> None:
        first.wait(60)
        time.sleep(seconds)
        server.kill()

    threading.Thread(target=kill, daemon=True).start()
    count = 0
    while True:
        text = _text(f"{number}-{count}")
        body = {"text": text, "source": f"note-{number}-{count}", "title": f"Note {number}-{count}"}
        try:
            answer = httpx.post(f"{address}/v1/documents", json=body, timeout=60)
        except httpx.TransportError:
            break
        answer.raise_for_status()
        done[answer.json()["document"]["id"]] = text
        count += 1
        first.set()
    server.wait()
    return done


def _name(key: str) -> str:
    digest = hashlib.sha256(key.encode()).digest()
    syllables = ["bar", "del", "fen", "gor", "hal", "kel", "mor", "nis", "pol", "ras", "sul", "ton"]
    return "".join(syllables[byte % len(syllables)] for byte in digest[:4]).capitalize()


def _text(key: str) -> str:
    place = _name(key)
    facts = [f"In the {place} ledger, item {i} costs {i * 7 + 3} crowns." for i in range(40)]
    mayor = f"The mayor of {place} is Mara {_name(key + ' mayor')}."
    return f"{mayor}\n\n" + "\n".join(facts)


def _check(address: str, acknowledged: dict[str, str]) -> list[str]:
    lost = []
    for document_id, text in acknowledged.items():
        answer = httpx.get(f"{address}/v1/documents/{document_id}/text")
        if not answer.is_success or answer.text != text:
            lost.append(document_id)
    for document_id in list(acknowledged)[-3:]:
        query = acknowledged[document_id].splitlines()[0]
        found = httpx.post(f"{address}/v1/search", json={"query": query}, timeout=120).json()
        if document_id not in {p["document_id"] for p in found["passages"]}:
            lost.append(document_id)
    return lost


def _ask(address: str, acknowledged: dict[str, str]) -> None:
    """Ask about the first and the last documents, and hold each citation against its source."""
    texts = list(acknowledged.values())
    for text in (texts[0], texts[-1]):
        sentence = text.splitlines()[0]
        place, mayor = sentence.removeprefix("The mayor of ").rstrip(".").split(" is ")
        body = {"question": f"Who is the mayor of {place}?"}
        answer = httpx.post(f"{address}/v1/ask", json=body, timeout=300).json()
        print(f"asked: {body['question']} -> {answer['answer'] or answer['reason']}")
        assert answer["answered"]
        assert mayor in answer["answer"]
        for citation in answer["citations"]:
            source = httpx.get(f"{address}/v1/documents/{citation['document_id']}/text").text
            assert source[citation["start"] : citation["end"]] == citation["quote"]


if __name__ == "__main__":
    main()
