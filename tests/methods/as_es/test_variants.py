"""Which arms a recipe asks for."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.experiment.recipe import load_recipe
from smallsteps.methods.as_es.variants import baseline_of, check_arms, variants
from smallsteps.tasks import get_task


def test_a_sweep_runs_each_arm_that_has_the_knob_once_a_value():
    names = [
        variant.name
        for variant in variants(load_recipe("as-es/figure-3", ["sweep={beta: [0.8, 1.2]}"]))
    ]
    assert names == [
        "direct",
        "ases-uni-ent-beta=0.8",
        "ases-uni-ent-beta=1.2",
        "ases-dual-ent-beta=0.8",
        "ases-dual-ent-beta=1.2",
    ]


def test_arms_on_the_same_segments_share_them_and_others_do_not(recipe_of):
    uni, dual, ent, star = variants(
        recipe_of(arms=["ases-uni-rouge", "ases-dual-rouge", "ases-uni-ent", "ases-uni-ent*"]),
        seed=3,
    )
    assert uni.segments_place == dual.segments_place == "rouge"
    assert ent.segments_place == "ent-seed3" and star.segments_place == "ent-star"
    assert star.place == "ases-uni-ent-star-seed3"


def test_without_a_direct_arm_the_first_is_what_others_are_compared_with(recipe_of):
    everything = variants(recipe_of(arms=["ases-uni-gold", "ases-cue-gold"]))
    assert [getattr(baseline_of(v, everything), "name", None) for v in everything] == [
        None,
        "ases-uni-gold",
    ]


def test_a_cue_is_refused_for_a_causal_student(recipe_of):
    with pytest.raises(RecipeError, match="Use ases-uni-inter"):
        check_arms(recipe_of(arms=["ases-cue-inter"]), get_task("stories"), True, [])
