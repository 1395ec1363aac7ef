from __future__ import annotations

import pytest
from pydantic import ValidationError

from api.schemas import (
    AnswerResponse,
    AskRequest,
    DocumentBody,
    DocumentRequest,
    PassageBody,
    Schema,
    SearchRequest,
)
from index.types import DocumentRecord, Hit, Passage
from qa.types import Answer, Evidence, Exchange, Refusal, RefusalCode, Timings

PASSAGE = Passage("p1", "d1", 10, 15, "quote", "A title", section="A section", page=2)
HIT = Hit(PASSAGE, score=0.0312345678, similarity=0.5, dense_rank=1)


def make_answer(refusal: Refusal | None) -> Answer:
    return Answer(
        question="why?",
        answered=refusal is None,
        text="" if refusal else "because",
        refusal=refusal,
        citations=(),
        passages=(HIT,),
        model="scripted",
        timings=Timings(retrieve=0.123456, read=1.0, total=1.123456),
        evidence=(Evidence(1, "d1", "A title", 10, 15, "quote"),),
    )


def test_history_takes_questions_alone_and_with_their_answers() -> None:
    asked = AskRequest.model_validate(
        {"question": "why?", "history": ["who?", {"question": "when?", "answer": "then"}]}
    ).to_ask("default")

    assert asked.history == (Exchange("who?"), Exchange("when?", "then"))
    assert asked.collection == "default"


@pytest.mark.parametrize("schema", [AskRequest, SearchRequest, DocumentRequest])
def test_a_field_that_is_not_there_is_an_error(schema: type[Schema]) -> None:
    body = {"question": "a", "query": "a", "text": "a"}
    (field,) = set(schema.model_fields) & set(body)

    schema.model_validate({field: "a"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        schema.model_validate({field: "a", "colour": "red"})


@pytest.mark.parametrize("half", ["\ud800", "a\udfff"])
def test_half_of_a_surrogate_pair_is_no_question(half: str) -> None:
    with pytest.raises(ValidationError, match="surrogate"):
        AskRequest(question=half)
    with pytest.raises(ValidationError, match="surrogate"):
        SearchRequest(query=half)
    with pytest.raises(ValidationError, match="surrogate"):
        AskRequest.model_validate({"question": "a", "history": [{"question": half}]})


def test_a_character_beyond_the_basic_plane_is_one() -> None:
    assert AskRequest(question="why 😀?").to_ask("default").question == "why 😀?"


def test_a_passage_goes_out_with_its_place_and_both_ranks() -> None:
    body = PassageBody.of(HIT)

    assert (body.start, body.end, body.page, body.section) == (10, 15, 2, "A section")
    assert (body.dense_rank, body.keyword_rank) == (1, None)
    assert body.score == 0.031235
    assert body.url == "/documents/d1/view#10-15"


def test_an_answer_goes_out_without_a_reason() -> None:
    body = AnswerResponse.of(make_answer(None))

    assert (body.answered, body.answer, body.reason) == (True, "because", None)
    assert [e.model_dump() for e in body.evidence] == [
        {"document_id": "d1", "start": 10, "end": 15}
    ]
    assert body.timings.retrieve == 0.1235
    assert body.timings.first_token is None


def test_a_refusal_goes_out_with_its_code_and_terms() -> None:
    refusal = Refusal(RefusalCode.UNSUPPORTED_NAME, "No.", ("Ada",))
    body = AnswerResponse.of(make_answer(refusal))

    assert body.answered is False
    assert body.reason is not None
    assert body.reason.model_dump() == {
        "code": "unsupported_name",
        "message": "No.",
        "terms": ["Ada"],
    }


def test_a_document_goes_out_with_its_view() -> None:
    record = DocumentRecord("d1", "default", "s", "t", "text/plain", "h", 5, 1, "then", "now")

    assert DocumentBody.of(record).url == "/documents/d1/view"
