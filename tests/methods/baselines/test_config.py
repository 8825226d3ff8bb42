"""The baselines of a recipe."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.experiment.method import needs_chains
from smallsteps.experiment.recipe import make_recipe
from smallsteps.methods.baselines.config import METHOD, BaselinesSettings


def test_direct_is_the_baseline_and_learns_from_chains():
    assert METHOD.baseline == "direct" and METHOD.needs_chains
    assert list(METHOD.arm_names()) == [
        "base",
        "base-fewshot",
        "answer-only",
        "direct",
        "direct-report",
        "self-training",
    ]


def test_the_untrained_student_needs_no_chains_but_the_arms_beside_it_may(recipe_of):
    assert not needs_chains(recipe_of(arms=["base"]))
    assert needs_chains(recipe_of(arms=["base", "answer-only"]))


def test_only_arms_that_read_it_have_the_section_and_other_recipes_keep_their_digest(recipe_of):
    plain = recipe_of(arms=["direct", "answer-only"])
    assert plain.baselines is None
    assert "baselines" not in {k for k, v in plain.effects().items() if v is not None}
    assert recipe_of(arms=["base"]).baselines == BaselinesSettings()
    assert recipe_of(arms=["base-fewshot"], baselines={"shots": 2}).baselines.shots == 2
    with pytest.raises(
        RecipeError, match=r"no arm reads this section\. Name one, such as base, or"
    ):
        recipe_of(arms=["direct"], baselines={"shots": 2})


def test_a_recipe_without_arms_has_the_default_ones_and_their_section():
    recipe = make_recipe({})
    assert recipe.arms == ["base", "answer-only", "direct", "ases-uni-rouge", "ases-uni-ent"]
    assert recipe.baselines == BaselinesSettings()
