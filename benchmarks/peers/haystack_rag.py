"""Haystack, as in "Creating Your First QA Pipeline with Retrieval-Augmentation".

https://haystack.deepset.ai/tutorials/27_first_rag_pipeline: `InMemoryDocumentStore`, the
Sentence Transformers embedders (a package of their own since Haystack 3), an
`InMemoryEmbeddingRetriever` with its default of 10 documents, the tutorial's prompt in a
`ChatPromptBuilder`, and `OpenAIChatGenerator`.

Other than there, since all peers have the same documents, models and server: the tutorial's
documents are short and indexed whole, while MiniLM would read 256 tokens of an article, so a
`DocumentSplitter` comes first with its defaults, 200 words without overlap
(https://docs.haystack.deepset.ai/docs/documentsplitter); the model folder is local; the generator
has an `api_base_url`, temperature 0, a limit of tokens and a longer timeout. The retriever's 10
documents are then 2000 words, the longest prompt of all peers. The tutorial sets no fewer.
"""

from __future__ import annotations

from collections.abc import Sequence

import sentence_transformers  # noqa: F401  loading libraries is not part of the ingest
from haystack import Document, Pipeline
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.dataclasses import ChatMessage
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import Secret
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from protocol import (
    ANSWER_TOKENS,
    TEMPERATURE,
    TIMEOUT_SECONDS,
    Given,
    Options,
    Place,
    Source,
    run,
)

TEMPLATE = """
Given the following information, answer the question.

Context:
{% for document in documents %}
    {{ document.content }}
{% endfor %}

Question: {{question}}
Answer:
"""


class BasicRag:
    """The tutorial's pipeline; everything is kept in memory."""

    def __init__(self, options: Options) -> None:
        self.store = InMemoryDocumentStore()
        self.embedder = SentenceTransformersDocumentEmbedder(
            model=str(options.embedder), progress_bar=False
        )
        self.embedder.warm_up()
        self.pipeline = Pipeline()
        self.pipeline.add_component(
            "text_embedder",
            SentenceTransformersTextEmbedder(model=str(options.embedder), progress_bar=False),
        )
        self.pipeline.add_component("retriever", InMemoryEmbeddingRetriever(self.store))
        self.pipeline.add_component(
            "prompt_builder",
            ChatPromptBuilder(
                template=[ChatMessage.from_user(TEMPLATE)],
                required_variables=["documents", "question"],
            ),
        )
        self.pipeline.add_component("llm", _generator(options))
        self.pipeline.connect("text_embedder.embedding", "retriever.query_embedding")
        self.pipeline.connect("retriever", "prompt_builder.documents")
        self.pipeline.connect("prompt_builder.prompt", "llm.messages")
        self.pipeline.warm_up()

    def ingest(self, documents: Sequence[Source]) -> int:
        """Split, embed and store."""
        whole = [Document(content=d.text, meta={"source": d.id}) for d in documents]
        chunks = DocumentSplitter().run(documents=whole)["documents"]
        embedded = self.embedder.run(chunks)["documents"]
        return self.store.write_documents(embedded)

    def ask(self, question: str) -> Given:
        """Run the pipeline."""
        out = self.pipeline.run(
            {"text_embedder": {"text": question}, "prompt_builder": {"question": question}},
            include_outputs_from={"retriever"},
        )
        found = [_place(d) for d in out["retriever"]["documents"]]
        return Given(out["llm"]["replies"][0].text or "", found)


def _generator(options: Options) -> OpenAIChatGenerator:
    return OpenAIChatGenerator(
        api_key=Secret.from_token(options.api_key),
        model=options.model,
        api_base_url=options.base_url,
        generation_kwargs={"temperature": TEMPERATURE, "max_tokens": ANSWER_TOKENS},
        timeout=TIMEOUT_SECONDS,
    )


def _place(document: Document) -> Place:
    start = document.meta["split_idx_start"]
    return Place(document.meta["source"], start, start + len(document.content or ""))


if __name__ == "__main__":
    run(BasicRag)
