"""Every published recipe of tailored learning runs whole, with stand-ins for what must be fetched
or served."""

from __future__ import annotations

import json

import pytest

from smallsteps.experiment.recipe import load_recipe
from smallsteps.experiment.run import run
from tiny_runs import TINY_STUDENT
from tiny_tailored import causal_student, write_json_lines

PUBLISHED = [
    f"tailored/{name}"
    for name in ("gsm8k", "svamp", "multiarith", "commonsenseqa", "strategyqa", "own")
]
PUBLISHED += [f"{name}-causal" for name in PUBLISHED if name != "tailored/own"]
QUESTIONS = {
    "commonsenseqa": {
        "question": "Where is {n} at home?",
        "choices": ["river", "zoo"],
        "answer": "river",
    },
    "strategyqa": {"question": "Is {n} a number?", "answer": "yes"},
}
"""Rows of tasks whose answers are no numbers."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_recipe_runs_with_stand_ins(name, tmp_path, tiny):
    """A tiny student, a few questions and a file of replies; all other settings as they stand."""
    task = load_recipe(name).data.task
    row = QUESTIONS.get(task, {"question": "What is {n} plus 1?", "answer": "{n1}"})
    rows = []
    for n in range(12):
        texts = {k: v.format(n=n, n1=n + 1) if isinstance(v, str) else v for k, v in row.items()}
        rows.append({"id": f"q{n}", **texts})
    replies = [
        {"id": row["id"], "rationale": f"We {verb}. The answer is {row['answer']}."}
        for row in rows
        for verb in ("count", "look")
    ]
    student = f"student.scratch={json.dumps(TINY_STUDENT)}"
    if name.endswith("-causal"):
        student = f"student.name={causal_student(tiny, tmp_path / 'student')}"
    recipe = load_recipe(
        name,
        [
            f"data.chains={write_json_lines(tmp_path / 'questions.jsonl', rows)}",
            f"tailored.teacher.name={write_json_lines(tmp_path / 'replies.jsonl', replies)}",
            "data.test=null",
            "seeds=[0]",
            "train.budget=900",
            "train.evaluations=1",
            "evaluation.bootstrap=100",
            "tailored.rounds=2",
            student,
        ],
    )
    results = run(recipe, tmp_path / "run")
    assert [arm.name for arm in results.arms] == recipe.arms
    assert results.methods["tailored"].rounds[1].kept > 0
