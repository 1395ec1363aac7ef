"""Footnote beside what one would build or pick instead: same questions, same models, one table.

    python benchmarks/peers/run.py QUESTIONS.jsonl --documents DOCUMENTS.jsonl --sample 100 --seed 1

Each peer follows its own documentation's quick start (its module says which and where it departs),
in a virtual environment of its own with pinned packages, one after the other, all asking one local
server. A run that was stopped goes on where it stopped: what was answered is not asked again.

Questions and documents are JSONL in the format of `benchmarks/answers.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from environments import prepare, versions
from platformdirs import user_cache_path
from protocol import CONTEXT_TOKENS, read_output, read_rows

from qa.llama import LlamaOptions, LlamaServer
from qa.settings import Settings
from qa.weights import ADAPTERS, LOCAL_MODELS, MINILM, ensure, folder_of

# Nothing heavy may be imported here: on Linux a process begins with the peak memory of the one that
# started it, and the peers report theirs.

CACHE = user_cache_path("footnote") / "peers"
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"
LANGUAGE_MODEL = LOCAL_MODELS["local"]
LOADING_SECONDS = 300.0
PROGRESS_SECONDS = 30.0
ENVIRONMENT = {
    "ANONYMIZED_TELEMETRY": "False",
    "CUDA_VISIBLE_DEVICES": "",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}
"""All embed on the processor, and none asks anything but the local server."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A peer: its name on the command line and in the table, and its script."""

    name: str
    title: str
    script: str
    own_environment: bool = True


CONTENDERS = (
    Contender("footnote", "Footnote", "footnote_peer.py", own_environment=False),
    Contender("langchain", "LangChain RAG tutorial", "langchain_tutorial.py"),
    Contender("llamaindex", "LlamaIndex starter", "llamaindex_starter.py"),
    Contender("haystack", "Haystack first RAG pipeline", "haystack_rag.py"),
    Contender("txtai", "txtai RAG quick start", "txtai_rag.py"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of whom: `chosen` is the file of the sampled questions."""

    options: argparse.Namespace
    questions: list[dict[str, Any]]
    chosen: Path
    contenders: tuple[Contender, ...]

    def output(self, contender: Contender) -> Path:
        """Name a peer's output."""
        return Path(self.options.results) / f"{contender.name}.jsonl"

    def missing(self, contender: Contender) -> int:
        """Count the questions that a peer has not answered yet."""
        rows = read_output(self.output(contender))
        done = {row["id"] for row in rows if row["kind"] == "answer"}
        return sum(question["id"] not in done for question in self.questions)


def main() -> None:
    """Run every peer that is not done, and write the table."""
    plan = _plan(_parse())
    waiting = [c for c in plan.contenders if plan.missing(c)]
    interpreters = {
        c.name: prepare(c.name, plan.options.venvs) if c.own_environment else Path(sys.executable)
        for c in waiting
    }
    failed = []
    if waiting:
        with _server(plan.options.results) as server:
            failed = [c.name for c in waiting if not _run(c, interpreters[c.name], plan, server)]
    _publish(plan)
    if failed:
        raise SystemExit(f"not finished: {', '.join(failed)}; see the logs in the results folder")


def sample(rows: Sequence[dict[str, Any]], count: int | None, seed: int) -> list[dict[str, Any]]:
    """Choose questions by chance; they stay in the file's order."""
    if count is None or count >= len(rows):
        return list(rows)
    places = random.Random(seed).sample(range(len(rows)), count)  # noqa: S311  a repeatable choice
    return [rows[place] for place in sorted(places)]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=None, help="so many questions, by chance")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=_names, default=CONTENDERS, help="peers, with commas")
    parser.add_argument("--again", action="store_true", help="throw away what they answered before")
    parser.add_argument("--venvs", type=Path, default=CACHE / "venvs", help="environments' folder")
    parser.add_argument("--results", type=Path, default=CACHE / "results", help="outputs' folder")
    parser.add_argument("--out", type=Path, default=None, help="a Markdown file for the table")
    options = parser.parse_args()
    for name in ("venvs", "results"):
        setattr(options, name, getattr(options, name).expanduser().absolute())
    return options


def _names(text: str) -> tuple[Contender, ...]:
    wanted = text.split(",")
    known = {c.name: c for c in CONTENDERS}
    if unknown := [name for name in wanted if name not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
    return tuple(c for c in CONTENDERS if c.name in wanted)


def _plan(options: argparse.Namespace) -> Plan:
    options.results.mkdir(parents=True, exist_ok=True)
    questions = sample(read_rows(options.questions), options.sample, options.seed)
    plan = Plan(options, questions, options.results / "questions.chosen.jsonl", options.only)
    content = "".join(json.dumps(question) + "\n" for question in questions).encode()
    about = {
        "questions": hashlib.sha256(content).hexdigest(),
        "documents": hashlib.sha256(options.documents.read_bytes()).hexdigest(),
        "model": LANGUAGE_MODEL.name,
    }
    _check_same(plan, about)
    plan.chosen.write_bytes(content)
    return plan


def _check_same(plan: Plan, about: dict[str, str]) -> None:
    """Keep outputs of other questions out of this run's table."""
    path = plan.options.results / "about.json"
    same = path.exists() and json.loads(path.read_text()) == about
    if path.exists() and not same and not plan.options.again:
        raise SystemExit(
            f"{plan.options.results} has the results of other questions, documents or models. "
            "Give another --results, or --again to throw them away."
        )
    if plan.options.again:
        for contender in plan.contenders if same else CONTENDERS:
            plan.output(contender).unlink(missing_ok=True)
    path.write_text(json.dumps(about, indent=2) + "\n")


@contextlib.contextmanager
def _server(results: Path) -> Iterator[LlamaServer]:
    cache = Settings().cache_path
    ensure(MINILM, cache)
    folder = ensure(LANGUAGE_MODEL, cache)
    server = LlamaServer(
        LlamaOptions(
            model=folder / LANGUAGE_MODEL.main,
            alias=LANGUAGE_MODEL.name,
            log=results / "model.log",
            context=CONTEXT_TOKENS,
            adapter=ADAPTERS[LANGUAGE_MODEL.name],
        )
    )
    server.start()
    try:
        _warm(server)
        yield server
    finally:
        server.close()


def _warm(server: LlamaServer) -> None:
    """Let the model answer once: the first peer shall not wait for its weights to be read."""
    body = {"model": LANGUAGE_MODEL.name, "messages": [{"role": "user", "content": "Say yes."}]}
    answer = httpx.post(
        f"{server.address(LOADING_SECONDS)}/v1/chat/completions",
        json=body | {"max_tokens": 1},
        headers={"Authorization": f"Bearer {server.key}"},
        timeout=LOADING_SECONDS,
        trust_env=False,
    )
    answer.raise_for_status()


def _run(contender: Contender, python: Path, plan: Plan, server: LlamaServer) -> bool:
    total = len(plan.questions)
    print(f"{contender.name}: {plan.missing(contender)} of {total} questions to ask", flush=True)
    work = plan.options.results / "work" / contender.name
    shutil.rmtree(work, ignore_errors=True)
    command = _command(contender, python, plan, server, work)
    with (plan.options.results / f"{contender.name}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  the peers' own scripts
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=_environment()
        )
    try:
        _watch(process, contender, plan)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(work, ignore_errors=True)
    missing = plan.missing(contender)
    print(f"{contender.name}: {total - missing} of {total} answered", flush=True)
    return missing == 0


def _command(
    contender: Contender, python: Path, plan: Plan, server: LlamaServer, work: Path
) -> list[str]:
    return [
        *(str(python), str(Path(__file__).with_name(contender.script))),
        *("--documents", str(plan.options.documents), "--questions", str(plan.chosen)),
        *("--base-url", f"{server.address(LOADING_SECONDS)}/v1", "--api-key", server.key),
        *("--model", LANGUAGE_MODEL.name),
        *("--embedder", str(folder_of(MINILM, Settings().cache_path))),
        *("--work", str(work), "--out", str(plan.output(contender))),
    ]


def _environment() -> dict[str, str]:
    """Give the peers' environment: no setting of Footnote's own, no network but the loopback."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("FOOTNOTE_")}
    return plain | ENVIRONMENT


def _watch(process: subprocess.Popen[bytes], contender: Contender, plan: Plan) -> None:
    said, at = -1, time.monotonic()
    while process.poll() is None:
        time.sleep(0.5)
        if time.monotonic() - at >= PROGRESS_SECONDS:
            at = time.monotonic()
            done = len(plan.questions) - plan.missing(contender)
            if done != said:
                print(f"{contender.name}: {done} of {len(plan.questions)}", flush=True)
                said = done


def _publish(plan: Plan) -> None:
    from table import Result, write_notes, write_table  # noqa: PLC0415  numpy, after the peers

    results = []
    done = [c for c in CONTENDERS if not plan.missing(c)]
    for contender in done:
        rows = read_output(plan.output(contender))
        ingest = next(row for row in rows if row["kind"] == "ingest")
        answers = {row["id"]: row for row in rows if row["kind"] == "answer"}
        results.append(Result(contender.title, ingest, answers))
    if not results:
        return
    table = write_table(results, plan.questions)
    text = "\n\n".join([_about(plan), table, write_notes(), _versions(done)])
    print(f"\n{text}")
    if plan.options.out:
        _put(plan.options.out, text)


def _about(plan: Plan) -> str:
    answerable = sum(question["answerable"] for question in plan.questions)
    chosen = f", chosen by chance with seed {plan.options.seed}" if plan.options.sample else ""
    return (
        f"Measured on {datetime.now(UTC).date().isoformat()} on {os.cpu_count()} cores "
        f"({platform.machine()}): {len(plan.questions)} questions of {plan.options.questions.name}"
        f"{chosen} ({answerable} answerable), over all documents of {plan.options.documents.name}. "
        f"All embed with {MINILM.name} and ask {LANGUAGE_MODEL.name}, temperature 0."
    )


def _versions(done: Sequence[Contender]) -> str:
    lines = [f"- {c.title}: {', '.join(versions(c.name))}" for c in done if c.own_environment]
    return "\n".join(["Versions:", "", *lines]) if lines else ""


def _put(path: Path, text: str) -> None:
    """Write between the marks, or after what is there."""
    block = f"{BEGIN}\n{text.rstrip()}\n{END}\n"
    old = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    before, begin, rest = old.partition(BEGIN)
    if begin and END in rest:
        new = before + block + rest.partition(END)[2].removeprefix("\n")
    else:
        new = f"{old.rstrip()}\n\n{block}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(new, encoding="utf-8")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
