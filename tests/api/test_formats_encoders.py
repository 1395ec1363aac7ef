"""The encoders of the foreign formats, fed with events by hand."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from api.errors import to_problem
from api.events import Format, encode
from api.formats.common import NoQuestionError, converse, publish, words
from api.formats.deep_chat import WITHDRAWN, DeepChatStream
from api.formats.flowise import PredictionRequest, PredictionStream
from api.formats.openai import ChatStream, Head
from api.formats.openai_responses import Response, ResponseStream
from api.formats.vercel import UIMessageStream
from qa.errors import ModelBusyError
from qa.types import (
    Answer,
    Citation,
    Cited,
    Ended,
    Event,
    Exchange,
    Refusal,
    RefusalCode,
    Refused,
    Started,
    Timings,
    Token,
    Usage,
)

BASE = "https://docs.example"
TEXT = "🏮 Twelve\u2028lamps & 🎐 bell\x85\n\nmore."
CLAIM = "🎐 bell"
CITATION = Citation(
    marker=1,
    document_id="d1",
    title="Lamps\u2029",
    quote="one 🔔 bell",
    start=3,
    end=13,
    page=None,
    section=None,
    answer_start=TEXT.index(CLAIM),
    answer_end=TEXT.index(CLAIM) + len(CLAIM),
)
ANSWER = Answer(
    question="how many?",
    answered=True,
    text=TEXT,
    refusal=None,
    citations=(CITATION,),
    passages=(),
    model="scripted",
    timings=Timings(first_token=0.1),
    usage=Usage(7, 3),
)
REFUSAL = Answer(
    question="how many?",
    answered=False,
    text="",
    refusal=Refusal(RefusalCode.NOT_STATED, "The documents found do not say."),
    citations=(),
    passages=(),
    model="scripted",
    timings=Timings(),
)
EVENTS = (Started("how many?", "scripted"), Token("Unproven"), Cited(CITATION), Ended(ANSWER))

FORMATS: dict[str, Callable[[], Format[Event]]] = {
    "chat": lambda: ChatStream(Head("default", BASE), usage=True),
    "responses": lambda: ResponseStream(Response("default", BASE)),
    "vercel": lambda: UIMessageStream(BASE),
    "deep-chat": lambda: DeepChatStream(BASE),
    "flowise": lambda: PredictionStream(BASE, "c1"),
}
HOLDING = [name for name in FORMATS if name != "deep-chat"]


def frames(form: Format[Event], *events: Event) -> list[str]:
    return [data.decode() for event in events for data in form.event(event)]


def data_of(frames: list[str]) -> list[Any]:
    lines = [line for frame in frames for line in frame.split("\n")]
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(d) for d in data if d != "[DONE]"]


def text_of(data: list[Any]) -> str:
    """Give the text that any of the formats adds up to."""
    text = ""
    for one in data:
        if one.get("overwrite"):
            text = ""
        pieces = [
            *(choice["delta"].get("content", "") for choice in one.get("choices", [])),
            one.get("delta", ""),
            one["text"] if "choices" not in one and "type" not in one and "text" in one else "",
            one.get("data", "") if one.get("event") == "token" else "",
        ]
        text += "".join(pieces)
    return text


@pytest.mark.parametrize("name", FORMATS)
def test_the_text_arrives_whole_and_each_frame_is_one_line_for_any_reader(name: str) -> None:
    sent = frames(FORMATS[name](), *EVENTS)

    assert text_of(data_of(sent)) == TEXT
    for frame in sent:
        assert frame.endswith("\n\n")
        assert len([line for line in frame.splitlines() if line.startswith("data: ")]) == 1
        assert len(frame.splitlines()) <= 3


@pytest.mark.parametrize("name", HOLDING)
def test_unproven_words_are_held(name: str) -> None:
    form = FORMATS[name]()

    assert frames(form, Token("Unproven"), Cited(CITATION)) == []
    assert "Unproven" not in "".join(frames(form, Ended(ANSWER)))


@pytest.mark.parametrize("name", FORMATS)
def test_a_refusal_is_its_message_as_text(name: str) -> None:
    sent = data_of(frames(FORMATS[name](), EVENTS[0], Refused(REFUSAL)))

    assert REFUSAL.refusal is not None
    assert text_of(sent) == REFUSAL.refusal.message
    assert "not_stated" in json.dumps(sent)


@pytest.mark.parametrize("name", FORMATS)
def test_links_are_absolute(name: str) -> None:
    sent = json.dumps(data_of(frames(FORMATS[name](), *EVENTS)))

    assert f'"{BASE}/documents/d1/view#3-13"' in sent
    assert '"/documents' not in sent


@pytest.mark.parametrize("name", FORMATS)
def test_an_error_is_told_with_what_to_do(name: str) -> None:
    problem = to_problem(ModelBusyError("17 questions are waiting."))
    sent = "".join(data.decode() for data in FORMATS[name]().problem(problem))

    assert "17 questions are waiting." in sent
    assert ModelBusyError.fix in sent


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_holds_its_words_still_breaks_the_silence(name: str) -> None:
    async def run() -> list[bytes]:
        enough = asyncio.Event()

        async def groups() -> AsyncIterator[tuple[Event, ...]]:
            for _ in itertools.count():
                yield (Cited(CITATION),)
                await asyncio.sleep(0)
                if enough.is_set():
                    return

        sent = []
        async for data in encode(groups(), form, heartbeat=0.001):
            sent.append(data)
            if len(sent) == 3:
                enough.set()
        return sent

    form = FORMATS[name]()
    sent = asyncio.run(run())

    assert len(sent) >= 3
    assert set(sent) == {form.beat()}
    assert text_of(data_of([form.beat().decode()])) == ""


def test_annotations_are_code_points_of_the_text() -> None:
    chunks = data_of(frames(FORMATS["chat"](), *EVENTS))
    (annotation,) = [
        a for c in chunks for choice in c["choices"] for a in choice["delta"].get("annotations", [])
    ]
    cited = annotation["url_citation"]

    assert TEXT[cited["start_index"] : cited["end_index"]] == CLAIM
    assert cited["start_index"] == 17
    assert chunks[-1]["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_usage_is_not_told_where_it_is_not_asked_for_or_not_known() -> None:
    silent = data_of(frames(ChatStream(Head("default", BASE), usage=False), *EVENTS))
    unknown = Ended(Answer(**{n: getattr(ANSWER, n) for n in fields()} | {"usage": None}))
    asked = data_of(frames(FORMATS["chat"](), unknown))

    assert not any("usage" in chunk for chunk in silent)
    assert (asked[-1]["choices"], asked[-1]["usage"]) == ([], None)


def fields() -> tuple[str, ...]:
    return tuple(Answer.__dataclass_fields__)


def test_deep_chat_shows_words_at_once_and_overwrites_them() -> None:
    form = FORMATS["deep-chat"]()

    assert data_of(frames(form, Token("Half"))) == [{"text": "Half"}]
    (last,) = data_of(frames(form, Ended(ANSWER)))
    assert last["overwrite"] is True
    assert last["text"] == TEXT
    assert last["custom"]["citations"][0]["quote"] == CITATION.quote
    assert "result" not in last


def test_deep_chat_takes_words_back_when_an_error_ends_them() -> None:
    problem = to_problem(ModelBusyError("No."))
    fresh, begun = DeepChatStream(BASE), DeepChatStream(BASE)
    frames(begun, Token("Half"))
    (without,) = data_of([d.decode() for d in fresh.problem(problem)])
    (taken,) = data_of([d.decode() for d in begun.problem(problem)])

    assert set(without) == {"error"}
    assert taken == {"text": WITHDRAWN, "overwrite": True, **without}


def test_flowise_names_its_events_inside_the_data() -> None:
    sent = frames(FORMATS["flowise"](), *EVENTS)
    names = [one["event"] for one in data_of(sent)]

    assert not any(frame.startswith("event:") for frame in sent)
    assert [n for n, _ in itertools.groupby(names)] == [
        "start",
        "token",
        "sourceDocuments",
        "metadata",
        "end",
    ]
    (document,) = next(d["data"] for d in data_of(sent) if d["event"] == "sourceDocuments")
    assert document["pageContent"] == CITATION.quote
    assert document["metadata"]["source"] == f"{BASE}/documents/d1/view#3-13"


def test_flowises_history_has_two_spellings() -> None:
    history = [
        {"role": "userMessage", "content": "who?"},
        {"type": "apiMessage", "message": "Ada."},
    ]
    sent = PredictionRequest.model_validate({"question": "when?", "history": history})

    assert sent.to_ask("default").history == (Exchange("who?", "Ada."),)
    assert sent.name_chat() != sent.name_chat()


@pytest.mark.parametrize(
    ("turns", "question", "history"),
    [
        ([(True, "a")], "a", ()),
        ([(True, "a"), (False, "b"), (True, "c")], "c", (Exchange("a", "b"),)),
        ([(True, "a"), (True, "c")], "c", (Exchange("a"),)),
        ([(False, "hello"), (True, "a")], "a", ()),
        ([(True, "a"), (False, "begun")], "a", ()),
        ([(True, "a"), (False, "b"), (False, "c"), (True, "d")], "d", (Exchange("a", "b\nc"),)),
    ],
)
def test_the_last_question_is_asked_with_the_exchanges_before_it(
    turns: Any, question: str, history: Any
) -> None:
    assert converse(turns) == (question, history)


@pytest.mark.parametrize("turns", [[], [(False, "hello")]])
def test_a_conversation_without_a_question_is_an_error(turns: Any) -> None:
    with pytest.raises(NoQuestionError):
        converse(turns)


@pytest.mark.parametrize("text", ["", " ", "a", "a b", " a  b \n", TEXT, "\n\n"])
def test_words_add_up_to_the_text(text: str) -> None:
    assert "".join(words(text)) == text


def test_publishing_an_answer_leaves_its_offsets_alone() -> None:
    told = publish(ANSWER, BASE)

    assert told.citations[0].answer_start == CITATION.answer_start
    assert told.citations[0].url == BASE + CITATION.url
