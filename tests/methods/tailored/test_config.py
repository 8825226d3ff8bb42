"""The names of tailored arms, and what a recipe with them must hold."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.experiment.method import method_of
from smallsteps.experiment.recipe import make_recipe
from smallsteps.methods.tailored.config import ARMS, METHOD
from tiny_tailored import tailored_content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ["tailored-ful"]}, "unknown arm 'tailored-ful'.*tailored-full"),
        ({"arms": ["full"]}, "the arm 'full' is called 'tailored-full' now"),
        ({"arms": ["tailored-t0-only"]}, "name it among them"),
        ({"arms": ["direct", "tailored-t0-only"]}, "name it among them"),
        ({"tailored": {"segments": "ent"}}, "none of inter, bleu, rouge"),
        ({"tailored": {"round": 2}}, "unknown key 'tailored.round'.*rounds"),
        ({"tailored": {"teacher": {"nam": "x"}}}, "unknown key 'tailored.teacher.nam'.*name"),
        ({"train": {"budget": None}}, "needs train.budget"),
        ({"train": {"until": "passes"}}, "train.until must be tokens"),
        ({"train": {"learning_rate": [1e-3, 1e-2]}}, "expected one number, got a list: each round"),
        ({"train": {"until": "plateau", "evaluations": 9}}, "train.until must be tokens"),
    ],
)
def test_arms_and_settings_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe(tailored_content(**changes))


def test_every_arm_is_known_by_its_name_and_every_earlier_name_leads_to_one():
    assert {method_of(arm).name for arm in ARMS} == {"tailored"}
    assert METHOD.renamed == {arm.removeprefix("tailored-"): arm for arm in ARMS}
    assert METHOD.baseline in ARMS
