"""The lines on what was kept, and the advice where nothing was."""

from __future__ import annotations

import pytest

from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.teaching.filtering import FilteredReply, filter_reply
from smallsteps.teaching.lessons import Lesson, TeacherReply
from smallsteps.teaching.summary import summary_lines, why_no_reply_came, why_none_was_kept

TASK = get_task("numbers")
PROBLEM = Problem("a", "a?", "7")
RIGHT, WRONG = "3 + 4 = 7. The answer is 7.", "The answer is 9."


def filtered(*texts: str | None, reason: str = "status 500") -> list[FilteredReply]:
    """Replies with these texts to questions of their own; None: it did not come, for `reason`."""
    lessons = [Lesson(str(n), Problem(str(n), "?", "7")) for n in range(len(texts))]
    replies = [
        TeacherReply(lesson, text, "" if text else reason)
        for lesson, text in zip(lessons, texts, strict=True)
    ]
    return [filter_reply(reply, TASK) for reply in replies]


def test_without_gold_answers_the_summary_says_that_nothing_is_filtered_by_answer() -> None:
    lessons = [Lesson("1", Problem("a", "?")), Lesson("2", Problem("b", "?"))]
    replies = [
        filter_reply(TeacherReply(lessons[0], WRONG), TASK),
        filter_reply(TeacherReply(lessons[1], "Hm."), TASK),
    ]
    assert [reply.correct for reply in replies] == [None, None]
    assert [reply.dropped for reply in replies] == [None, "no answer can be read from its end"]
    assert "no gold answers: every reply that ends in an answer is kept" in summary_lines(replies)


def test_the_summary_counts_reasons_without_their_details() -> None:
    replies = filtered(
        "The learner forgot. The answer is 7.", "Your mistake. The answer is 7.", None
    )
    assert list(summary_lines(replies)) == [
        "0 of 2 replies kept, 1 question without a reply",
        "  dropped 2: mentions the prompt",
        "  dropped 1: status 500",
    ]


def test_a_reply_that_was_cut_off_counts_as_received() -> None:
    assert next(summary_lines(filtered(None, reason="cut off after 9 tokens"))) == (
        "0 of 1 replies kept"
    )


def test_the_summary_names_the_limit_that_kept_requests_from_being_sent() -> None:
    reason = "not asked: limit of 560 tokens: 0 spent, the next call may take 971 more"
    lines = list(summary_lines(filtered(None, None, None, reason=reason)))
    assert f"  dropped 3: {reason}" in lines


@pytest.mark.parametrize(
    ("text", "reason"),
    [("Hm.", "no answer can be read from its end"), (WRONG, "wrong answer")],
)
def test_where_all_answers_are_missing_or_wrong_the_advice_names_the_closings(
    text: str, reason: str
) -> None:
    assert why_none_was_kept(filtered(text, text, None), TASK) == (
        f"no reply was kept: all 2 were dropped for the same reason: {reason}. The answer is read "
        r"from the end of a reply. End each reply with 'The answer is N.', #### N or \boxed{N}."
    )


def test_other_reasons_are_named_without_their_details() -> None:
    replies = filtered("The learner forgot. The answer is 7.", "Your mistake. The answer is 7.")
    advice = why_none_was_kept(replies, TASK)
    assert advice is not None and advice.endswith("the same reason: mentions the prompt.")


@pytest.mark.parametrize("texts", [("Hm.", WRONG), ("Hm.", RIGHT), (None,)])
def test_there_is_no_advice_where_reasons_differ_or_some_were_kept_or_none_came(
    texts: tuple[str | None, ...],
) -> None:
    assert why_none_was_kept(filtered(*texts), TASK) is None


def test_an_error_is_named_only_where_no_reply_came_at_all() -> None:
    assert why_no_reply_came(filtered(None, None)) == "status 500"
    assert why_no_reply_came(filtered(None, WRONG)) is None
    assert why_no_reply_came([]) is None


@pytest.mark.parametrize("reason", ["not asked: limit of 3 calls", "cut off after 12 tokens"])
def test_a_limit_of_the_user_and_a_reply_that_was_cut_off_are_no_errors(reason: str) -> None:
    assert why_no_reply_came(filtered(None, None, reason=reason)) is None
