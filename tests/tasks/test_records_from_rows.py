"""From one row to a problem and a chain; reading whole files is tested in test_files.py."""

import pytest

from smallsteps.errors import DataError
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.records_from_rows import chain_of, ends_in_another_number, problem_of

GSM8K = get_task("gsm8k")
ROW = {"question": "Ann has 3 pens and buys 4. How many?", "rationale": "3 + 4 = 7.", "answer": 7}


def chain(closing="add", **fields):
    return chain_of({**ROW, **fields}, "q1", GSM8K, closing)


def test_the_closing_is_added_or_kept_away():
    assert chain().rationale.text == "3 + 4 = 7. The answer is 7."
    assert chain("keep").rationale.text == "3 + 4 = 7."


def test_a_rationale_that_closes_in_another_answer_is_wrong():
    assert chain(rationale="So 8. The answer is 8.").rationale.correct is False
    assert chain(rationale="So 7. The answer is 7.").rationale.correct is None


def test_a_wrong_chain_closes_in_the_answer_that_it_reached():
    wrong = chain(predicted="8")
    assert wrong.rationale.correct is False
    assert wrong.rationale.text.endswith("The answer is 8.") and wrong.problem.answer == "7"


@pytest.mark.parametrize(
    ("value", "correct"), [(True, True), ("false", False), (1, True), ("0", False), (None, None)]
)
def test_correct_comes_in_several_spellings(value, correct):
    assert chain(correct=value).rationale.correct is correct


def test_further_columns_are_kept_beside_the_problem():
    assert chain(source="book").problem.meta == {"source": "book"}


def test_a_closing_that_is_added_joins_a_last_extractive_segment():
    gold = [{"kind": "AS", "text": "3 + 4 "}, {"kind": "ES", "text": "= 7."}]
    assert chain(segments=gold).rationale.gold == (
        ("AS", "3 + 4 "),
        ("ES", "= 7. The answer is 7."),
    )
    abstractive = [{"kind": "AS", "text": "3 + 4 = 7."}]
    assert chain(segments=abstractive).rationale.gold == (
        ("AS", "3 + 4 = 7. "),
        ("ES", "The answer is 7."),
    )


def test_segments_that_are_not_the_rationale_name_the_first_difference():
    gold = [{"kind": "ES", "text": "3 + 5 = 7."}]
    with pytest.raises(DataError, match=r"they differ at character 5: '5 = 7\.' against '4 = 7\.'"):
        chain(segments=gold)
    with pytest.raises(DataError, match=r"they differ at character 6: '' against ' = 7\.'"):
        chain(segments=[{"kind": "ES", "text": "3 + 4"}])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"choices": ["one"]}, "'choices' must be a list of two texts or more"),
        ({"context": [3]}, "'context' must be a list of paragraphs"),
        ({"correct": "perhaps"}, "'correct' must be true, false or null"),
        ({"segments": [{"kind": "XX", "text": "a"}]}, "'segments' must be a list of"),
        ({"context": "a", "supporting_facts": [["a", "b"]]}, "'supporting_facts' must be a list"),
    ],
)
def test_fields_of_another_type_are_refused(fields, message):
    with pytest.raises(DataError, match=message):
        chain(**fields)


def test_a_gold_answer_is_kept_as_the_task_reads_it_back():
    row = {"question": "Where?", "choices": ["zoo", "river"], "answer": "B"}
    assert problem_of(row, "q", get_task("commonsenseqa")).answer == "river"


@pytest.mark.parametrize(
    ("rationale", "answer", "task", "contradicts"),
    [
        ("4 * 9 = 36", "99", "numbers", True),
        ("4 * 9 = 36", "36", "numbers", False),
        ("4 * 9 = 36.", "36.0", "gsm8k", False),
        ("It is so.", "99", "numbers", False),
        ("Ann has 3 pens.", "pens", "numbers", False),
        ("Ann lives in Rome 3.", "Paris", "text", False),
    ],
)
def test_a_last_number_that_is_not_the_answer_is_seen(rationale, answer, task, contradicts):
    problem = Problem("1", "How many?", answer)
    assert ends_in_another_number(rationale, problem, get_task(task)) is contradicts
