"""The local language model, in a process of its own: `python -m qa.llama_child` with its options.

It serves the OpenAI protocol on a free loopback port, writes its address as one line of JSON, and
ends when its standard input does: when its parent dies, however that happens, so does it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

API_KEY_VARIABLE = "FOOTNOTE_CHILD_KEY"


def main() -> None:
    """Load the model, serve, and wait for the parent's end."""
    options = _parse()
    # The pipe to the parent carries one line; whatever a library prints goes to the log instead.
    parent = os.dup(1)
    os.dup2(2, 1)
    import xllamacpp  # type: ignore[import-untyped]  # noqa: PLC0415  a bad option need not wait

    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.model
    parameters.model_alias = {options.alias}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [os.environ[API_KEY_VARIABLE]]
    parameters.n_parallel = options.slots
    parameters.n_ctx = options.context * options.slots
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.threads
    parameters.endpoint_slots = False
    parameters.cache_ram_mib = options.cache_mib
    server = xllamacpp.Server(parameters)
    with os.fdopen(parent, "w") as out:
        out.write(json.dumps({"address": server.listening_address}) + "\n")
    sys.stdin.buffer.read()
    # The server's threads hold nothing worth saving, and its destructor waits for open requests.
    os._exit(0)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m qa.llama_child")
    parser.add_argument("--model", required=True, help="path of a GGUF file")
    parser.add_argument("--alias", required=True, help="the name that the server gives the model")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--context", type=int, required=True, help="tokens of each slot")
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--cache-mib", type=int, default=512, help="memory for past prompts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
