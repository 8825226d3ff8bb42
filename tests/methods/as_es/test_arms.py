"""Which AS-ES arms a recipe asks for, and what they share."""

import pytest

from smallsteps.experiment.outcome import ChainSelection
from smallsteps.experiment.recipe import load_recipe
from smallsteps.methods.as_es.arms import as_es_arms, folds
from smallsteps.tasks.stories import make_chains
from tiny_labs import tiny_lab


def test_a_sweep_runs_each_arm_that_has_the_knob_once_for_each_value():
    recipe = load_recipe("as-es/figure-3", ["sweep={beta: [0.8, 1.2]}"])
    arms = [arm for name in recipe.arms if name != "direct" for arm in as_es_arms(recipe, name)]
    assert [(arm.name, arm.beta) for arm in arms] == [
        ("ases-uni-ent-beta=0.8", 0.8),
        ("ases-uni-ent-beta=1.2", 1.2),
        ("ases-dual-ent-beta=0.8", 0.8),
        ("ases-dual-ent-beta=1.2", 1.2),
    ]


def test_an_arm_without_the_knob_runs_once(recipe_of):
    recipe = recipe_of(arms=["direct", "ases-uni-inter"], sweep={"beta": [0.8, 1.2]})
    assert [arm.name for arm in as_es_arms(recipe, "ases-uni-inter")] == ["ases-uni-inter"]


def test_an_arm_is_compared_with_direct_on_the_same_chains(recipe_of):
    recipe = recipe_of(
        arms=["direct", "ases-uni-rouge"],
        data={"task": "pet", "chains": "x"},
        sweep={"gamma": [0, 1]},
    )
    arms = as_es_arms(recipe, "ases-uni-rouge")
    names = ["direct-gamma=0", "direct-gamma=1"]
    assert [arm.against(names) for arm in arms] == [[name] for name in names]
    assert arms[0].against(["ases-uni-rouge-gamma=0"]) == []


def test_a_control_is_compared_with_its_twin_too_at_the_same_beta(recipe_of):
    arms = ["direct", "ases-uni-rouge", "ases-uni-chunks", "ases-dual-chunks"]
    recipe = recipe_of(arms=arms, sweep={"beta": [0.8, 1.2]})
    controls = as_es_arms(recipe, "ases-uni-chunks")
    assert [arm.name for arm in controls] == [
        "ases-uni-chunks-beta=0.8",
        "ases-uni-chunks-beta=1.2",
    ]
    names = ["direct", *(arm.name for arm in as_es_arms(recipe, "ases-uni-rouge"))]
    assert controls[1].against(names) == ["direct", "ases-uni-rouge-beta=1.2"]
    assert as_es_arms(recipe, "ases-dual-chunks")[0].against(names) == ["direct"]


@pytest.mark.parametrize("name", ["ases-uni-chunks", "ases-cue-chunks", "ases-dual-chunks"])
def test_a_control_trains_and_answers_like_its_twin_but_never_leads(tmp_path, name):
    with tiny_lab(tmp_path, train={"budget": 800, "evaluations": 1}) as lab:
        (arm,) = as_es_arms(lab.recipe, name)
        outcome = arm.run(lab, 0)
        assert outcome.control and not outcome.handed_out and outcome.student is not None
        assert len(outcome.predictions) == 6 and outcome.cost["beta"] == 1.0
        (twin,) = as_es_arms(lab.recipe, name.replace("chunks", "rouge"))
        as_chunks, as_rouge = arm.segments(lab, 0), twin.segments(lab, 0)
        chains = lab.train_chains(ChainSelection())
    for chain in chains:
        assert len(as_chunks.of(chain)) == len(as_rouge.of(chain))


def test_only_strategies_with_a_trained_scorer_name_one(recipe_of):
    recipe = recipe_of(arms=["ases-uni-ent", "ases-uni-ent*", "ases-uni-rouge"])
    labels = {
        name: [label for _, label in as_es_arms(recipe, name)[0].trainings(recipe, 2)]
        for name in recipe.arms
    }
    assert labels["ases-uni-ent"] == ["ases-uni-ent, seed 2", "direct, seed 2"]
    assert labels["ases-uni-ent*"] == ["ases-uni-ent*, seed 2"]
    assert labels["ases-uni-rouge"] == ["ases-uni-rouge, seed 2"]


def test_with_folds_a_scorer_is_trained_for_each(recipe_of):
    recipe = recipe_of(arms=["ases-uni-ent"], segmentation={"folds": 2})
    (arm,) = as_es_arms(recipe, "ases-uni-ent")
    assert [label for _, label in arm.trainings(recipe, 0)] == [
        "ases-uni-ent, seed 0",
        "direct, seed 0, without fold 0",
        "direct, seed 0, without fold 1",
    ]


def test_all_chains_of_a_problem_go_to_one_fold():
    chains = make_chains(9, 5, "easy")
    fold_of = folds([*chains, *chains], 3)
    assert len(fold_of) == 9
    assert sorted(fold_of.values()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
