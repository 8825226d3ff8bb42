"""The budget of a run: what direct's passes cost, the same for every arm, and said in one line."""

from __future__ import annotations

import pytest

from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.budget import set_budget
from smallsteps.experiment.run import run


@pytest.fixture
def budgets(recipe_of, monkeypatch, listener, tmp_path):
    """`budgets(**train)`: (tokens of an arm, the line about it) of a run with `direct` and an arm
    that cuts, which ends once the budget is set."""

    class Enough(Exception):
        pass

    def measure(arms=("direct", "ases-uni-rouge"), **train):
        found = []

        def stop(lab, chain_arms):
            assert all(isinstance(arm, ChainArm) for arm in chain_arms)
            set_budget(lab, chain_arms)
            found.append(lab.budget)
            raise Enough

        monkeypatch.setattr("smallsteps.experiment.run.set_budget", stop)
        recipe = recipe_of(arms=list(arms), train={"budget": None, **train})
        with pytest.raises(Enough):
            run(recipe, tmp_path / f"{len(listener.lines)}", listener)
        return found[0], listener.lines[-1]

    return measure


def test_a_budget_in_passes_is_what_they_cost_direct(budgets):
    one, line = budgets(passes=1.0)
    assert one > 500 and line.startswith(f"budget: {one:,} training tokens an arm")
    assert line.endswith("what 1 passes cost direct)")
    three, _ = budgets(passes=3.0)
    assert three == 3 * one, "the arm that cuts has more tokens in a pass, and the same budget"
    without_direct, _ = budgets(arms=("ases-uni-rouge",), passes=1.0)
    assert without_direct == one


def test_until_passes_there_is_no_budget_in_tokens(budgets):
    assert budgets(until="passes", passes=2.0) == (
        None,
        "budget: 2 passes over each arm's examples",
    )


def test_arms_that_train_on_no_chains_get_the_recipes_budget_and_no_line(budgets):
    tokens, line = budgets(arms=("base",), budget=700)
    assert tokens == 700 and not line.startswith("budget")


def test_until_the_plateau_the_budget_is_a_cap(budgets):
    cap, line = budgets(until="plateau", passes=2.0, patience=2, evaluations=4)
    assert line.startswith("every arm trains until 2 evaluations in a row bring no gain")
    assert f"at most {cap:,} training tokens" in line
