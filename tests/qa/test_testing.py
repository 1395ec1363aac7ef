import asyncio

import pytest

from qa.testing import ScriptedChatModel, always


def test_a_scripted_model_streams_its_reply_a_word_at_a_time() -> None:
    model = ScriptedChatModel(script=always("Two  words\nhere"))
    pieces = [str(chunk.text) for chunk in model.stream("anything")]
    assert "".join(pieces) == "Two  words\nhere"
    assert len([p for p in pieces if p]) > 2


def test_all_ways_of_asking_give_the_same_reply() -> None:
    model = ScriptedChatModel(script=lambda shown: f"You said: {shown}")

    async def stream() -> str:
        return "".join([str(chunk.text) async for chunk in model.astream("hello there")])

    assert model.invoke("hello there").text == "You said: hello there"
    assert asyncio.run(model.ainvoke("hello there")).text == "You said: hello there"
    assert asyncio.run(stream()) == "You said: hello there"


def test_a_scripted_model_remembers_what_it_was_asked() -> None:
    model = ScriptedChatModel(script=always("yes"))
    model.invoke("one")
    list(model.stream("two"))
    assert model.asked == ["one", "two"]
    assert ScriptedChatModel(script=always("yes")).asked == []


def test_a_scripted_error_is_raised_in_the_middle_of_the_stream() -> None:
    model = ScriptedChatModel(script=lambda _shown: TimeoutError("too slow"))
    pieces: list[str] = []
    with pytest.raises(TimeoutError, match="too slow"):
        pieces.extend(str(chunk.text) for chunk in model.stream("anything"))
    stream = model.stream("anything")
    assert next(stream).text
    with pytest.raises(TimeoutError, match="too slow"):
        model.invoke("anything")
