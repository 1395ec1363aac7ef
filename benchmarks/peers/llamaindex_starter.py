"""LlamaIndex, as in "Starter Tutorial (Using Local LLMs)".

https://developers.llamaindex.ai/python/framework/getting_started/starter_example_local: `Settings`
with a local embedding model and language model, `VectorStoreIndex.from_documents` and
`as_query_engine`, both with their defaults (sentences up to 1024 tokens a chunk, 20 of overlap; the
2 nearest chunks; the built-in prompt), and the index stored with `persist`, as it shows. The query
engine is asked directly, without the tutorial's agent around it, which would call the model once
more to choose a tool. MiniLM reads the first 256 tokens of a chunk: that is what the defaults give.

Other than there, since all peers have the same documents, models and server: `Document`s are made
from JSONL, not read from a folder, so no file path stands before their text; the model is
`OpenAILike`, which https://developers.llamaindex.ai/python/examples/llm/openai_like names for
OpenAI-compatible servers, with the server's window, temperature 0, a limit of tokens and a longer
timeout.
"""

from __future__ import annotations

from collections.abc import Sequence

import sentence_transformers  # noqa: F401  loading libraries is not part of the ingest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.llms.openai_like import OpenAILike
from protocol import (
    ANSWER_TOKENS,
    CONTEXT_TOKENS,
    TEMPERATURE,
    TIMEOUT_SECONDS,
    Given,
    Options,
    Place,
    Source,
    run,
)


class Starter:
    """The tutorial's index and query engine."""

    def __init__(self, options: Options) -> None:
        Settings.embed_model = HuggingFaceEmbedding(model_name=str(options.embedder))
        Settings.llm = OpenAILike(
            model=options.model,
            api_base=options.base_url,
            api_key=options.api_key,
            context_window=CONTEXT_TOKENS,
            is_chat_model=True,
            temperature=TEMPERATURE,
            max_tokens=ANSWER_TOKENS,
            timeout=TIMEOUT_SECONDS,
        )
        self.work = options.work

    def ingest(self, documents: Sequence[Source]) -> int:
        """Split, embed and persist."""
        index = VectorStoreIndex.from_documents(
            [Document(text=document.text, id_=document.id) for document in documents]
        )
        index.storage_context.persist(str(self.work))
        self.engine = index.as_query_engine()
        return len(index.index_struct.nodes_dict)

    def ask(self, question: str) -> Given:
        """Query the engine."""
        response = self.engine.query(question)
        return Given(str(response), [_place(hit) for hit in response.source_nodes])


def _place(hit: NodeWithScore) -> Place:
    node = hit.node
    assert isinstance(node, TextNode)
    return Place(node.ref_doc_id or "", node.start_char_idx, node.end_char_idx)


if __name__ == "__main__":
    run(Starter)
