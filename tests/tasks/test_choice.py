"""Multiple choice: the closing decides."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.choice import choose, extract_choice

TASK = get_task("commonsenseqa")
PROBLEM = Problem(
    "q",
    "Where do you park?",
    "state park",
    choices=("park", "state park", "zoo", "a dog", "not living"),
)


def test_options_are_rendered_with_letters() -> None:
    assert (
        TASK.render(Problem("q", " Where? ", choices=("zoo", "river")))
        == "Where? (a) zoo (b) river"
    )


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ("(b)", "state park"),
        ("B.", "state park"),
        ("b", "state park"),
        ("(B) state park.", "state park"),
        ("B, state park", "state park"),
        ("option c", "zoo"),
        ("state park", "state park"),
        ("State Park!", "state park"),
        ("most likely the zoo", "zoo"),
        ("probably a state park", "state park"),  # and not the park inside it
        ("not living", "not living"),
        ("a dog", "a dog"),  # an article, no letter
        ("(a) zoo", None),  # letter and text contradict each other
        ("either zoo or a dog", None),
        ("(f)", None),
        ("christmas", None),
        ("(", None),
        ("", None),
    ],
)
def test_one_choice_is_named_or_none(said: str, chosen: str | None) -> None:
    assert choose(said, PROBLEM.choices) == chosen
    assert extract_choice(f"Well. The answer is {said}.", False, PROBLEM) == chosen


def test_the_closing_decides_and_not_the_first_letter_in_brackets() -> None:
    chain = "(a) park is probably wrong, and so is (d) a dog. The answer is (c)."
    assert extract_choice(chain, False, PROBLEM) == "zoo"


def test_lenient_takes_the_choice_mentioned_last() -> None:
    assert extract_choice("Not the zoo, so the state park", False, PROBLEM) is None
    assert extract_choice("Not the zoo, so the state park", True, PROBLEM) == "state park"
    assert extract_choice("A state park? Rather (C)", True, PROBLEM) == "zoo"
    assert extract_choice("nothing of it", True, PROBLEM) is None


def test_a_chain_ends_only_on_one_of_the_choices_where_they_are_known() -> None:
    assert TASK.ends_chain("The answer is christmas.")
    assert not TASK.ends_chain("The answer is christmas.", PROBLEM)
    assert not TASK.ends_chain("The answer is (")
    assert TASK.close("Only an answer is in a letter.", "zoo", PROBLEM).endswith(
        "The answer is zoo."
    )


def test_a_gold_letter_becomes_the_text_of_its_choice() -> None:
    assert TASK.gold(Problem("q", "?", "B", choices=("zoo", "river"))) == "river"
    with pytest.raises(
        DataError, match=r"'sea' cannot be read back .* among the choices \['zoo', 'river'\]"
    ):
        TASK.gold(Problem("q", "?", "sea", choices=("zoo", "river")))


def test_choices_are_equal_as_words() -> None:
    assert TASK.same("The Zoo.", "zoo")
    assert not TASK.same("park", "state park")
