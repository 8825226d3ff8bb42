"""Yes or no."""

from __future__ import annotations

import pytest

from smallsteps.tasks import get_task
from smallsteps.tasks.yes_no import extract_yes_no, same_yes_no


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is yes.", "yes"),
        ("So the answer is No", "no"),
        ('The answer is "no".', "no"),
        ("The answer is no, as yes would be wrong.", "no"),
        ("The answer is probably no.", "no"),
        ("The answer is true.", "yes"),
        ("The answer is no such thing", None),  # `no` as an article answers nothing
        ("Yes, he could.", None),
        ("The answer is unknown.", None),
    ],
)
def test_strict_reads_the_closing(text: str, answer: str | None) -> None:
    assert extract_yes_no(text) == answer
    assert get_task("strategyqa").ends_chain(text) is (answer is not None)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Yes, he could.", "yes"),
        ("Thus, no, Krishna is not similar.", "no"),
        ("At first yes. But in the end no.", "no"),
        ("There is no such thing as that.", None),
        ("I know nothing of yesterday", None),
    ],
)
def test_lenient_takes_the_last_verdict_that_stands_alone(text: str, answer: str | None) -> None:
    assert extract_yes_no(text, True) == answer


def test_same_reads_both_sides() -> None:
    assert same_yes_no("Yes", "yes")
    assert same_yes_no("true", "yes")
    assert not same_yes_no("no", "yes")
    assert not same_yes_no("maybe", "maybe")
