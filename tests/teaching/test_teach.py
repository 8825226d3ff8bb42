from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.teaching.teach import (
    judge,
    leak,
    lessons_of,
    nothing_came,
    nothing_kept,
    summary,
    teach,
)
from smallsteps.teaching.teachers import Lesson, Taught

TASK = get_task("numbers")
PROBLEMS = [Problem(name, f"{name}?", "7") for name in "abc"]


@dataclass
class Script:
    """Says the texts of a problem one after another, by sample number asked."""

    said: dict[str, list[str | None]]
    name: str = "script"
    asked: list[Lesson] = field(default_factory=list)

    def explain(self, lessons: Sequence[Lesson]) -> Iterator[Taught]:
        for lesson in reversed(lessons):  # replies come in any order
            self.asked.append(lesson)
            turn = sum(one.problem.id == lesson.problem.id for one in self.asked) - 1
            texts = self.said[lesson.problem.id]
            text = texts[min(turn, len(texts) - 1)]
            yield Taught(lesson, text, "" if text else "status 500")


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        ("3 + 4 = 7. The answer is 7.", None),
        ("3 + 4 = 7. The answer is 7.0.", None),
        ("3 + 4 = 8. The answer is 8.", "wrong answer"),
        ("3 + 4 = 7.", "no answer can be read from its end"),
        (
            "The correct answer is given as 7. The answer is 7.",
            "speaks of what it was shown: 'correct answer is given'",
        ),
        (
            "The learner forgot 3. The answer is 7.",
            "speaks of what it was shown: 'The learner forgot'",
        ),
        ("3 + 4 = 7.<|im_end|> The answer is 7.</s>", None),
        (
            "3 + \N{REPLACEMENT CHARACTER} = 7. The answer is 7.",
            "holds characters that are no text",
        ),
        (None, "status 500"),
    ],
)
def test_the_fate_of_a_reply(text: str | None, dropped: str | None) -> None:
    one = judge(Taught(Lesson("l", PROBLEMS[0]), text, "status 500"), TASK)
    assert one.dropped == dropped
    assert one.to_row().get("dropped") == dropped


@pytest.mark.parametrize(
    "text",
    [
        "Each student gets 3 pens.",
        "The given numbers are 3 and 4.",
        "She made a mistake and lost 3 pens.",
        "So the answer is 7.",
    ],
)
def test_an_innocent_sentence_is_no_leak(text: str) -> None:
    assert leak(text) is None


def test_rows_come_in_the_order_of_the_questions_with_every_reply_kept_or_dropped() -> None:
    good, bad = "3 + 4 = 7. The answer is 7.", "The answer is 9."
    teacher = Script({"a": [bad, bad, good], "b": [good], "c": [bad]})
    taught = teach(lessons_of(PROBLEMS), teacher, TASK, retries=2)
    assert [(one.lesson.problem.id, one.dropped is None) for one in taught] == [
        ("a", False),
        ("a", False),
        ("a", True),
        ("b", True),
        ("c", False),
        ("c", False),
        ("c", False),
    ]
    assert len(teacher.asked) == 7, "b was right at once; c was given up after two retries"


def test_every_asking_of_a_problem_has_a_sample_number_of_its_own() -> None:
    teacher = Script({name: ["The answer is 9."] for name in "abc"})
    teach(lessons_of(PROBLEMS, samples=3), teacher, TASK, retries=2)
    numbers = [lesson.sample for lesson in teacher.asked if lesson.problem.id == "a"]
    assert sorted(numbers) == list(range(9)), "else a store would hand the same reply out again"
    assert len({lesson.id for lesson in teacher.asked}) == 27


def test_without_gold_answers_everything_that_ends_in_an_answer_is_kept_and_said_to_be() -> None:
    problems = [Problem("a", "?"), Problem("b", "?")]
    taught = teach(lessons_of(problems), Script({"a": ["The answer is 9."], "b": ["Hm."]}), TASK)
    assert [one.correct for one in taught] == [None, None]
    assert [one.dropped for one in taught] == [None, "no answer can be read from its end"]
    assert any("no gold answers" in line for line in summary(taught))


def test_the_summary_counts_reasons_and_not_their_details() -> None:
    teacher = Script(
        {
            "a": ["The learner forgot. The answer is 7."],
            "b": ["Your mistake. The answer is 7."],
            "c": [None],
        }
    )
    lines = list(summary(teach(lessons_of(PROBLEMS), teacher, TASK)))
    assert lines == [
        "0 of 2 replies kept, 1 question without one",
        "  dropped 2: speaks of what it was shown",
        "  dropped 1: status 500",
    ]


def test_a_reply_that_was_cut_off_came_and_is_counted() -> None:
    taught = [judge(Taught(Lesson("l", PROBLEMS[0]), None, "cut off after 9 tokens"), TASK)]
    assert next(summary(taught)) == "0 of 1 replies kept"


@pytest.mark.parametrize(
    ("text", "answer", "predicted", "dropped"),
    [
        ("3 + 4 = 7. So Bo has 7 cups.", None, "7", None),
        ("3 + 4 = 7. So Bo has 7 cups.", "7", "7", None),
        (
            "3 + 4 = 8. So Bo has 8 cups.",
            "7",
            "8",
            "wrong answer",
        ),  # the answer may be copied from the questions
        ("So Bo has all of them.", "7", "7", None),
        ("So Bo has all of them.", "9", "9", "wrong answer"),
        ("So Bo has all of them.", None, None, "no answer can be read from its end"),
        ("3 + 4 = 8. The answer is 8.", "7", "8", "wrong answer"),
        ("The answer is not 7.", "7", None, "no answer can be read from its end"),
    ],
)
def test_a_text_without_a_closing_whose_writer_saw_no_prompt_is_read_leniently_and_closed(
    text: str, answer: str | None, predicted: str | None, dropped: str | None
) -> None:
    said = judge(Taught(Lesson("l", PROBLEMS[0]), text, unprompted=True, answer=answer), TASK)
    assert (said.predicted, said.dropped) == (predicted, dropped)
    assert dropped or said.rationale == f"{text} The answer is 7."


@pytest.mark.parametrize(
    ("text", "answer", "predicted"),
    [
        ("She lives in Rome.", "Rome", "Rome"),
        ("She lives in Rome.", None, None),
        ("She lives there.\nRome.", None, "Rome"),
    ],
)
def test_a_whole_last_sentence_is_no_answer_in_words(
    text: str, answer: str | None, predicted: str | None
) -> None:
    lesson = Lesson("l", Problem("a", "Where?", "Rome"))
    said = judge(Taught(lesson, text, unprompted=True, answer=answer), get_task("text"))
    assert said.predicted == predicted


def test_an_answer_beside_the_text_may_be_the_letter_of_a_choice() -> None:
    lesson = Lesson("l", Problem("a", "Where?", "bank", choices=("park", "bank")))
    said = judge(
        Taught(lesson, "Money lies there.", unprompted=True, answer="B"), get_task("commonsenseqa")
    )
    assert (said.predicted, said.dropped) == ("bank", None)


def test_what_to_do_is_said_where_all_replies_are_dropped_for_one_reason() -> None:
    def advice(*texts: str | None) -> str | None:
        lesson = Lesson("l", PROBLEMS[0])
        return nothing_kept(
            [judge(Taught(lesson, text, "" if text else "status 500"), TASK) for text in texts],
            TASK,
        )

    end = r"end each in 'The answer is N.', #### N or \boxed{N}."
    for text, reason in (
        ("Hm.", "no answer can be read from its end"),
        ("The answer is 9.", "wrong answer"),
    ):
        said = advice(text, text, None)
        assert (
            said is not None
            and said.endswith(end)
            and f"all 2 replies were dropped for one reason: {reason}" in said
        )
    leaks = advice("The learner forgot. The answer is 7.", "Your mistake. The answer is 7.")
    assert leaks is not None and leaks.endswith("one reason: speaks of what it was shown.")
    assert advice("Hm.", "The answer is 9.") is None
    assert advice("Hm.", "The answer is 7.") is None
    assert advice(None) is None


@pytest.mark.parametrize(
    ("text", "rationale"),
    [
        ("3 + 4 = 7.\n#### 7", "3 + 4 = 7. The answer is 7."),
        ("3 + 4 = 7 pens.\n\n**Final Answer:** 7", "3 + 4 = 7 pens. The answer is 7."),
        (r"So she has $3 + 4 = \boxed{7}$ pens.", "So she has $3 + 4 = 7$ pens. The answer is 7."),
    ],
)
def test_a_teachers_other_closing_becomes_the_tasks_own(text: str, rationale: str) -> None:
    """Else replies that were paid for are dropped, or students learn several ways to close."""
    said = judge(Taught(Lesson("l", PROBLEMS[0]), text), TASK)
    assert (said.rationale, said.predicted, said.dropped) == (rationale, "7", None)


def test_a_kept_rationale_holds_no_control_tokens() -> None:
    said = judge(Taught(Lesson("l", PROBLEMS[0]), "<s>3 + 4 = 7. The answer is 7.</s>"), TASK)
    assert said.rationale == "3 + 4 = 7. The answer is 7."


def test_nothing_came_only_where_no_reply_came_and_the_users_own_limit_is_not_why() -> None:
    def fates(*texts: str | None, reason: str = "status 500") -> str | None:
        lesson = Lesson("l", PROBLEMS[0])
        return nothing_came(
            [judge(Taught(lesson, text, "" if text else reason), TASK) for text in texts]
        )

    assert fates(None, None) == "status 500"
    assert fates(None, "The answer is 9.") is None
    assert fates(None, None, reason="not asked: limit of 3 calls") is None
    assert fates(None, reason="cut off after 12 tokens") is None
    assert fates() is None


def test_the_summary_names_the_limit_that_kept_questions_from_being_asked() -> None:
    reason = "not asked: limit of 560 tokens: 0 spent, the next call may take 971 more"
    taught = [judge(Taught(Lesson(str(n), PROBLEMS[0]), None, reason), TASK) for n in range(3)]
    assert f"  dropped 3: {reason}" in list(summary(taught))
