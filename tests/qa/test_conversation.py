import asyncio

import pytest

from qa.conversation import MAX_CHARACTERS, TURNS, stand_alone, stands_alone
from qa.testing import ScriptedChatModel, always
from qa.types import Exchange

HISTORY = (Exchange("Who leads Alibaba?", "Eddie Wu"),)


def rewrite(reply: str, *history: Exchange) -> tuple[str, list[str]]:
    """Give what "And since when?" becomes, and the prompts that it took."""
    model = ScriptedChatModel(script=always(reply))
    return asyncio.run(stand_alone("And since when?", history, model)), model.asked


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Since when does Eddie Wu lead Alibaba?", "Since when does Eddie Wu lead Alibaba?"),
        ("Question: Since when\ndoes he lead?", "Since when does he lead?"),
        ("", "And since when?"),
        (" \n", "And since when?"),
        ("x" * (MAX_CHARACTERS + 1), "And since when?"),
    ],
)
def test_a_follow_up_becomes_the_model_s_question_where_it_gives_one(
    reply: str, expected: str
) -> None:
    assert rewrite(reply, *HISTORY)[0] == expected


def test_without_history_the_model_is_not_asked() -> None:
    assert rewrite("Anything?") == ("And since when?", [])


def test_only_the_last_exchanges_are_shown() -> None:
    history = [Exchange(f"question {n}?", f"answer {n}") for n in range(TURNS + 2)]
    (shown,) = rewrite("What?", *history)[1]
    assert [n for n in range(TURNS + 2) if f"question {n}?" in shown] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    "question",
    [
        "How much will Alibaba invest in Germany?",
        "who is the chief executive of Alibaba?",
        "Can a home be a good investment?",
        "what is the process of managing my payments?",
    ],
)
def test_what_names_its_topic_stands_alone(question: str) -> None:
    assert stands_alone(question)


@pytest.mark.parametrize(
    "question",
    [
        "And since when?",
        "Is it similar to rugby?",
        "How much in all?",
        "Where does it originate from?",
        "What about the new commands of the tool?",
        "Who leads the company instead of him?",
        "Enterprise",
        "Wer leitet das Unternehmen?",
        "\u963f\u91cc\u5df4\u5df4\u5c06\u6295\u8d44\u591a\u5c11\uff1f",
        "",
    ],
)
def test_what_points_back_or_says_too_little_does_not(question: str) -> None:
    assert not stands_alone(question)
