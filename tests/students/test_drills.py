"""Drills: right, within range, repeatable, and never a chain of thought."""

import itertools
import random

import pytest

from smallsteps.students.drills import GROUPS, calculation, drills
from smallsteps.tasks.stories import LARGEST


def test_no_drill_has_the_form_of_a_chain():
    for _, target in itertools.islice(drills(random.Random(3)), 3000):
        assert "answer is" not in target and ", so " not in target and "so he has" not in target


def test_calculations_are_right_and_in_range():
    rng = random.Random(0)
    for _ in range(2000):
        left, operator, right, result = calculation(rng)
        assert eval(f"{left} {operator.replace('x', '*')} {right}") == result
        assert min(left, right, result) >= 1 and max(left, right, result) <= LARGEST


@pytest.mark.parametrize(
    "group,name", [(group, name) for group in GROUPS for name in GROUPS[group].drills]
)
def test_every_drill_has_a_source_and_a_target(group, name):
    rng = random.Random(1)
    for _ in range(50):
        source, target = GROUPS[group].drills[name][1](rng)
        assert source.strip() and target.strip()


def test_an_unprompted_story_gets_its_question_back_and_no_number():
    shown = list(itertools.islice(drills(random.Random(4), share_unprompted=0.25), 2000))
    stories = [pair for pair in shown if ":" not in pair[0] and pair[0].endswith(pair[1])]
    assert 0.22 < len(stories) / len(shown) < 0.28
    for _, target in stories:
        assert target.startswith("How many") and not any(c.isdigit() for c in target)


def test_the_seed_makes_the_drills():
    first, again, other = (
        list(itertools.islice(drills(random.Random(seed)), 50)) for seed in (1, 1, 2)
    )
    assert first == again != other
