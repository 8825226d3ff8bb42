"""Baselines that a task cannot have are refused before the run."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.access import Access
from smallsteps.methods.baselines import before
from smallsteps.tasks import get_task

REPORTS = {"task": "pet", "chains": "x"}


def test_whole_reports_are_for_tasks_with_reports(recipe_of):
    recipe = recipe_of(arms=["direct-report"])
    with pytest.raises(RecipeError, match="direct-report is for reports; the task 'stories'"):
        before.check(recipe, ["direct-report"], get_task("stories"), Access(), False)
    recipe = recipe_of(arms=["direct-report"], data=REPORTS)
    before.check(recipe, ["direct-report"], get_task("pet"), Access(), False)


def test_one_model_is_trained_for_each_value_of_a_sweep(recipe_of, tmp_path):
    arms = ["direct", "direct-report"]
    recipe = recipe_of(arms=arms, data=REPORTS, sweep={"gamma": [0, 1]})
    names = ["direct-gamma=0", "direct-gamma=1", "direct-report"]
    assert before.variants(recipe, arms) == names and before.models(recipe, arms) == 3
    assert before.plan(recipe, arms, 10, 20) == []
    command = before.next_command(recipe, tmp_path, tmp_path / "student")
    assert command == ["smallsteps", "solve", str(tmp_path / "student"), "your question"]
