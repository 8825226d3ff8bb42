"""One round of feedback on the bundled word problems: does a student learn more with its edited
mistakes than from the same chains again?

    python benchmarks/feedback_round.py OUT [--budget 40000] [--seeds 3] [--student DIR]
    python benchmarks/feedback_round.py OUT --anew --budget 200000
    python benchmarks/feedback_round.py OUT --anew --arm tailored-full

The bundled causal student is trained briefly (OUT/first; or DIR is such a student) and asked new
questions, as people ask in the playground. Its wrong chains become feedback: judged wrong, and
edited as the data would say it (--edits data) or as the exact solver explains the mistake, in
smaller steps and other words (--edits solver). The student is trained on (--anew: the bundled
student is trained from the beginning), with the same number of tokens: on the same chains
(OUT/without), and on the same chains with the feedback (OUT/with). --arm tailored-full: the chains
are the replies of a teacher that corrects no mistake; people's edits are the only corrections.
Prints the paired test over all seeds. Killed, the same call continues."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from smallsteps.evaluation.comparison import compare_scores, pool_scores
from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.data_parts import bundled_parts
from smallsteps.experiment.recipe import Recipe, make_recipe
from smallsteps.experiment.regrading import TestPart, regraded
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from smallsteps.generation.solve import load_with_task, solve
from smallsteps.records import Chain
from smallsteps.tasks.files import write_rows
from smallsteps.tasks.stories import make_chains
from smallsteps.teaching.feedback import Feedback, append_feedback, now
from smallsteps.teaching.lessons import Lesson
from smallsteps.teaching.story_solver import StorySolver

TASK = "stories"
BUNDLED = "bundled-causal"
SPLIT_SEED = 1
SEED = 900
"""Of the questions that the student is asked: no recipe trains on it."""


def recipe_of(
    options: argparse.Namespace, student: str, arm: str, seeds: int, budget: int, **data: Any
) -> Recipe:
    teacher = {"name": str(options.out / "teacher.jsonl")}
    tailored = {"rounds": 2, "samples": 2, "teacher": teacher}
    return make_recipe(
        {
            "title": "a round of feedback",
            "arms": [arm],
            **({"tailored": tailored} if arm != "direct" else {}),
            "seeds": list(range(seeds)),
            "data": {
                "task": TASK,
                "count": options.count,
                "validation_count": 150,
                "test_count": 300,
                "split_seed": SPLIT_SEED,
                **data,
            },
            "student": {"name": student},
            "train": {
                "budget": budget,
                "evaluations": 2,
                "update_examples": 16,
                "learning_rate": 1e-3,
            },
            "evaluation": {"why_problems": 0},
        }
    )


def write_feedback(file: Path, student: Path, chains: Sequence[Chain], edits: str) -> int:
    """The wrong chains of the student on the problems of these chains, each edited; returns their
    number."""
    loaded = load_with_task(student)
    task, solver, wrong = loaded.task, StorySolver(), 0
    problems = [chain.problem for chain in chains]
    by_id = {chain.problem.id: chain for chain in chains}
    file.unlink(missing_ok=True)
    for prediction in solve(loaded.student, problems, task):
        problem, rationale = by_id[prediction.problem_id]
        if task.grade(prediction, problem).value == 1.0 or not prediction.text.strip():
            continue
        edited: str | None = rationale.text
        if edits == "solver":
            (reply,) = solver.explain([Lesson(problem.id, problem, prediction.text)])
            edited = reply.text
        wrong += 1
        append_feedback(
            file,
            Feedback(
                id=problem.id,
                question=problem.question,
                rationale=prediction.text,
                answer=prediction.answer,
                verdict="wrong",
                edited=edited,
                student=str(student),
                time=now(),
            ),
        )
    return wrong


def write_teacher(file: Path, recipe: Recipe) -> None:
    """The training chains as replies of a teacher."""
    train, *_ = bundled_parts(recipe.data)
    write_rows(
        file,
        (
            {
                "id": chain.problem.id,
                "rationale": chain.rationale.text,
                "answer": chain.problem.answer,
            }
            for chain in train
        ),
    )


def scores_of(folder: Path) -> list[Score]:
    """The test score of the arm at each seed of a run."""
    part = TestPart.read(folder)
    return [regraded(folder, arm, part) for arm in read_results(folder).arms]


def first_score(student: Path, folder: Path) -> Score:
    """The score of the judged student on the test problems of a run."""
    problems = TestPart.read(folder).problems
    loaded = load_with_task(student)
    predictions = list(solve(loaded.student, problems, loaded.task))
    return grade(predictions, problems, loaded.task, dataset="test", seed=0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one round of feedback.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--student", type=Path, help="trained already on the same data")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--asked", type=int, default=600)
    parser.add_argument("--first-budget", type=int, default=160_000)
    parser.add_argument("--budget", type=int, default=40_000)
    parser.add_argument("--edits", choices=("data", "solver"), default="data")
    parser.add_argument("--arm", choices=("direct", "tailored-full"), default="direct")
    parser.add_argument("--anew", action="store_true", help="train the untrained student")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = options.out
    student: Path | None = options.student
    if student is None:
        recipe = recipe_of(options, BUNDLED, "direct", 1, options.first_budget)
        student = out / "first" / str(run(recipe, out / "first").best.folder)
    feedback = out / "feedback.jsonl"
    if not (out / "with").exists():
        chains = make_chains(options.asked, SEED, "medium")
        wrong = write_feedback(feedback, student, chains, options.edits)
        print(f"{wrong} of {len(chains)} new questions answered wrong, and edited", flush=True)
    start = BUNDLED if options.anew else str(student)
    setting = (start, options.arm, options.seeds, options.budget)
    plain = recipe_of(options, *setting)
    taught_recipe = recipe_of(options, *setting, feedback=str(feedback))
    write_teacher(out / "teacher.jsonl", plain)
    run(plain, out / "without")
    taught = run(taught_recipe, out / "with")
    print(taught.data.feedback)
    print("first  ", first_score(student, out / "with").signature())
    without, with_it = (pool_scores(scores_of(out / name)) for name in ("without", "with"))
    print("without", without.signature())
    print("with   ", with_it.signature())
    print("with against without:", compare_scores(with_it, without))
    for by_seed in zip(scores_of(out / "with"), scores_of(out / "without"), strict=True):
        print("  by seed:", compare_scores(*by_seed))


if __name__ == "__main__":
    main()
