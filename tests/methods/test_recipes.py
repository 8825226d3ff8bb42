"""Every published recipe that needs a hub student or large data runs whole: with a tiny stand-in
for each, all its other words as they stand."""

from __future__ import annotations

import json

import pytest
from tests.experiment.test_run import REPORTS

from smallsteps.experiment.method import method_of
from smallsteps.experiment.method_modules import before_module
from smallsteps.experiment.recipe import load_recipe, recipe_names
from smallsteps.experiment.run import run
from smallsteps.tasks.stories import make_chains
from tiny_runs import TINY_STUDENT

BUNDLED = ("demo", "as-es/bundled", "as-es/plateau")
NAMES = [name for name in recipe_names() if name.startswith("as-es/") and name not in BUNDLED]
SMALL = [
    "seeds=[0]",
    "train.budget=600",
    "train.evaluations=1",
    "train.update_examples=8",
    "evaluation.bootstrap=100",
    "evaluation.batch_size=16",
]


def chains_of(task, path):
    """A dozen chains for word problems, or the small reports."""
    rows = (
        REPORTS
        if task == "pet"
        else [
            {
                "id": c.problem.id,
                "question": c.problem.question,
                "rationale": c.rationale.text,
                "answer": c.problem.answer,
            }
            for c in make_chains(12, 7, "easy")
        ]
    )
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize("name", NAMES)
def test_a_published_recipe_runs_with_stand_ins(name, tmp_path):
    published = load_recipe(name)
    data = chains_of(published.data.task, tmp_path / "chains.jsonl")
    kind = "characters" if published.data.task == "pet" else "bytes"
    changes = [
        f"data.chains={data}",
        "data.validation=null",
        "data.test=null",
        "data.also_test={}",
        f"student.scratch={json.dumps({**TINY_STUDENT, 'tokenizer': kind})}",
        *SMALL,
    ]
    if "beta" in published.sweep:
        changes.append("sweep.beta=[0.8, 1.0]")
    if "data.limit" in published.sweep:
        changes.append("sweep={data.limit: [5, 9]}")
    if published.train.until == "plateau":
        changes += ["train.evaluations=3", "train.patience=2"]
    recipe = load_recipe(name, changes)
    results = run(recipe, tmp_path / "run")
    assert [arm.name for arm in results.arms] == [
        name
        for arm in recipe.arms
        for name in before_module(method_of(arm).name).variants(recipe, [arm])
    ]
    assert all(arm.train_tokens >= 600 and arm.n > 0 for arm in results.arms)
    assert bool(results.paper_protocol) == recipe.evaluation.paper_protocol
