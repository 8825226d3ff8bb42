"""Causal students through the whole comparison: Llama- and Qwen-class, from a folder, chat template
and all."""

import json

import pytest
from tests.conftest import make_student
from transformers import AutoModelForCausalLM, AutoTokenizer

import smallsteps
from smallsteps.experiment.run import run
from smallsteps.students.loading import load
from tiny_runs import rows_of, tiny_content

ARMS = ["direct", "ases-uni-inter", "ases-uni-ent", "ases-dual-rouge"]


@pytest.fixture(scope="module", params=["llama", "qwen"])
def finished(request, tmp_path_factory):
    """(run folder, results) of a causal student of this style."""
    out = tmp_path_factory.mktemp(request.param)
    student = make_student(request.param)
    student.model.config.max_position_embeddings = 1024
    student.model.save_pretrained(out / "student")
    student.tokenizer.save_pretrained(out / "student")
    content = tiny_content(
        arms=ARMS,
        train={"budget": 9000, "learning_rate": 5e-3},
        student={"name": str(out / "student")},
        evaluation={"segment_bleu": True},
    )
    content["student"].pop("scratch")
    return out / "run", run(smallsteps.experiment.recipe.make_recipe(content), out / "run")


def test_every_arm_is_trained_and_graded(finished):
    out, results = finished
    assert [row.name for row in results.arms] == ARMS
    for row in results.arms:
        assert row.n == 6 and row.train_tokens >= 9000
        assert sum(row.stopped.values()) == 6
        assert len(rows_of(out / row.folder / "predictions.jsonl")) == 6


def test_the_students_are_ordinary_folders_that_answer(finished):
    out, results = finished
    for row in results.arms:
        folder = out / row.student
        student = load(folder)
        assert student.architecture == "causal"
        if "dual" not in row.name:
            model = AutoModelForCausalLM.from_pretrained(folder)
            assert (
                len(AutoTokenizer.from_pretrained(folder))
                <= model.get_input_embeddings().weight.shape[0]
            )
        assert smallsteps.load(str(folder))("How many pens?").stopped in (
            "stop_sign",
            "end",
            "limit",
            "empty",
        )


def test_a_causal_student_learns(finished):
    out, _ = finished
    trained = json.loads((out / "arms/ases-uni-inter-seed0/training/trained.json").read_text())
    losses = [row["train_loss"] for row in trained["curves"]]
    assert len(losses) >= 5 and losses[-1] < 0.95 * losses[0]
