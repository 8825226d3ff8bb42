"""Closings, last sentences and grading, whatever the task."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError, InternalError, RecipeError
from smallsteps.records import Prediction, Problem
from smallsteps.tasks import STOP_TOKEN, TASKS, get_task
from smallsteps.tasks.base import closing_tail, normalise, same_text

GSM8K = get_task("gsm8k")
TEXT = get_task("text")


def predicted(answer: str | None) -> Prediction:
    return Prediction("p", "q", "…", ((None, "…"),), answer, "end")


def test_unknown_task_offers_the_nearest_name() -> None:
    with pytest.raises(
        RecipeError, match=r"no task 'gsm8'\. Did you mean 'gsm8k'\? Known: 2wikimultihopqa, "
    ):
        get_task("gsm8")


def test_every_task_is_listed_under_its_own_name() -> None:
    assert all(name == task.name for name, task in TASKS.items())
    assert {
        "gsm8k",
        "svamp",
        "asdiv",
        "multiarith",
        "commonsenseqa",
        "strategyqa",
        "pet",
        "numbers",
        "text",
    } <= set(TASKS)


@pytest.mark.parametrize(
    ("segment", "ends"),
    [
        ("The answer is 7.", True),
        ("So 3 + 4 = 7. The answer is 7.", True),
        ("the ANSWER  is: 7", True),
        ("so the answer is 7, as shown.", True),
        (
            "The answer is 7. But that cannot be, so we try again.",
            False,
        ),  # the phrase stands earlier
        ("The answer is unclear.", False),  # nothing parses
        ("The answer is", False),
        ("The answer is not 7.", False),
        ("Since the answer isn't 7, go on.", False),
        ("She has 7.", False),
        ("", False),
    ],
)
def test_the_closing_counts_in_the_last_sentence_and_only_with_an_answer(
    segment: str, ends: bool
) -> None:
    assert GSM8K.ends_chain(segment) is ends


def test_a_task_without_closing_ends_at_its_stop_token_alone() -> None:
    pet = get_task("pet")
    assert pet.ends_chain(f"未见明显异常{STOP_TOKEN}")
    assert not pet.ends_chain("The answer is 7.")
    assert pet.close("肝囊肿。", "肝囊肿。") == "肝囊肿。"


@pytest.mark.parametrize(
    ("rationale", "answer", "closed"),
    [
        ("3 + 4 = 7.", "7", "3 + 4 = 7. The answer is 7."),
        (
            "3 + 4 = 7",
            "7",
            "3 + 4 = 7. The answer is 7.",
        ),  # else the closing is no sub-sentence of its own
        ("3 + 4 = 7.\n", "7", "3 + 4 = 7. The answer is 7."),
        ("(3 + 4)", "7", "(3 + 4). The answer is 7."),
        ("So 7. The answer is 7", "7", "So 7. The answer is 7"),  # has its own
        (
            "The answer is 5? No, 7.",
            "7",
            "The answer is 5? No, 7. The answer is 7.",
        ),  # an earlier phrase is none
        ("", "7", "The answer is 7."),
    ],
)
def test_close_adds_the_closing_where_there_is_none(
    rationale: str, answer: str, closed: str
) -> None:
    assert GSM8K.close(rationale, answer) == closed
    assert GSM8K.close(closed, answer) == closed


def test_close_does_not_double_the_full_stop_of_an_answer() -> None:
    assert TEXT.close("It is late.", "3:30 p.m.") == "It is late. The answer is 3:30 p.m."


def test_close_without_answer_or_closing_says_what_to_add() -> None:
    with pytest.raises(
        DataError,
        match=r"neither an answer nor a closing such as 'The answer is …\.'.*Add an `answer`",
    ):
        GSM8K.close("3 + 4 = 7.", None)
    assert GSM8K.close("The answer is 7.", None) == "The answer is 7."


def test_gold_answers_that_cannot_be_read_back_are_refused() -> None:
    with pytest.raises(
        DataError,
        match=r"the answer 'apples' cannot be read back .* by task 'gsm8k'\. .*--task text",
    ):
        GSM8K.gold(Problem("q", "How many?", "apples"))
    with pytest.raises(DataError, match="as it holds more than one sentence"):
        TEXT.gold(Problem("q", "Why?", "It rained. So it was wet"))
    with pytest.raises(DataError, match="no gold answer"):
        TEXT.gold(Problem("q", "Why?"))
    assert GSM8K.gold(Problem("q", "How many?", "1,000")) == "1,000"


def test_grade_is_by_value_and_no_answer_is_a_value_of_its_own() -> None:
    problem = Problem("q", "How many?", "5")
    assert GSM8K.grade(predicted("5.0"), problem).value == 1.0
    assert GSM8K.grade(predicted("6"), problem).value == 0.0
    none = GSM8K.grade(predicted(None), problem)
    assert (none.value, none.parsed, none.gold, none.prediction_id) == (0.0, False, "5", "p")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_no_answer_equals_nothing_in_any_task(name: str) -> None:
    same = TASKS[name].same
    assert not same(None, None)
    assert not same(None, "522")
    assert not same("648", None)
    assert not same("", "")


def test_grade_refuses_a_problem_without_answer_and_a_stranger() -> None:
    with pytest.raises(DataError, match="q: no gold answer to grade against"):
        GSM8K.grade(predicted("5"), Problem("q", "How many?"))
    with pytest.raises(InternalError, match="prediction p answers q, graded against other"):
        GSM8K.grade(predicted("5"), Problem("other", "How many?", "5"))


def test_normalise_keeps_signs_and_drops_wrapping() -> None:
    assert normalise('  "The  Wooded Area." ') == "wooded area"
    assert normalise("-5") == "-5"  # stripped as punctuation it would equal 5
    assert normalise("A") == "a"
    assert same_text("Ｒome!", "rome")
    assert not same_text("3:4", "34")


def test_closing_tail_takes_the_last_phrase_of_the_last_sentence() -> None:
    assert closing_tail("the answer is 5, no, the answer is 6.") == "6."
    assert closing_tail(f"The answer is 6. {STOP_TOKEN}") == "6."
    assert closing_tail("nothing here") is None
