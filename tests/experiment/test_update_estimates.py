"""Updates of each model beforehand: as many as the run will plan."""

from __future__ import annotations

import json

import pytest

import smallsteps.experiment.run as runner
from smallsteps.experiment.beforehand import rehearse
from smallsteps.experiment.check import plan_chain_arms
from smallsteps.experiment.plan import tokens_of_a_pass
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.update_estimates import estimated_updates
from tiny_runs import tiny_content

ARMS = ["direct", "answer-only", "ases-uni-inter", "ases-dual-rouge", "ases-uni-ent"]
BUNDLED = {"name": "bundled", "scratch": None}


class Planned(Exception):
    """A run has planned its updates and goes no further."""


def planned_updates(recipe, folder, monkeypatch):
    """Label of each model -> the updates that a run of the recipe plans."""

    def stop(lab, arms, only):
        plan_chain_arms(lab, arms, only)
        raise Planned

    monkeypatch.setattr(runner, "plan_chain_arms", stop)
    with pytest.raises(Planned):
        runner.run(recipe, folder / "run")
    plans = json.loads((folder / "run/plan/plans.json").read_text(encoding="utf-8"))
    return {
        f"{arm}, {half} half" if half else arm: count
        for arm, plan in plans.items()
        for half, count in plan["updates"].items()
    }


@pytest.mark.parametrize(
    "train", [{"budget": 6000}, {"until": "passes", "passes": 5.0, "budget": None}]
)
def test_a_dry_run_says_what_the_run_plans_halves_of_pairs_too(
    tmp_path, monkeypatch, train
) -> None:
    """The trap: only the updates of `direct` were counted, and halves of a pair make half as
    many."""
    recipe = make_recipe(tiny_content(arms=ARMS, train=train, student=BUNDLED))
    with rehearse(recipe) as data:
        passes = recipe.train.passes
        if recipe.train.budget is not None:
            passes = recipe.train.budget / tokens_of_a_pass(recipe, data)
        estimated = estimated_updates(recipe, data, passes, 8)
    assert estimated == pytest.approx(planned_updates(recipe, tmp_path, monkeypatch), abs=1)
    if recipe.train.budget is not None:
        pair = [count for label, count in estimated.items() if label.endswith("half")]
        assert len(pair) == 2 and max(pair) < estimated["direct"] < estimated["answer-only"]


def test_some_of_the_chains_are_enough(monkeypatch) -> None:
    recipe = make_recipe(tiny_content(arms=ARMS, data={"count": 60}))
    with rehearse(recipe) as data:
        exact = estimated_updates(recipe, data, 20, 8)
        monkeypatch.setattr("smallsteps.experiment.update_estimates.MAX_CHAINS", 15)
        sampled = estimated_updates(recipe, data, 20, 8)
    assert sampled == pytest.approx(exact, rel=0.1)


def test_a_student_that_is_not_here_is_stood_for_by_a_bundled_one() -> None:
    here = make_recipe(tiny_content(arms=ARMS, student=BUNDLED))
    away = here.changed(student=here.student.changed(name="owner/not-on-this-machine"))
    with rehearse(here) as data:
        assert estimated_updates(away, data, 20, 8) == estimated_updates(here, data, 20, 8)
