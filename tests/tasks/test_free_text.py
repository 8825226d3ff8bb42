"""Own data whose answers are words."""

from __future__ import annotations

import pytest

from smallsteps.tasks import get_task
from smallsteps.tasks.free_text import extract_text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Ann lives there. The answer is Rome.", "Rome"),
        ("The answer is Montejo v. Louisiana.", "Montejo v. Louisiana"),
        ("The answer is Dec. 10, 1817.", "Dec. 10, 1817"),
        ("The answer is -5.", "-5"),
        ("The answer is Rome. Or not.", None),
        ("The answer is .", None),
        ("Rome.", None),
    ],
)
def test_strict_reads_what_follows_the_closing(text: str, answer: str | None) -> None:
    assert extract_text(text) == answer


def test_lenient_takes_the_last_sentence() -> None:
    assert extract_text("Ann lives in Italy. Rome.", True) == "Rome"
    assert extract_text("  ", True) is None


def test_answers_are_equal_as_words_and_a_sign_counts() -> None:
    same = get_task("text").same
    assert same("the Rome", "Rome.")
    assert not same("-5", "5")
