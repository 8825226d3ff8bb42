"""Examples per update where the recipe names none: one number for all arms, by what `direct`
reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smallsteps.experiment.outcome import ChainSelection
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import run
from smallsteps.experiment.update_size import update_examples
from tiny_labs import tiny_lab
from tiny_runs import Listener, tiny_content


class _Arm:
    def __init__(self, limit: int | None = None) -> None:
        self.selection = ChainSelection(limit=limit)


def _size(folder: Path, limits: tuple[int | None, ...] = (None,), **train: Any) -> int:
    with tiny_lab(folder, train={"update_examples": None, "budget": None, **train}) as lab:
        return update_examples(lab, [_Arm(limit) for limit in limits])  # type: ignore[list-item]


@pytest.mark.parametrize(("passes", "size"), [(10, 8), (200, 16), (400, 32), (600, 64)])
def test_passes_over_few_chains_make_smaller_updates(
    tmp_path: Path, passes: int, size: int
) -> None:
    """24 chains: at least 200 updates where 8 examples per update can bring them there."""
    assert _size(tmp_path, passes=passes) == size


def test_a_budget_counts_as_the_passes_that_it_buys_direct(tmp_path: Path) -> None:
    with tiny_lab(tmp_path, train={"update_examples": None, "budget": None}) as lab:
        job = lab.chain_job(ChainSelection(), 0, lab.run.path, "direct")
        tokens = job.pass_tokens(lab.train_chains(ChainSelection()))
    assert _size(tmp_path / "small", budget=10 * tokens) == 8
    assert _size(tmp_path / "large", budget=600 * tokens) == 64


def test_what_the_recipe_names_stays(tmp_path: Path) -> None:
    assert _size(tmp_path, update_examples=5, passes=600) == 5


def test_all_arms_of_a_sweep_share_the_size_of_the_most_chains(tmp_path: Path) -> None:
    """The trap: 12 chains alone would have 8, so that arms would differ in two things."""
    assert _size(tmp_path, (12, 24), passes=400) == 32


def test_a_run_says_that_its_updates_are_smaller_and_keeps_the_number(tmp_path: Path) -> None:
    listener = Listener()
    train = {"update_examples": None, "budget": None, "passes": 2.0, "evaluations": 1}
    recipe = make_recipe(tiny_content(train=train, evaluation={"why_problems": 0}))
    results = run(recipe, tmp_path / "run", listener)
    assert results.budget.update_examples == 8
    assert any(line.startswith("updates of 8 examples, not 64: ") for line in listener.lines)
    (line,) = [line for line in listener.lines if "  plan: " in line]
    assert "plan: 6 updates" in line, "2 passes over 24 chains, 8 at a time"
