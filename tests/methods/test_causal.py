"""Causal students through the whole comparison: Llama- and Qwen-class, from a folder, chat template
and all."""

import json

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

import smallsteps
from smallsteps.experiment.run import run
from smallsteps.generation.solve import solve
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.segments.examples import build_examples
from smallsteps.segments.label import segment_chains
from smallsteps.segments.strategies import STRATEGIES
from smallsteps.students.drive import Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.training.fit import fit
from smallsteps.training.settings import TrainSettings
from tiny_runs import rows_of, tiny_content
from tiny_students import make_student

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


TASK = get_task("numbers")
RATIONALES = {
    "Ann has 3 boxes with 4 pens each. She sold 5. How many pens?": (
        "First, Ann has 3 boxes, so 3 x 4 = 12 pens. She sold 5, 12 - 5 = 7 pens are left. "
        "The answer is 7."
    ),
    "Tom bought 16 apples, ate 2 and sold 10. How many are left?": (
        "Tom ate 2. Then he sold 10 apples, so 16 - 12 = 4. The answer is 4."
    ),
    "She has 3 boxes with 4 pens. How many are left?": (
        "3 x 4 = 12. So, she has 12 pens. She gives away 5. The answer is 7."
    ),
    "Tom has 16 apples. How many apples?": "So, Tom has 16, not 2. The answer is 16.",
    "Ann ate 2 apples. How many did Ann eat?": "The answer is 2.",
    "She sold 10 pens for 2 each. How many for all?": (
        "She sold 10 pens. Each was 2, so she has 10 x 2 = 20. The answer is 20."
    ),
    "Tom had 7 boxes and gives away 3. How many has Tom?": (
        "Tom had 7 boxes. Then, he gives away 3. So, 7 - 3 = 4 are left. The answer is 4."
    ),
}


def by_heart(student, examples, folder):
    """The student, trained until it knows the examples by heart."""
    settings = TrainSettings(
        passes=45, learning_rate=1e-2, update_examples=8, evaluations=1, warmup_share=0.1
    )
    fit(student, examples, [], settings, folder, task=TASK)
    return student


@pytest.mark.parametrize("style", ["llama", "qwen"])
@pytest.mark.parametrize("path", ["uni", "dual"])
def test_chains_learnt_by_heart_are_written_segment_by_segment(tmp_path, style, path):
    """The end of a segment is not learnt as the end of the text, and markers are learnt as fast as
    words: also where embedding and head are the same weights (Qwen). Each chain is cut by another
    strategy; short fragments such as "First," are segments of their own."""
    chains = [
        Chain(Problem(f"c{n}", question), Rationale(f"c{n}/r", f"c{n}", rationale, "gold"))
        for n, (question, rationale) in enumerate(RATIONALES.items())
    ]
    student = make_student(style, talkative=1.0)
    names = [name for name, strategy in STRATEGIES.items() if not strategy.needs_gold]
    segments = [
        segment_chains([chain], names[n % len(names)], task=TASK, student=student)[0]
        for n, chain in enumerate(chains)
    ]
    examples = build_examples(chains, segments, TASK, path, causal=True)
    if path == "dual":
        halves = [
            by_heart(
                prepare(make_student(style, talkative=1.0), TASK, path="dual", role=role),
                [example for example in examples if example.kind == role],
                tmp_path / role,
            )
            for role in ("ES", "AS")
        ]
        student = DualStudent(*halves, Drive(task=TASK.name, path="dual"))
    else:
        student = by_heart(prepare(student, TASK, path="uni"), examples, tmp_path / "uni")
    written = {p.problem_id: p for p in solve(student, [c.problem for c in chains], TASK)}
    for chain, cut in zip(chains, segments, strict=True):
        prediction = written[chain.problem.id]
        assert prediction.segments == tuple((s.kind, s.text.strip()) for s in cut)
        assert prediction.stopped == "stop_sign"
