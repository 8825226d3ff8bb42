"""The students of a run: what they learn, which checkpoint is kept, how a refinement ends."""

from __future__ import annotations

import json

import pytest

from smallsteps.errors import DataError
from smallsteps.report.page import write_page
from smallsteps.tasks.files import write_rows
from tiny_guided import facts_reader, guided_content, name_rows, names_reader
from tiny_runs import TINY_STUDENT, lasting, rows_of


def test_every_student_is_chosen_on_validation_and_no_step_is_a_candidate_too(
    recipe_of, run_recipe, tmp_path
):
    """By what the reader answers with its rationales; lowest training loss decides nothing."""
    kinds = ["standard", "unfiltered", "distilled", "both", "small"]
    arms = [f"guided-{kind}" for kind in kinds]
    results = run_recipe(recipe_of(arms=arms, train={"evaluations": 2}))
    rows = {arm.name.removeprefix("guided-"): arm for arm in results.arms}
    assert rows["standard"].validation is None
    for kind in ("unfiltered", "distilled", "small"):
        trained = json.loads((tmp_path / f"run/seed0/{kind}/trained.json").read_text())
        assert trained["validation"] == rows[kind].validation
        assert 0 <= trained["validation"] <= 100
        assert rows[kind].student == f"seed0/{kind}/{trained['folders']['metric']}"
    (refined,) = results.methods["guided"].refinement
    assert refined.start == rows["distilled"].validation
    assert refined.value == rows["both"].validation >= refined.start
    guides = [rows[kind].validation for kind in ("unfiltered", "distilled", "both")]
    assert results.best.validation == max(guides)


def test_wrong_replies_are_not_learnt_and_unfiltered_learns_them(
    recipe_of, run_recipe, tmp_path, server
):
    server.answer = lambda body, times: facts_reader(
        body, times, lambda problem: int(problem.id.split("-")[-1]) % 2 == 0
    )
    arms = ["guided-standard", "guided-unfiltered", "guided-distilled"]
    results = run_recipe(recipe_of(arms=arms))
    replies = rows_of(tmp_path / "run/replies/replies.jsonl")
    right = sum(row["correct"] for row in replies)
    assert 0 < results.methods["guided"].yields["kept"] == right < 12
    for row in replies:
        assert "answer is" not in row["rationale"] and "Prediction" not in row["rationale"]
    examples = {
        kind: json.loads((tmp_path / f"run/seed0/{kind}/trained.json").read_text())["passes"]
        for kind in ("unfiltered", "distilled")
    }
    assert examples["unfiltered"] < examples["distilled"], "the same budget on more examples"


def test_rollouts_of_a_server_refine_as_often_as_the_run_is_made(
    recipe_of, run_recipe, tmp_path, servers
):
    arms = ["guided-standard", "guided-both"]
    rolls = {"engine": "vllm", "server": {"command": "true {folder} --port {port}"}}
    content = guided_content(tmp_path / "replies.sqlite")
    guided = {"reinforce": {**content["guided"]["reinforce"], **rolls, "steps": 3}}
    student = {"scratch": {**TINY_STUDENT, "architecture": "causal"}}
    recipe = recipe_of(arms=arms, guided={**content["guided"], **guided}, student=student)
    results = [lasting(run_recipe(recipe, name)) for name in ("run", "again")]
    assert results[0] == results[1]
    assert servers.logs == [tmp_path / name / "server.log" for name in ("run", "again")]
    orders = [body.get("method") for body in servers.servers[0].bodies]
    assert orders.count("reload_weights") == 2, "one for each step but the first"
    (curves,) = tmp_path.glob("run/seed0/both/run/curves.jsonl")
    gaps = [row["engine_gap"] for row in rows_of(curves)]
    assert len(gaps) == 3 and max(gaps) < 1e-4


def test_rationales_of_the_data_are_learnt_and_the_reader_is_not_asked_for_them(
    recipe_of, run_recipe, tmp_path, server
):
    guided = guided_content(tmp_path / "replies.sqlite")["guided"]
    recipe = recipe_of(
        arms=["guided-standard", "guided-distilled"], guided={**guided, "rationales": "data"}
    )
    results = run_recipe(recipe)
    asked = [body["messages"][-1]["content"] for body in server.bodies]
    assert asked and not [text for text in asked if "step by step" in text]
    assert not (tmp_path / "run/replies").exists() and not (tmp_path / "run/held-out").exists()
    part = results.methods["guided"]
    assert part.rationales == "data"
    assert part.yields == {"rationales": 12, "right": 12, "kept": 12}
    calls = len(server.bodies)
    assert lasting(run_recipe(recipe)) == lasting(results)
    assert len(server.bodies) == calls, "continued from the run folder alone"


def test_no_right_rationale_in_the_data_ends_the_run_by_name(
    recipe_of, run_recipe, tmp_path, server
):
    rows = [{**row, "rationale": "It is so.", "predicted": "x"} for row in name_rows(20)]
    write_rows(tmp_path / "wrong.jsonl", rows)
    guided = guided_content(tmp_path / "replies.sqlite")["guided"]
    recipe = recipe_of(
        arms=["guided-standard", "guided-distilled"],
        data={"task": "hotpotqa", "chains": str(tmp_path / "wrong.jsonl")},
        guided={**guided, "rationales": "data"},
    )
    server.answer = names_reader
    with pytest.raises(DataError, match=r"not one of \d+ rationales of data\.chains is right"):
        run_recipe(recipe)


def test_what_no_arm_needs_is_not_trained(recipe_of, run_recipe, tmp_path):
    run_recipe(recipe_of(arms=["guided-standard", "guided-small"]))
    names = {path.name for path in (tmp_path / "run/seed0").iterdir()}
    assert names == {"rationales", "small"}
    run_recipe(recipe_of(arms=["guided-standard", "guided-cot", "guided-gold-facts"]), "bare")
    assert not (tmp_path / "bare/seed0").exists() and not (tmp_path / "bare/replies").exists()


def refining(recipe_of, arm, reinforce, **guided):
    """A recipe whose refinement has these settings."""
    base = guided_content("x")["guided"]
    store = recipe_of().guided.reader.store
    changed = {
        **base,
        **guided,
        "reader": {**base["reader"], "store": store},
        "reinforce": {**base["reinforce"], "steps": 6, **reinforce},
    }
    return recipe_of(arms=["guided-standard", arm], guided=changed, train={"budget": 30_000})


def test_equal_rewards_end_the_refinement_by_name(recipe_of, run_recipe, tmp_path):
    """Every rationale is longer than one word, and worth nothing."""
    results = run_recipe(refining(recipe_of, "guided-task", {"patience": 2, "longest": 1}))
    (row,) = results.methods["guided"].refinement
    assert row.steps == 2 and row.stopped.startswith("no-signal")
    assert "ended early" in write_page(tmp_path / "run").read_text()


def test_a_student_that_runs_away_ends_the_refinement_by_name(recipe_of, run_recipe):
    """`patience` is too large for equal rewards to end it first."""
    fast = {"learning_rate": 0.05, "kl_limit": 1e-4, "longest": 500, "patience": 100}
    results = run_recipe(refining(recipe_of, "guided-aspects", fast, max_new_tokens=30))
    (row,) = results.methods["guided"].refinement
    assert row.stopped.startswith("kl: ") and row.steps < 6
