from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from index.testing import HashingEmbedder
from index.types import Passage, Span


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_every_text_has_a_direction_of_unit_length(texts: list[str]) -> None:
    vectors = HashingEmbedder(16).embed_queries(texts)
    assert vectors.shape == (len(texts), 16)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_texts_that_share_words_are_nearer_than_those_that_do_not() -> None:
    heron, same, other = HashingEmbedder().embed_queries(["a heron waits", "Heron!", "an otter"])
    assert heron @ same > heron @ other


def test_the_vector_of_a_text_is_the_same_in_every_process() -> None:
    """Python's own `hash` of a string is not."""
    vector = HashingEmbedder(64).embed_queries(["heron"])[0]
    assert int(np.argmax(vector)) == 50


def test_a_passage_and_its_sentences_are_embedded_as_texts() -> None:
    embedder = HashingEmbedder()
    text = "A heron. An otter."
    passage = Passage("p", "d", 5, 5 + len(text), text, "t", sentences=(Span(5, 13), Span(14, 23)))
    (embedded,) = embedder.embed_passages([passage])
    expected = embedder.embed_queries([text, "A heron.", "An otter."])
    assert np.allclose(embedded.vector, expected[0])
    assert np.allclose(embedded.sentences, expected[1:])


def test_the_name_tells_dimensions_apart() -> None:
    assert HashingEmbedder(32).name != HashingEmbedder(64).name
