"""Marks of other closings: the last one counts, and what follows it is one line at most."""

from __future__ import annotations

import pytest

from smallsteps.tasks.closings import denies, lenient_tail, without_mark


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("So 72.\n#### 72", "72"),
        ("#### 71\nNo.\n#### 72\nmore", "72"),
        (r"So \boxed{\frac{1}{2}} of it", r"\frac{1}{2}"),
        (r"So \boxed{72", "72"),
        ("**Final Answer:**\n\n72 pens\nBye", "72 pens"),
        ("### Final Answer\n72", "72"),
        ("<answer> 72 </answer> 5", "72"),
        ("答案是72。", "72。"),
        ("We get our final answer next. 6 + 12 = 18", None),
        ("The answer is 72.", None),  # the task's own closing
        ("####", None),
        ("", None),
    ],
)
def test_what_the_last_mark_is_followed_by(text: str, tail: str | None) -> None:
    assert lenient_tail(text) == tail


def test_a_mark_on_a_line_of_its_own_is_taken_off_and_one_in_a_sentence_stays() -> None:
    assert without_mark("72 pens.\n\n**Final Answer:** 72") == "72 pens."
    assert without_mark("So the final answer: 72") == "So the final answer: 72"
    assert without_mark("#### 72") == "#### 72"


def test_a_last_sentence_that_denies() -> None:
    assert denies("Well. The answer can't be 5.")
    assert not denies("The answer can't be 5. So it is 6.")
