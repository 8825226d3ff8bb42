"""Every published recipe of guided chain of thought runs whole, with stand-ins for what must be
fetched or served."""

from __future__ import annotations

import json

import pytest

from smallsteps.experiment.recipe import load_recipe, recipe_names
from smallsteps.tasks.files import write_rows
from tiny_guided import name_rows, names_reader
from tiny_runs import TINY_STUDENT


@pytest.mark.parametrize(
    "name",
    [name for name in recipe_names() if name.startswith("guided/") and name != "guided/demo"],
)
def test_a_published_recipe_runs_with_stand_ins(name, tmp_path, server, tiny, run_recipe):
    """A tiny student of the same architecture, a dozen questions and a reader on loopback; all
    other settings as they stand."""
    server.answer = names_reader
    write_rows(tmp_path / "own.jsonl", name_rows(12, "So."))
    published = load_recipe(name)
    if "Qwen" in published.student.name:
        tiny("qwen").save(tmp_path / "student")
        student = f"student.name={tmp_path / 'student'}"
    else:
        student = f"student.scratch={json.dumps(TINY_STUDENT)}"
    assert published.guided.judge.name == "cross-encoder/nli-deberta-v3-base", (
        "lexical judges fail on real text"
    )
    arms = [arm for arm in published.arms if not arm.endswith("-confidence")]
    recipe = load_recipe(
        name,
        [
            f"data.chains={tmp_path / 'own.jsonl'}",
            "data.validation=null",
            "data.test=null",
            student,
            f"arms=[{', '.join(arms)}]",
            f"guided.reader.base_url={server.url}",
            f"guided.reader.store={tmp_path / 'replies.sqlite'}",
            "seeds=[0]",
            "train.budget=600",
            "train.evaluations=1",
            "evaluation.bootstrap=100",
            "guided.samples=2",
            "guided.max_new_tokens=8",
            "guided.reinforce.steps=1",
            "guided.reinforce.prompts=2",
            "guided.reinforce.evaluations=1",
            "guided.judge=lexical",
            "guided.judge_min_auc=0",
        ],
    )
    results = run_recipe(recipe)
    assert [arm.name for arm in results.arms] == arms
    assert results.methods["guided"].yields["kept"] > 0
