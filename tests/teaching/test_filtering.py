"""Which replies are kept: the answer read from the end, other closings, mentions of the prompt."""

from __future__ import annotations

import pytest

from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.teaching.filtering import filter_reply, prompt_mention
from smallsteps.teaching.lessons import Lesson, TeacherReply

TASK = get_task("numbers")
PROBLEMS = [Problem(name, f"{name}?", "7") for name in "abc"]


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        ("3 + 4 = 7. The answer is 7.", None),
        ("3 + 4 = 7. The answer is 7.0.", None),
        ("3 + 4 = 8. The answer is 8.", "wrong answer"),
        ("3 + 4 = 7.", "no answer can be read from its end"),
        (
            "The correct answer is given as 7. The answer is 7.",
            "mentions the prompt: 'correct answer is given'",
        ),
        (
            "The learner forgot 3. The answer is 7.",
            "mentions the prompt: 'The learner forgot'",
        ),
        ("3 + 4 = 7.<|im_end|> The answer is 7.</s>", None),
        (
            "3 + \N{REPLACEMENT CHARACTER} = 7. The answer is 7.",
            "contains damaged characters",
        ),
        (None, "status 500"),
    ],
)
def test_a_reply_is_kept_or_dropped_with_its_reason(text: str | None, dropped: str | None) -> None:
    reply = filter_reply(TeacherReply(Lesson("l", PROBLEMS[0]), text, "status 500"), TASK)
    assert reply.dropped == dropped
    assert reply.to_row().get("dropped") == dropped


@pytest.mark.parametrize(
    "text",
    [
        "Each student gets 3 pens.",
        "The given numbers are 3 and 4.",
        "She made a mistake and lost 3 pens.",
        "So the answer is 7.",
    ],
)
def test_an_innocent_sentence_is_no_prompt_mention(text: str) -> None:
    assert prompt_mention(text) is None


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
    reply = filter_reply(
        TeacherReply(Lesson("l", PROBLEMS[0]), text, unprompted=True, answer=answer), TASK
    )
    assert (reply.predicted, reply.dropped) == (predicted, dropped)
    assert dropped or reply.rationale == f"{text} The answer is 7."


@pytest.mark.parametrize(
    ("text", "predicted", "read", "dropped"),
    [
        ("So we compute 3 + 4.", "7", "7", None),  # its last number is not what it comes to
        ("3 + 4 = 7. So it is 8 less 1.", "7.0", "7", None),
        ("3 + 4 = 7.", "8", "8", "wrong answer"),
        ("3 + 4 = 7. The answer is 7.", "8", "7", None),  # a closing of its own has priority
        ("3 + 4 = 7. So Bo has 7 cups.", None, "7", None),
    ],
)
def test_the_answer_that_a_writer_ended_on_goes_before_a_lenient_reading_of_its_text(
    text: str, predicted: str | None, read: str, dropped: str | None
) -> None:
    reply = filter_reply(
        TeacherReply(
            Lesson("l", PROBLEMS[0]), text, unprompted=True, answer="7", predicted=predicted
        ),
        TASK,
    )
    assert (reply.predicted, reply.dropped) == (read, dropped)


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
    reply = filter_reply(
        TeacherReply(lesson, text, unprompted=True, answer=answer), get_task("text")
    )
    assert reply.predicted == predicted


def test_an_answer_beside_the_text_may_be_the_letter_of_a_choice() -> None:
    lesson = Lesson("l", Problem("a", "Where?", "bank", choices=("park", "bank")))
    reply = filter_reply(
        TeacherReply(lesson, "Money lies there.", unprompted=True, answer="B"),
        get_task("commonsenseqa"),
    )
    assert (reply.predicted, reply.dropped) == ("bank", None)


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
    reply = filter_reply(TeacherReply(Lesson("l", PROBLEMS[0]), text), TASK)
    assert (reply.rationale, reply.predicted, reply.dropped) == (rationale, "7", None)


def test_a_kept_rationale_holds_no_control_tokens() -> None:
    reply = filter_reply(
        TeacherReply(Lesson("l", PROBLEMS[0]), "<s>3 + 4 = 7. The answer is 7.</s>"), TASK
    )
    assert reply.rationale == "3 + 4 = 7. The answer is 7."
