"""The plan of a recipe: models, data and calls, by hand."""

from __future__ import annotations

import re

import pytest

from smallsteps.experiment.beforehand import rehearse
from smallsteps.experiment.plan import plan_lines
from smallsteps.experiment.recipe import load_recipe
from smallsteps.tasks.files import write_rows


def plan(name: str, *changes: str) -> list[str]:
    return plan_lines(load_recipe(name, changes))


def plan_with_data(name: str, *changes: str) -> list[str]:
    recipe = load_recipe(name, changes)
    with rehearse(recipe) as data:
        return plan_lines(recipe, data)


@pytest.fixture
def questions(tmp_path):
    """A file of 4 questions with contexts."""
    rows = [
        {"id": f"q{n}", "question": f"Who {n}?", "context": "X is Y.", "answer": "Y"}
        for n in range(4)
    ]
    write_rows(tmp_path / "q.jsonl", rows)
    return tmp_path / "q.jsonl"


def test_a_dual_arm_trains_two_models():
    lines = plan("demo", "arms=[direct, ases-uni-inter, ases-dual-inter]", "seeds=[0, 1]")
    assert lines[:3] == [
        "arms (3): direct, ases-uni-inter, ases-dual-inter",
        "seeds: 0, 1",
        "models trained: 8",
    ]
    assert lines[-1] == "student: bundled-causal"


def test_an_arm_of_tailored_learning_trains_once_per_round():
    lines = plan(
        "tailored/demo", "tailored.rounds=3", "arms=[tailored-full, tailored-blind]", "seeds=[0]"
    )
    assert "models trained: 6" in lines


def test_a_missing_file_is_marked_and_nothing_is_counted():
    lines = plan("tailored/own", "data.chains=none.jsonl")
    assert "data: none.jsonl  (missing: set data.chains=PATH)" in lines
    assert not any(line.startswith("sizes") for line in lines)


def test_calls_of_a_teacher(questions):
    lines = plan(
        "tailored/own",
        f"data.chains={questions}",
        "data.task=hotpotqa",
        "tailored.rounds=3",
        "tailored.rationales=2",
        "tailored.mistakes=1",
        "tailored.teacher.retries=1",
    )
    assert "sizes: 4 questions; those of validation and test are taken from data.chains" in lines
    # 4 questions x 2 rationales; 4 questions x 1 mistake x 2 rounds after the first
    assert any("8 calls at the start (T_0) and 8 for the feedback" in line for line in lines)
    assert any("each at most 2 times" in line for line in lines)


def test_the_sizes_stand_once_whatever_methods_the_arms_are_of(questions):
    arms = ["tailored-full", "guided-standard", "guided-cot"]
    both = [f"data.chains={questions}", "data.task=hotpotqa", "guided.reader.name=m"]
    lines = plan("tailored/own", *both, f"arms=[{', '.join(arms)}]", f"data.test={questions}")
    assert [line for line in lines if line.startswith("sizes:")] == [
        "sizes: 8 questions; those of validation are taken from data.chains"
    ]
    assert sum("at most" in line and "calls" in line for line in lines) == 2


def test_calls_of_a_reader(questions):
    lines = plan(
        "guided/own",
        f"data.chains={questions}",
        "arms=[guided-standard, guided-cot]",
        "guided.samples=5",
    )
    # no student: nothing to learn from, 2 arms x 4 questions
    assert any("With 4 questions in all, at most 8 calls" in line for line in lines)


def test_a_student_from_scratch_is_named_by_its_sizes():
    lines = plan("demo", "student.scratch={d_model: 16, layers: 1}")
    assert lines[-1] == "student: from scratch {'d_model': 16, 'layers': 1}"


def test_a_training_until_the_plateau_says_the_most_and_a_search_what_it_adds():
    lines = plan_with_data(
        "demo", "arms=[direct,ases-uni-inter]", "train.budget=1000", "train.until=tokens"
    )
    assert any("budget: 1,000 training tokens an arm; 2 trained arms" in line for line in lines)
    lines = plan_with_data(
        "demo",
        "arms=[direct,ases-uni-inter]",
        "seeds=[0, 1]",
        "train.budget=1000",
        "train.until=plateau",
        "train.patience=4",
        "train.evaluations=20",
        "train.learning_rate=[1e-3,1e-2,1e-1]",
    )
    assert any("every arm trains until its plateau: 4 evaluations in a row" in n for n in lines)
    assert any("budget: at most 1,000 training tokens an arm; 2 trained" in line for line in lines)
    # 2 arms x 3 rates x a tenth of the budget, at the first seed
    assert any("the best of 3 on validation" in n and "about 600 tokens more" in n for n in lines)


def test_a_dry_run_warns_of_few_updates_and_few_problems():
    small = ["data.test_count=20", "train.update_examples=64", "train.until=tokens"]
    lines = plan_with_data("demo", "arms=[direct]", "train.budget=20000", *small)
    assert any(re.match(r"updates: about \d\d? \(direct\) of 64 examples$", line) for line in lines)
    assert any(
        line.startswith("few updates: ") and "type train.update_examples=8 (about" in line
        for line in lines
    )
    assert any("30 to 70 over 20 test problems. For more, type data.test_count" in n for n in lines)
    assert not any(line.startswith("few") for line in plan_with_data("demo", "arms=[direct]"))
    sizes = ["train.update_examples=64", "data.count=50"]
    assert any("few chains: 50 chains" in n for n in plan_with_data("demo", *sizes))
