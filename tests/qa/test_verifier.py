"""How sentences are laid out for a verifier."""

from __future__ import annotations

import pytest

from qa.verifier import sentence_spans


@pytest.mark.parametrize("sentences", [[], ["One."], ["One.", "Two two.", "Three"]])
def test_each_sentence_is_found_where_they_are_joined(sentences: list[str]) -> None:
    whole = " ".join(sentences)
    assert [whole[start:end] for start, end in sentence_spans(sentences)] == sentences
