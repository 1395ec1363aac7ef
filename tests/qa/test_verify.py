import pytest

from index.types import Hit, Passage
from qa.citations import Claim
from qa.types import Evidence, Refusal, RefusalCode
from qa.verify import check_answer, check_kind, check_question, contradicts
from qa.words import quantities

LEADS = "While Jack Ma no longer leads Alibaba, he reportedly retains a significant stake."
REVENUE = "China's stock rose on an 8% increase in revenue, totaling 280 billion yuan."


def hit(text: str, *, title: str = "report", section: str | None = None) -> Hit:
    passage = Passage("p1", "d1", 0, len(text), text, title, section)
    return Hit(passage, score=1.0, similarity=1.0)


def judge(question: str, answer: str, *quotes: str, title: str = "report") -> Refusal | None:
    """Check an answer that cites all the quotes given."""
    evidence = [Evidence(n, "d1", title, 0, len(q), q) for n, q in enumerate(quotes, start=1)]
    claim = Claim(0, len(answer), tuple(e.number for e in evidence))
    return check_answer(question, answer, [claim], evidence)


def test_a_question_about_a_name_that_is_nowhere_is_refused_with_the_name() -> None:
    refusal = check_question("How much will Tencent invest?", [hit(LEADS), hit(REVENUE)])
    assert refusal is not None
    assert refusal.code is RefusalCode.NAME_NOT_IN_EVIDENCE
    assert refusal.terms == ("Tencent",)
    assert "Tencent" in refusal.message


def test_a_question_about_a_year_that_is_nowhere_is_refused_with_the_year() -> None:
    refusal = check_question("What was Alibaba's revenue in 2019?", [hit(LEADS), hit(REVENUE)])
    assert refusal is not None
    assert refusal.code is RefusalCode.NUMBER_NOT_IN_EVIDENCE
    assert refusal.terms == ("2019",)


@pytest.mark.parametrize(
    "question",
    [
        "does Jack Ma still lead Alibaba?",
        "What is Alibaba's revenue?",
        "What's Alibaba's revenue?",
        "How did Chinese stock do?",
        "Does Jack Ma lead Alibabba?",
        "How did the stock rise by 8%?",
        "Combien a gagné Alibaba ?",
        "阿里巴巴的收入是多少?",
    ],
)
def test_a_question_is_read_on_where_its_names_are_found_in_some_form(question: str) -> None:
    assert check_question(question, [hit(LEADS), hit(REVENUE)]) is None


def test_a_title_or_a_section_carries_a_name_as_well_as_the_text() -> None:
    text = "The city has 1.8 million inhabitants."
    assert check_question("How many live in Warsaw?", [hit(text, title="Warsaw")]) is None
    assert check_question("How many live in Warsaw?", [hit(text, section="Warsaw")]) is None
    assert check_question("How many live in Warsaw?", [hit(text)]) is not None


def test_a_number_in_words_answers_a_question_in_digits() -> None:
    assert check_question("Who stayed for 3 years?", [hit("She stayed for three years.")]) is None


def test_an_invented_number_is_refused_and_named() -> None:
    refusal = judge("What was the revenue?", "It was 290 billion yuan.", REVENUE)
    assert refusal is not None
    assert refusal.code is RefusalCode.UNSUPPORTED_NUMBER
    assert refusal.terms == ("290",)


def test_an_invented_name_is_refused_and_named() -> None:
    refusal = judge("Who leads?", "It is led by Daniel Zhang.", LEADS)
    assert refusal is not None
    assert refusal.code is RefusalCode.UNSUPPORTED_NAME
    assert refusal.terms == ("Daniel", "Zhang")


def test_a_number_must_stand_in_the_cited_sentence_and_not_in_another() -> None:
    evidence = [Evidence(1, "d1", "t", 0, 1, LEADS), Evidence(2, "d1", "t", 1, 2, REVENUE)]
    text = "The revenue was 280 billion."
    assert check_answer("", text, [Claim(0, len(text), (2,))], evidence) is None
    wrong = check_answer("", text, [Claim(0, len(text), (1,))], evidence)
    assert wrong is not None
    assert wrong.code is RefusalCode.UNSUPPORTED_NUMBER


def test_an_answer_without_claims_or_without_citations_is_refused() -> None:
    for claims in ([], [Claim(0, 4, ())]):
        refusal = check_answer("What?", "This", claims, [])
        assert refusal is not None
        assert refusal.code is RefusalCode.UNSUPPORTED_ANSWER


def test_one_claim_that_nothing_carries_refuses_the_whole_answer() -> None:
    text = "280 billion yuan. 3 yuan."
    evidence = [Evidence(1, "d1", "t", 0, 1, REVENUE)]
    claims = [Claim(0, 17, (1,)), Claim(18, len(text), (1,))]
    refusal = check_answer("", text, claims, evidence)
    assert refusal is not None
    assert refusal.terms == ("3",)


def test_names_of_an_answer_may_come_from_the_title_of_what_it_cites() -> None:
    assert judge("Where?", "It is in Warsaw.", "It is in the city.", title="Warsaw") is None


@pytest.mark.parametrize(
    ("question", "answer", "quote"),
    [
        ("Does Jack Ma still lead Alibaba?", "Yes", LEADS),
        ("Does Jack Ma still lead Alibaba?", "Yes, Jack Ma leads Alibaba.", LEADS),
        ("Has the split been disclosed?", "yes.", "The details have not been disclosed."),
        ("Did revenue grow?", "Yes", "Revenue didn't grow."),
        ("Did revenue grow?", "Yes", "Revenue didn\u2019t grow."),
    ],
)
def test_a_yes_against_a_negated_sentence_is_a_contradiction(
    question: str, answer: str, quote: str
) -> None:
    assert contradicts(question, answer, quote)
    refusal = judge(question, answer, quote)
    assert refusal is not None
    assert refusal.code is RefusalCode.CONTRADICTED


@pytest.mark.parametrize(
    ("question", "answer", "quote"),
    [
        ("Does Jack Ma still lead Alibaba?", "No", LEADS),
        ("Does Jack Ma retain a stake?", "Yes", LEADS),
        ("Does he no longer lead Alibaba?", "Yes", LEADS),
        ("Isn't he leading Alibaba?", "Yes", LEADS),
        ("Isn\u2019t he leading Alibaba?", "Yes", LEADS),
        ("Did revenue grow?", "Yes", "Revenue grew by 8%, not by 9%."),
        ("Did revenue grow?", "", "Revenue did not grow."),
        ("收入增长了吗?", "是的", "收入没有增长。"),
    ],
)
def test_what_is_not_plainly_the_opposite_is_let_through(
    question: str, answer: str, quote: str
) -> None:
    assert not contradicts(question, answer, quote)


def test_a_count_of_things_that_the_sentence_does_not_mention_is_refused() -> None:
    question = "How many employees does Alibaba have?"
    refusal = check_kind(question, "280 billion", REVENUE)
    assert refusal is not None
    assert refusal.code is RefusalCode.UNSUPPORTED_ANSWER
    assert check_kind(question, "280 thousand", "It has 280 thousand employees.") is None
    assert check_kind(question, "nobody knows", REVENUE) is None
    assert check_kind("How much is it?", "280 billion", REVENUE) is None


@pytest.mark.parametrize(
    ("question", "answer", "quote"),
    [
        ("Qui dirige l'entreprise ?", "Éric Dubois", "L'entreprise est dirigée par Éric Dubois."),
        ("Wie groß ist sie?", "3,5 km", "Die Straße ist 3,5 km lang."),
        ("投资多少?", "500亿欧元", "阿里巴巴将投资500亿欧元。"),
    ],
)
def test_answers_in_other_languages_pass_where_they_are_copied(
    question: str, answer: str, quote: str
) -> None:
    assert judge(question, answer, quote) is None


def test_the_right_number_of_the_wrong_magnitude_is_not_carried() -> None:
    assert quantities("€50 billion and 8%") == {("50", "billion"), ("8", "%")}
    evidence = (Evidence(1, "d", "t", 0, 40, "Alibaba will invest €50 billion in AI."),)
    refusal = check_answer("How much?", "€50 million", [Claim(0, 11, (1,))], evidence)
    assert refusal is not None
    assert refusal.code is RefusalCode.UNSUPPORTED_NUMBER
    assert refusal.terms == ("50 million",)
