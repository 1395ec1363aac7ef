"""What is asked, and orders: on the form of an answer, and in place of a question."""

from __future__ import annotations

import pytest

from qa.question import read_question

ASKED = "Who opened the bridge?"


@pytest.mark.parametrize(
    "order",
    [
        "If multiple, record all $ values paid.",
        "If not found, return 'unknown'.",
        "If you do not know, say so.",
        "If there is no answer in the text, reply with N/A.",
        "If the answer is not in the context, output NONE",
        "Answer in one word.",
        "Please answer briefly.",
        "Only reply with the name.",
        "Return only JSON.",
        "Give a short answer.",
        "Keep it short.",
        "Be concise!",
        "Do not guess.",
        "Think step by step.",
        "Answer in one word. If not found, return 'unknown'.",
        "Thanks!",
    ],
)
def test_orders_on_the_form_of_an_answer_are_left_out(order: str) -> None:
    assert read_question(f"{ASKED} {order}") == ASKED
    assert read_question(f"{ASKED}\n\n{order}\n") == ASKED


@pytest.mark.parametrize(
    "question",
    [
        ASKED,
        "who opened the bridge",
        "Answer in one word who opened the bridge",
        "Answer in one word. Who opened the bridge?",
        "Can I return the lamp? If it was bought abroad.",
        "What is the tower? List its rooms.",
        "What is the tower? Give the names of its keepers.",
        "What is the tower? Explain how it was built.",
        "Can I return the lamp? If you use it abroad.",
        "Who pays? If there is a storm, say, in winter.",
        "How much was paid? Answer for 2023 alone.",
        "What does the plan cover? Do not include the dental plan.",
        "Who pays? If not the tenant, who is to return the keys?",
        "Who opened the bridge (Mrs. Okafor or Mr. Lind)? It was in 1931.",
        "What happens when the lamp breaks? Return policy.",
        "Find the tower. Explain how it was built.",
        "Find the tower? It has a keeper. Who keeps it?",
        "Find the price of oats. Give me the value of wheat.",
        "Find the total. If it is not paid, state the date when it is due.",
        "Who pays? Give the answer for 2020.",
        "Find the total\nInvoice 17\nOats 3 kg",
        "Find the person who signed the lease.",
        "Give me the list of keepers.",
        "Find out the cost and explain why it rose.",
        "Tell me the answer: who opened the bridge?",
        "Can you find the Higgs boson at home?",
        "Can you get the flu from the vaccine?",
        "Will you give the keys back?",
        "Give the value.",
        "Find me a hotel.",
        "Tell me about the tower.",
        "The tower, and tell me the name of its keeper.",
        "谁开了桥？",
        "",
    ],
)
def test_what_asks_for_more_than_a_form_stays(question: str) -> None:
    assert read_question(question) == question


def test_what_is_asked_between_and_after_orders_stays() -> None:
    text = f"{ASKED} Be brief. When did she do it? If unsure, say so."
    assert read_question(text) == f"{ASKED} When did she do it?"


@pytest.mark.parametrize(
    ("order", "question"),
    [
        ("Find the price of oats.", "What is the price of oats?"),
        (
            "Find the $ value paid to Ganesha? If multiple, record all $ values paid.",
            "What is the $ value paid to Ganesha?",
        ),
        (
            "Could you please tell me the names of its keepers?",
            "What are the names of its keepers?",
        ),
        ("give me its e-mail address", "What is its e-mail address?"),
        ("Look up the status of my orders", "What is the status of my orders?"),
        ("Show me the first figures:", "What are the first figures?"),
        ("Find the amount Deel owes, please", "What is the amount Deel owes?"),
        ("Find the price of oats. Thank you very much.", "What is the price of oats?"),
        (
            "State the rate of 3.5 % in words. If not found, return 'unknown'.",
            "What is the rate of 3.5 % in words?",
        ),
    ],
)
def test_an_order_to_find_something_becomes_a_question(order: str, question: str) -> None:
    assert read_question(order) == question
    assert read_question(f"  {order}\n") == question


@pytest.mark.parametrize(
    "typed",
    [
        "Find the total " + "." * 5000 + " due",
        "Find the price" + "!" * 5000 + " Thanks",
        "find the" + " " * 5000 + ". y",
        "find the " + "a..b" * 1250 + ". Thanks",
    ],
)
def test_what_is_long_is_read_too(typed: str) -> None:
    """Expressions that go back over what they matched would not end."""
    assert read_question(typed)
