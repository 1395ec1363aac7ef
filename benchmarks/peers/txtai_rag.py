"""txtai, as in its "RAG Quick Start" and the notebook "Build RAG pipelines with txtai".

https://github.com/neuml/txtai/blob/master/examples/rag_quickstart.py gives the `Embeddings` with
content, the `RAG` pipeline with its default of 3 chunks, the system prompt, the template and the
flat output; https://github.com/neuml/txtai/blob/master/examples/52_Build_RAG_pipelines_with_txtai.ipynb
splits the text into paragraphs. The quick start's own splitting, sections of files that Docling has
read, would leave a plain text without page breaks whole, and MiniLM reads 256 tokens of it.

Other than there, since all peers have the same documents, models and server: the documents are
text already, so `Segmentation` splits them, which `Textractor` does after it has read a file; the
model is "openai/NAME" with an `api_base`, which https://neuml.github.io/txtai/pipeline/llm/llm/
gives for OpenAI-compatible servers (through LiteLLM), with temperature 0, a limit of tokens and a
longer timeout. The index is saved, for its size on disk.
"""

from __future__ import annotations

from collections.abc import Sequence

import litellm  # noqa: F401  loading libraries is not part of the ingest
from protocol import (
    ANSWER_TOKENS,
    TEMPERATURE,
    TIMEOUT_SECONDS,
    Given,
    Offsets,
    Options,
    Place,
    Source,
    run,
)
from txtai import LLM, RAG, Embeddings
from txtai.pipeline import Segmentation

CONTEXT = 3
"""The default of `RAG`, named here since the chunks are looked up once more to be reported."""
TEMPLATE = """
  Answer the following question using the provided context.

  Question:
  {question}

  Context:
  {context}
"""


class QuickStart:
    """The quick start's embeddings database and pipeline."""

    def __init__(self, options: Options) -> None:
        self.work = options.work
        self.places: list[Place] = []
        self.embeddings = Embeddings(content=True, path=str(options.embedder))
        model = LLM(
            f"openai/{options.model}",
            method="litellm",
            api_base=options.base_url,
            api_key=options.api_key,
            timeout=TIMEOUT_SECONDS,
        )
        self.rag = RAG(
            self.embeddings,
            model,
            system="You are a friendly assistant",
            template=TEMPLATE,
            output="flatten",
        )

    def ingest(self, documents: Sequence[Source]) -> int:
        """Split into paragraphs, embed and save."""
        split = Segmentation(paragraphs=True)
        texts = []
        for document in documents:
            offsets = Offsets(document.text)
            for chunk in split(document.text):
                start, end = offsets.find(chunk) or (None, None)
                self.places.append(Place(document.id, start, end))
                texts.append(chunk)
        self.embeddings.index(enumerate(texts))
        self.embeddings.save(str(self.work / "index"))
        return len(texts)

    def ask(self, question: str) -> Given:
        """Run the pipeline, and look up what it put into its prompt."""
        answer = self.rag(question, maxlength=ANSWER_TOKENS, temperature=TEMPERATURE)
        found = self.embeddings.search(question, CONTEXT)
        return Given(str(answer), [self.places[int(row["id"])] for row in found])


if __name__ == "__main__":
    run(QuickStart)
