"""AS-ES arms that a student, a task or the data cannot have are refused before the run."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.generation.access import Access
from smallsteps.methods.as_es import before
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains

TASK = get_task("stories")


def test_a_cue_is_for_encoder_decoder_students(recipe_of):
    recipe = recipe_of(arms=["ases-cue-inter"])
    before.check(recipe, ["ases-cue-inter"], TASK, Access(), causal=False)
    with pytest.raises(RecipeError, match=r"ases-cue-inter is for .* Use ases-uni-inter$"):
        before.check(recipe, ["ases-cue-inter"], TASK, Access(), causal=True)


def test_gold_segments_must_be_in_every_chain(recipe_of):
    chains = make_chains(3, 1, "easy")
    bare = chains[2]._replace(rationale=replace(chains[2].rationale, gold=()))
    recipe = recipe_of(arms=["ases-uni-gold", "ases-uni-inter"])

    def check(names, validation):
        data = SimpleNamespace(train_chains=chains[:2], validation_chains=validation)
        before.check_data(recipe, names, data)

    check(["ases-uni-gold"], chains[2:])
    check(["ases-uni-inter"], [bare])
    with pytest.raises(DataError, match=rf"^{bare.rationale.id}: .*, and 1 of 3 chains have none"):
        check(["ases-uni-gold"], [bare])


def test_a_pair_is_two_models_and_a_sweep_runs_them_for_each_value(recipe_of):
    arms = ["ases-uni-rouge", "ases-dual-rouge"]
    recipe = recipe_of(arms=arms, sweep={"beta": [0.8, 1.2]})
    assert before.models(recipe, arms) == 6
    assert before.variants(recipe, arms[:1]) == [
        "ases-uni-rouge-beta=0.8",
        "ases-uni-rouge-beta=1.2",
    ]
