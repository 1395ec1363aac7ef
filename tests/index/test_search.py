from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from index.errors import CollectionNotFoundError, EmbedderMismatchError
from index.library import Upload
from index.search import (
    FUSION_K,
    fuse,
    query_words,
    search,
    sentences_by_score,
)
from index.testing import HashingEmbedder
from index.types import Hit, Passage, SentenceHit, Span

if TYPE_CHECKING:
    from index.library import Library

BIRDS = b"The heron waits in the reeds. It eats fish. A kingfisher dives."
OTTERS = b"The otter swims under the ice. It eats crabs."


def ingest(library: Library, data: bytes, *, source: str) -> str:
    return library.ingest(Upload(data, f"{source}.txt", source=source)).record.id


def find(
    library: Library, query: str, *, limit: int = 8, beside: tuple[str, ...] = ()
) -> list[Hit]:
    return search(
        query,
        collection="default",
        limit=limit,
        catalog=library.catalog,
        vectors=library.vectors,
        embedder=library.embedder,
        beside=beside,
    )


def test_another_wording_brings_what_it_finds_and_the_query_keeps_its_own_figures(
    library: Library,
) -> None:
    birds = ingest(library, BIRDS, source="birds")
    otters = ingest(library, OTTERS, source="otters")
    alone = find(library, "heron")
    both = find(library, "heron", beside=("otter crabs ice", "otter swims"))
    assert [h.passage.document_id for h in alone] == [birds, otters]
    assert [h.passage.document_id for h in both] == [otters, birds]
    assert {h.passage.document_id: (h.similarity, h.dense_rank, h.keyword_rank) for h in both} == {
        h.passage.document_id: (h.similarity, h.dense_rank, h.keyword_rank) for h in alone
    }


def test_fusion_adds_one_over_k_plus_the_place_of_each_ranking() -> None:
    assert fuse([["a", "b"], ["b", "c"]], k=60) == pytest.approx(
        {"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62}
    )
    assert fuse([], k=60) == {}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("What does the Heron eat, the heron?", ["heron", "eat"]),
        ("What is this?", ["what", "is", "this"]),
        ("?!", []),
    ],
)
def test_words_without_a_topic_are_dropped_unless_there_are_no_others(
    query: str, words: list[str]
) -> None:
    assert query_words(query) == words


def test_a_hit_carries_its_score_ranks_and_similarity(library: Library) -> None:
    birds = ingest(library, BIRDS, source="birds")
    ingest(library, OTTERS, source="otters")
    hits = find(library, "heron reeds")
    assert hits[0].passage.document_id == birds
    assert (hits[0].dense_rank, hits[0].keyword_rank) == (1, 1)
    assert hits[0].score == pytest.approx(2 / (FUSION_K + 1))
    assert (hits[1].dense_rank, hits[1].keyword_rank) == (2, None)
    assert hits[1].score == pytest.approx(1 / (FUSION_K + 2))
    query = library.embedder.embed_queries(["heron reeds"])[0]
    vector = library.embedder.embed_passages([hits[0].passage])[0].vector
    assert hits[0].similarity == pytest.approx(float(query @ vector), abs=1e-5)


def test_every_sentence_of_a_hit_is_scored_and_the_answering_one_best(library: Library) -> None:
    ingest(library, BIRDS, source="birds")
    ingest(library, OTTERS, source="otters")
    hits = find(library, "which kingfisher dives")
    assert [s.span for s in hits[0].sentences] == list(hits[0].passage.sentences)
    hit, best = sentences_by_score(hits)[0]
    assert hit.passage.slice(best.span) == "A kingfisher dives."
    assert best.score == max(s.score for h in hits for s in h.sentences)
    assert sum(s.chance for h in hits for s in h.sentences) == pytest.approx(1)


def test_the_limit_bounds_the_hits(library: Library) -> None:
    for number in range(5):
        ingest(library, f"A heron, number {number}.".encode(), source=str(number))
    assert len(find(library, "heron", limit=3)) == 3


@pytest.mark.parametrize("query", ["what is it", "the", "?!", '"" OR (', "你好", "\ud800"])
def test_a_query_without_topic_words_still_finds(library: Library, query: str) -> None:
    ingest(library, BIRDS, source="birds")
    assert find(library, query)


def test_passages_that_are_not_live_are_never_hits(library: Library) -> None:
    """A row of the vector index that the catalog does not vouch for stays unseen."""
    birds = ingest(library, BIRDS, source="birds")
    query = library.embedder.embed_queries(["heron"])
    library.vectors.upsert("default", ["stray"], query)
    assert {h.passage.document_id for h in find(library, "heron")} == {birds}
    library.delete(birds)
    assert find(library, "heron") == []


def test_a_passage_that_only_the_words_found_gets_its_cosine(library: Library) -> None:
    ingest(library, BIRDS, source="birds")
    passage = next(iter(library.catalog.live_ids("default")))
    library.vectors.delete("default", [passage])
    hit = find(library, "heron")[0]
    assert (hit.dense_rank, hit.keyword_rank) == (None, 1)
    assert 0.0 < hit.similarity < 1.0


def test_an_unknown_collection_cannot_be_searched(library: Library) -> None:
    with pytest.raises(CollectionNotFoundError):
        find(library, "heron")


def test_vectors_of_another_embedder_are_not_searched(library: Library) -> None:
    ingest(library, BIRDS, source="birds")
    other = HashingEmbedder()
    other.name = "another of 64"
    library.embedder = other
    with pytest.raises(EmbedderMismatchError):
        find(library, "heron")


def test_ties_of_sentences_keep_the_order_of_the_hits() -> None:
    alike = (SentenceHit(Span(0, 1), 0.5, 0.5),)
    hits = [
        Hit(Passage(id_, "d", 0, 1, "x", "t"), 1.0, 1.0, sentences=alike)
        for id_ in ("first", "second")
    ]
    assert [hit.passage.id for hit, _ in sentences_by_score(hits)] == ["first", "second"]
