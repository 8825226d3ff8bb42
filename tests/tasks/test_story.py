"""A story: its question, its chain in every style, and its inferences in smaller steps."""

import pytest

from smallsteps.tasks.stories import make_chains, story
from smallsteps.tasks.story import STYLES, Story, StoryStep

BUY = StoryStep("She buys 4 more pens", 3, "+", 4, 7, "she has {} pens")
GIVE = StoryStep("She gives away 5 pens", 7, "-", 5, 2, "she has {} pens")
STORY = Story(("Ann has 3 pens",), (BUY, GIVE), "How many pens are left with Ann?")


def chain(style=0, expand=None):
    return "".join(text for _, text in STORY.pieces(style, expand))


def test_the_question_tells_the_events_in_order():
    assert STORY.text() == (
        "Ann has 3 pens. She buys 4 more pens. She gives away 5 pens. "
        "How many pens are left with Ann?"
    )
    assert STORY.answer == 2


def test_an_aside_stands_before_the_event_that_it_names():
    told = Story(STORY.opening, STORY.steps, STORY.question, (1, "Tom is 9 years old")).text()
    assert "more pens. Tom is 9 years old. She gives" in told


def test_a_chain_restates_extractively_and_infers_abstractively():
    assert STORY.pieces() == (
        ("ES", "Ann has 3 pens. "),
        ("ES", "She buys 4 more pens, "),
        ("AS", "so she has 3 + 4 = 7 pens. "),
        ("ES", "She gives away 5 pens, "),
        ("AS", "so she has 7 - 5 = 2 pens. "),
        ("ES", "The answer is 2."),
    )


def test_every_style_says_the_same_equations_in_other_words():
    chains = [chain(style) for style in range(STYLES)]
    assert len(set(chains)) == STYLES
    assert all("3 + 4 = 7" in text and "7 - 5 = 2" in text for text in chains)


def test_an_inference_can_be_taken_apart_and_the_result_said_once_more():
    smaller = "We know this: 3 + 3 = 6. Hence 6 + 1 = 7. So she has 3 + 4 = 7 pens. "
    assert smaller in chain(expand=0)
    assert chain(expand=2).endswith("That means she has 2 pens. The answer is 2.")


@pytest.mark.parametrize("seed", range(40))
def test_smaller_steps_are_right_and_end_in_the_inference(seed):
    operations = {"+": int.__add__, "-": int.__sub__, "x": int.__mul__}
    for step in story(seed, 0, "hard").steps:
        *small, last = step.smaller()
        assert last == f"So {step.total.format(step.equation)}"
        for sentence in small:
            left, sign, right, _, result = sentence.split()[-5:]
            assert operations[sign](int(left), int(right)) == int(result)


def test_chains_carry_their_gold_pieces():
    (bundled,) = make_chains(1, seed=4)
    assert "".join(text for _, text in bundled.rationale.gold) == bundled.rationale.text
