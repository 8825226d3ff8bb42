"""The stages of a run: who is trained on what, which checkpoint is kept, and that a run killed
anywhere ends the same."""

from __future__ import annotations

import json

import pytest

from loopback import completion
from smallsteps.errors import DataError, TeacherError
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.results import read_results
from smallsteps.report.page import write_page
from smallsteps.students.loading import load_student
from tiny_guided import facts_reader, guided_content
from tiny_runs import lasting, rows_of


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


def test_a_run_killed_anywhere_ends_the_same(recipe_of, tmp_path, monkeypatch, server, command):
    recipe = recipe_of()
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    arguments = ("run", str(tmp_path / "recipe.yaml"), "--out")
    assert command(*arguments, str(tmp_path / "whole")) == 0, command.errors()
    for point in (
        "before-manifest:replies",
        "before-manifest:seed0/distilled",
        "after:seed0/both",
        "before-manifest:seed0/rationales/both-1",
        "after:arms/guided-both-seed0/outcomes",
        "after:results",
    ):
        code = command(*arguments, str(tmp_path / "cut"), fail_at=point)
        assert code == -9, f"{point}: {command.errors()}"
    assert command(*arguments, str(tmp_path / "cut")) == 0, command.errors()
    whole, cut = (lasting(read_results(tmp_path / name)) for name in ("whole", "cut"))
    assert whole == cut
    answers = "arms/guided-both-seed0/outcomes/outcomes.jsonl"
    rationales = [
        [row["rationale"] for row in rows_of(tmp_path / name / answers)]
        for name in ("whole", "cut")
    ]
    assert rationales[0] == rationales[1] and (tmp_path / "cut/report.html").is_file()


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


def test_what_no_arm_needs_is_not_trained(recipe_of, run_recipe, tmp_path):
    run_recipe(recipe_of(arms=["guided-standard", "guided-small"]))
    names = {path.name for path in (tmp_path / "run/seed0").iterdir()}
    assert names == {"rationales", "small"}
    run_recipe(recipe_of(arms=["guided-standard", "guided-cot", "guided-gold-facts"]), "bare")
    assert not (tmp_path / "bare/seed0").exists() and not (tmp_path / "bare/replies").exists()


def test_a_spent_limit_stops_with_everything_kept(recipe_of, run_recipe, server):
    recipe = recipe_of()
    reader = recipe.guided.reader.model_copy(update={"calls": 9, "concurrency": 1})
    limited = recipe.model_copy(
        update={"guided": recipe.guided.model_copy(update={"reader": reader})}
    )
    with pytest.raises(
        TeacherError, match=r"replies did not come.*not asked: .*the same command goes on"
    ):
        run_recipe(limited)
    assert len(server.bodies) == 9
    results = run_recipe(recipe)
    assert results.methods["guided"].yields["replies"] == 12
    calls = len(server.bodies)
    run_recipe(recipe_of(), "again")
    assert len(server.bodies) == calls, "replies paid before and after the stop are in the store"


@pytest.mark.parametrize(
    ("answer", "arm", "error", "message"),
    [
        (
            lambda body, times: (200, completion(""), {}),
            "guided-cot",
            TeacherError,
            "answers none of the first 3 requests: empty reply",
        ),
        (
            lambda body, times: (200, completion("Prediction:"), {}),
            "guided-cot",
            TeacherError,
            "not one of 6 replies could be read",
        ),
        (
            lambda body, times: facts_reader(body, times, lambda problem: False),
            "guided-distilled",
            DataError,
            "not one of 12 replies of 'm' was right",
        ),
    ],
)
def test_a_reader_of_no_use_ends_the_run_by_name(
    recipe_of, run_recipe, server, answer, arm, error, message
):
    server.answer = answer
    arms = [arm, "guided-standard"] if arm == "guided-cot" else ["guided-standard", arm]
    with pytest.raises(error, match=message):
        run_recipe(recipe_of(arms=arms))


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


def test_a_folder_reads_and_its_weights_tell_how_sure_it_is(run_recipe, tmp_path):
    """The bundled student as reader: it reasons badly, and says something."""
    load_student("bundled").save(tmp_path / "reader")
    content = guided_content(
        tmp_path / "own.sqlite",
        arms=["guided-standard", "guided-untrained-confidence", "guided-untrained-gold"],
    )
    content["guided"]["reader"] |= {"name": str(tmp_path / "reader"), "cot_tokens": 40}
    results = run_recipe(make_recipe(content))
    assert all(row.large_tokens > 0 for row in results.methods["guided"].guidance)
