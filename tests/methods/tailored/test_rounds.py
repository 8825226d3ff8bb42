"""The rounds in the run folder: what arms share and cost, that nothing is bought or made twice, and
that a run killed anywhere ends the same."""

from __future__ import annotations

import json

import pytest
import yaml

from smallsteps.errors import RecipeError
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from smallsteps.methods.tailored import method
from smallsteps.report.page import write_page
from smallsteps.tasks.stories import make_chains
from smallsteps.teaching.feedback import Feedback, append_feedback
from smallsteps.teaching.story_solver import StorySolver
from tiny_runs import lasting, rows_of
from tiny_tailored import (
    causal_student,
    rounds_of,
    tailored_content,
)

# ---- what arms cost ----


def test_arms_cost_the_same_teacher_and_training_tokens(four_arms):
    rows = rounds_of(four_arms.results)
    dearest = 130
    for arm in ("tailored-t0-only", "tailored-blind"):
        for number in (1, 2):
            paid = rows[arm, number].teacher_tokens
            allowed = rows["tailored-full", number].teacher_tokens
            assert allowed <= paid <= allowed + dearest, "the last reply may go over"
    full = rows["tailored-full", 2].train_tokens
    for arm in ("tailored-t0-only", "tailored-blind", "tailored-no-contrast"):
        assert rows[arm, 2].train_tokens == pytest.approx(full, rel=0.2)
    assert rows["tailored-full", 1].usable > 0 and rows["tailored-no-contrast", 2].usable is None


def test_tokens_of_positives_and_negatives_are_counted_beside_the_anchors(four_arms):
    rows = rounds_of(four_arms.results)
    assert four_arms.results.methods["tailored"].equal == "anchors"
    full, plain = rows["tailored-full", 1], rows["tailored-no-contrast", 1]
    assert full.all_tokens > 1.3 * full.train_tokens
    assert plain.all_tokens == plain.train_tokens


def test_arms_can_be_equal_in_all_tokens(tmp_path):
    arms = ["tailored-full", "tailored-no-contrast"]
    recipe = make_recipe(tailored_content(arms=arms, tailored={"equal": "all"}))
    rows = rounds_of(run(recipe, tmp_path / "run"))
    for number in (1, 2):
        full, plain = rows["tailored-full", number], rows["tailored-no-contrast", number]
        assert plain.all_tokens == pytest.approx(full.all_tokens, rel=0.2)
        assert plain.train_tokens > 1.2 * full.train_tokens
    assert "all tokens" in write_page(tmp_path / "run").read_text(encoding="utf-8")


# ---- what people said ----


def test_feedback_joins_positives_and_negatives_and_is_read_once(tmp_path, monkeypatch):
    problem = make_chains(10, 100, "easy")[0].problem
    edited = f"Two ways lead there. The answer is {problem.answer}."
    judgement = Feedback(
        id=problem.id,
        question=problem.question,
        rationale="A guess. The answer is 1.",
        answer="1",
        verdict="wrong",
        edited=edited,
        student="bundled",
        time="2026-01-31T12:00:00+00:00",
    )
    append_feedback(tmp_path / "feedback.jsonl", judgement)
    recipe = make_recipe(
        tailored_content(
            arms=["tailored-full", "tailored-no-contrast"],
            data={"feedback": str(tmp_path / "feedback.jsonl")},
            tailored={"rounds": 1, "rationales": 1, "samples": 1},
            train={"budget": 1000},
        )
    )
    materials = []

    def recorded(job, student, material, *more):
        materials.append(material)
        return method.train(job, student, material, *more)

    monkeypatch.setattr("smallsteps.methods.tailored.rounds.train", recorded)
    results = run(recipe, tmp_path / "run")
    full, plain = materials
    for material in materials:
        texts = [c.rationale.text for c in material.chains if c.problem.id == problem.id]
        assert len(texts) == 2 and texts[-1] == edited
    assert full.negatives[problem.id][0] == "A guess. The answer is 1." and not plain.negatives
    tokens = [rounds_of(results)[arm, 1].train_tokens for arm in recipe.arms]
    assert tokens[0] == tokens[1], "the same cost, with and without the contrast"
    facts = results.data.feedback
    assert facts.used == {"edited chain": 1} and facts.learnt == facts.rejected == 1
    (tmp_path / "feedback.jsonl").unlink()
    assert run(recipe, tmp_path / "run") == results


# ---- what is shared, and made once ----


def test_arms_that_learn_the_same_share_a_student(four_arms):
    places = sorted(path.name for path in (four_arms.out / "start/seed0").iterdir())
    assert places == ["round-0", "round-1-plain", "round-1-triplet"]


def test_the_same_call_again_asks_nobody_and_changes_nothing(four_arms, monkeypatch):
    monkeypatch.setattr(StorySolver, "explain", lambda *_: pytest.fail("asked again"))
    assert run(four_arms.recipe, four_arms.out) == four_arms.results


def test_a_run_killed_anywhere_ends_the_same(command, tmp_path):
    content = tailored_content(
        arms=["tailored-full", "tailored-t0-only"],
        tailored={"teacher": {"store": str(tmp_path / "store")}},
    )
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    arguments = ("run", str(tmp_path / "recipe.yaml"), "--threads", "1", "--out")
    assert command(*arguments, str(tmp_path / "whole")) == 0, command.errors()
    cut = str(tmp_path / "cut")
    for point in (
        "before-manifest:start/seed0/round-0/exam/block-000",
        "after:start/lessons",
        "before-manifest:start/seed0/round-1-triplet/training",
        "before-manifest:arms/tailored-full-seed0/lessons-1",
        "before-manifest:arms/tailored-t0-only-seed0/round-2/test",
        "after:results",
    ):
        assert command(*arguments, cut, fail_at=point) == -9, f"{point}: {command.errors()}"
    assert command(*arguments, cut) == 0, command.errors()
    whole, other = (lasting(read_results(tmp_path / name)) for name in ("whole", "cut"))
    assert whole == other
    assert (tmp_path / "cut/report.html").is_file()
    for name in ("fates.jsonl", "grades.jsonl"):
        path = f"arms/tailored-full-seed0/page/{name}"
        assert (tmp_path / "whole" / path).read_text() == (tmp_path / "cut" / path).read_text()


# ---- settings ----


@pytest.mark.parametrize(
    "changes",
    [{"segments": "inter"}, {"contrast": "dpo", "collect": "replace"}, {"start": "restart"}],
)
def test_other_settings_run_too(tmp_path, changes):
    results = run(make_recipe(tailored_content(tailored=changes)), tmp_path / "run")
    rounds = results.methods["tailored"].rounds
    assert [row.round for row in rounds] == [0, 1, 2]
    assert "segments" in changes or rounds[1].usable > 0
    drive = json.loads((tmp_path / "run" / results.best.folder / "smallsteps.json").read_text())
    assert ((drive["max_segments"] or 0) > 2) == ("segments" in changes), (
        "from the longest chain it learnt from"
    )


def test_demonstrations_are_training_questions_and_go_with_the_student(tmp_path, tiny):
    recipe = make_recipe(
        tailored_content(
            student={"name": causal_student(tiny, tmp_path / "student")},
            tailored={"demonstrations": 2, "rounds": 1},
            train={"overlong": "drop", "source_limit": 2000, "target_limit": 2000},
        )
    )
    results = run(recipe, tmp_path / "run")
    replies = rows_of(tmp_path / "run/start/lessons/replies.jsonl")
    right = {row["text"] for row in replies if "dropped" not in row}
    folder = tmp_path / "run" / results.best.folder
    drive = json.loads((folder / "smallsteps.json").read_text())
    questions = {row["question"] for row in rows_of(tmp_path / "run/data/train.jsonl")}
    assert len(drive["demonstrations"]) == 2
    for question, rationale in drive["demonstrations"]:
        assert rationale in right and question in questions


def test_demonstrations_are_refused_for_an_encoder_decoder_before_the_teacher_is_asked(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(StorySolver, "explain", lambda *_: pytest.fail("asked"))
    recipe = make_recipe(tailored_content(tailored={"demonstrations": 2}))
    with pytest.raises(
        RecipeError, match="bundled is an encoder-decoder: demonstrations are for causal"
    ):
        run(recipe, tmp_path / "run")
