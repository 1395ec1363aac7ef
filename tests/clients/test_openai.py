"""The `openai` package asks the server over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter

from qa.testing import ScriptedChatModel

openai = pytest.importorskip("openai", reason="the openai package is not installed")
chat_types = pytest.importorskip("openai.types.chat")
response_types = pytest.importorskip("openai.types.responses")

QUESTION = "how much will Alibaba invest?"
ANSWER = "€50 billion ($53.5 billion)"
STRANGER = "how much will Microsoft invest?"
BROKEN = "scripted broke off"


def say(text: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def connect(address: str) -> Any:
    return openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)


@pytest.fixture
def client(answering: str) -> Iterator[Any]:
    with connect(answering) as opened:
        yield opened


@pytest.fixture
def broken(failing: str) -> Iterator[Any]:
    with connect(failing) as opened:
        yield opened


def check_citation(url_citation: Any, content: str, address: str) -> None:
    claim = content[url_citation.start_index : url_citation.end_index]
    assert "50 billion" in claim
    assert url_citation.title
    assert url_citation.url.startswith(f"{address}/documents/")
    start, end = map(int, urlsplit(url_citation.url).fragment.split("-"))
    document = urlsplit(url_citation.url).path.removesuffix("/view")
    text = httpx.get(f"{address}/v1{document}/text").text
    assert "€50 billion" in text[start:end]


def extras(value: Any) -> set[str]:
    """Give the fields, anywhere within, that the package's types do not know."""
    if isinstance(value, BaseModel):
        inner = [getattr(value, name) for name in type(value).model_fields]
        return set(value.model_extra or {}).union(*map(extras, inner))
    if isinstance(value, list):
        return set().union(*map(extras, value))
    return set()


def test_a_completion_has_typed_annotations_on_the_claim(client: Any, answering: str) -> None:
    done = client.chat.completions.create(model="default", messages=say(QUESTION))
    message = done.choices[0].message

    assert message.content == ANSWER
    assert message.refusal is None
    assert done.choices[0].finish_reason == "stop"
    assert done.model == "default"
    assert message.annotations
    for annotation in message.annotations:
        assert isinstance(annotation, chat_types.chat_completion_message.Annotation)
        assert annotation.type == "url_citation"
        check_citation(annotation.url_citation, message.content, answering)
    assert done.footnote["answered"] is True
    assert done.footnote["citations"][0]["quote"]


def test_a_completion_is_valid_by_the_packages_own_types(answering: str) -> None:
    body = {"model": "footnote", "messages": say([{"type": "text", "text": QUESTION}])}
    sent = httpx.post(f"{answering}/v1/chat/completions", json=body).json()

    done = chat_types.ChatCompletion.model_validate(sent, strict=True)

    assert done.choices[0].message.annotations
    assert extras(done) == {"footnote"}


def test_a_refusal_is_text_with_the_reason_beside_it(client: Any) -> None:
    done = client.chat.completions.create(model="footnote", messages=say(STRANGER))

    assert "Microsoft" in done.choices[0].message.content
    assert done.choices[0].message.annotations == []
    assert done.footnote["reason"]["code"] == "name_not_in_evidence"
    assert done.footnote["passages"]
    assert done.usage.total_tokens == 0


def test_a_stream_adds_up_to_the_answer_then_its_annotations(client: Any, answering: str) -> None:
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            model="footnote", messages=say(STRANGER), stream=True, stream_options=options
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 0

    chunks = list(
        client.chat.completions.create(model="footnote", messages=say(QUESTION), stream=True)
    )
    deltas = [chunk.choices[0].delta for chunk in chunks]
    text = "".join(delta.content or "" for delta in deltas)

    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert deltas[0].role == "assistant"
    assert text == ANSWER
    assert sum(1 for delta in deltas if delta.content) > 1
    (annotated,) = [d.annotations for d in deltas if getattr(d, "annotations", None)]
    for annotation in annotated:
        parsed = chat_types.chat_completion_message.Annotation.model_validate(annotation)
        check_citation(parsed.url_citation, text, answering)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].footnote["answer"] == text


def test_every_chunk_is_valid_by_the_packages_own_types(answering: str) -> None:
    body = {
        "model": "default",
        "messages": say(QUESTION),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    lines = httpx.post(f"{answering}/v1/chat/completions", json=body).text.split("\n\n")
    data = [line.removeprefix("data: ") for line in lines if line]

    assert data.pop() == "[DONE]"
    chunks = [
        chat_types.ChatCompletionChunk.model_validate(json.loads(d), strict=True) for d in data
    ]
    assert extras(chunks) == {"annotations", "footnote"}


def test_the_packages_own_accumulator_takes_the_stream(client: Any) -> None:
    with client.chat.completions.stream(model="default", messages=say(QUESTION)) as stream:
        for _ in stream:
            pass
        done = stream.get_final_completion()

    assert done.choices[0].message.content == ANSWER
    assert done.choices[0].finish_reason == "stop"


def test_no_word_that_turns_out_unsupported_is_ever_sent(doubting: str) -> None:
    with connect(doubting) as client:
        stream = client.chat.completions.create(
            model="default", messages=say(QUESTION), stream=True
        )
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    assert text == chunks[-1].footnote["reason"]["message"]
    assert chunks[-1].footnote["reason"]["code"].startswith("unsupported")


def test_the_asynchronous_client_is_answered_alike(answering: str) -> None:
    async def ask() -> tuple[Any, str, str]:
        async with openai.AsyncOpenAI(
            base_url=f"{answering}/v1", api_key="none", max_retries=0
        ) as client:
            whole = await client.chat.completions.create(model="default", messages=say(QUESTION))
            stream = await client.chat.completions.create(
                model="default", messages=say(QUESTION), stream=True
            )
            text = "".join([c.choices[0].delta.content or "" async for c in stream])
            events = await client.responses.create(model="default", input=QUESTION, stream=True)
            last = [event async for event in events][-1]
            return whole, text, last.response.output_text

    whole, text, written = asyncio.run(ask())

    assert whole.choices[0].message.annotations
    assert text == written == whole.choices[0].message.content == ANSWER


def test_an_error_in_mid_stream_is_raised(broken: Any) -> None:
    stream = broken.chat.completions.create(model="default", messages=say(QUESTION), stream=True)
    seen: list[Any] = []

    with pytest.raises(openai.APIError, match=BROKEN) as raised:
        seen.extend(stream)
    assert raised.value.code == "model_unavailable"
    assert raised.value.type == "server_error"


def test_an_error_without_a_stream_has_its_status(broken: Any) -> None:
    with pytest.raises(openai.InternalServerError, match=BROKEN) as raised:
        broken.chat.completions.create(model="default", messages=say(QUESTION))
    assert raised.value.status_code == 503
    assert int(raised.value.response.headers["retry-after"]) > 0
    with pytest.raises(openai.InternalServerError):
        broken.responses.create(model="default", input=QUESTION)


def test_a_busy_server_is_an_error_to_try_again(busy: str) -> None:
    with connect(busy) as client, pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="default", messages=say(QUESTION))
    assert raised.value.code == "model_busy"
    assert int(raised.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_an_unknown_model_is_not_found(client: Any, *, stream: bool) -> None:
    for name in ("gpt-4o", "openai/gpt-4o"):
        with pytest.raises(openai.NotFoundError) as raised:
            client.chat.completions.create(model=name, messages=say(QUESTION), stream=stream)
        assert raised.value.code == "model_not_found"
        assert raised.value.param == "model"
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model=name, input=QUESTION, stream=stream)


@pytest.mark.parametrize(
    ("messages", "more"),
    [
        ([], {}),
        ([{"role": "assistant", "content": "Hello."}], {}),
        ([{"role": "system", "content": "Be brief."}], {}),
        (say(""), {}),
        (say([]), {}),
        (say("why " * 2500), {}),
        (say([{"type": "image_url", "image_url": {"url": "http://localhost/a.png"}}]), {}),
        (say(QUESTION), {"n": 2}),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(
    client: Any, messages: Any, more: dict[str, Any]
) -> None:
    for stream in (True, False):
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(
                model="default", messages=messages, stream=stream, **more
            )
        assert raised.value.type == "invalid_request_error"
        assert raised.value.body["message"]


def test_collections_are_models(client: Any) -> None:
    models = list(client.models.list())

    assert [model.id for model in models] == ["default", "lamps"]
    assert {model.owned_by for model in models} == {"footnote"}
    assert all(model.created > 1_700_000_000 for model in models)
    assert client.models.retrieve("lamps") == models[1]
    assert client.models.retrieve("footnote").id == "footnote"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nowhere")


def test_a_response_has_typed_annotations_on_the_claim(client: Any, answering: str) -> None:
    done = client.responses.create(model="default", instructions="Rhyme.", input=QUESTION)
    part = done.output[0].content[0]

    assert done.output_text == ANSWER
    assert done.status == "completed"
    assert part.type == "output_text"
    assert part.annotations
    for annotation in part.annotations:
        assert isinstance(annotation, response_types.response_output_text.AnnotationURLCitation)
        check_citation(annotation, part.text, answering)
    assert done.footnote["citations"]


def test_a_streamed_response_has_the_packages_events_in_order(client: Any) -> None:
    events = list(client.responses.create(model="default", input=say(QUESTION), stream=True))
    names = [event.type for event in events]
    deltas = names.count("response.output_text.delta")
    added = names.count("response.output_text.annotation.added")

    assert deltas > 1
    assert added >= 1
    assert names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        *["response.output_text.annotation.added"] * added,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(e.delta for e in events if e.type.endswith("text.delta")) == ANSWER
    last = events[-1].response
    told = [e.annotation for e in events if e.type.endswith("annotation.added")]
    kept = last.output[0].content[0].annotations
    assert [a.model_dump() for a in told] == [a.model_dump() for a in kept]


@pytest.mark.parametrize("question", [QUESTION, STRANGER])
def test_every_event_of_a_response_is_valid_by_the_packages_own_types(
    answering: str, question: str
) -> None:
    adapter = TypeAdapter(response_types.ResponseStreamEvent)
    body = {"model": "default", "input": question, "stream": True}
    text = httpx.post(f"{answering}/v1/responses", json=body).text
    for block in filter(None, text.split("\n\n")):
        name, data = block.split("\n")
        event = adapter.validate_python(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {event.type}"
        assert extras(event) <= {"footnote"}
    whole = httpx.post(f"{answering}/v1/responses", json=body | {"stream": False}).json()
    assert extras(response_types.Response.model_validate(whole)) == {"footnote"}


def test_the_packages_own_response_stream_takes_the_events(client: Any) -> None:
    with client.responses.stream(model="default", input=QUESTION) as stream:
        for _ in stream:
            pass
        done = stream.get_final_response()

    assert done.output_text == ANSWER
    assert done.output[0].content[0].annotations


def test_a_failing_model_fails_the_response(broken: Any) -> None:
    events = list(broken.responses.create(model="default", input=QUESTION, stream=True))

    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    assert BROKEN in events[-2].message
    assert events[-1].response.status == "failed"
    assert events[-1].response.error.code == "server_error"
    assert not any(event.type.endswith("delta") for event in events)


def test_a_response_that_needs_one_kept_before_is_a_bad_request(client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model="default", input=QUESTION, previous_response_id="resp_1")


def test_a_follow_up_is_understood_by_the_messages_before_it(serve: Any) -> None:
    def script(shown: str) -> str:
        return QUESTION if "Last question" in shown else ANSWER

    model = ScriptedChatModel(script=script)
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "what does Alibaba do?"},
        {"role": "assistant", "content": "It invests."},
        {"role": "user", "content": [{"type": "text", "text": "and how much?"}]},
    ]
    with connect(serve(model)) as client:
        done = client.chat.completions.create(model="default", messages=messages)

    assert done.footnote["question"] == QUESTION
    assert "what does Alibaba do?" in model.asked[0]
    assert "Be brief" not in model.asked[0]


def test_langchain_answers_through_it(answering: str) -> None:
    langchain = pytest.importorskip("langchain_openai")
    chat = langchain.ChatOpenAI(
        model="default", base_url=f"{answering}/v1", api_key="none", max_retries=0
    )

    assert chat.invoke(QUESTION).content == ANSWER
    assert "".join(chunk.content for chunk in chat.stream(QUESTION)) == ANSWER
