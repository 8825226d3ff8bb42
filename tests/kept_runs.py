"""Run folders as runs leave them, finished or cut off, made without training: six questions, and
arms that answer the questions which a test names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from smallsteps.disk import write_json, write_text
from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.comparisons import compare_arms, compare_further
from smallsteps.experiment.further import counted_once, file_name, grade_answers
from smallsteps.experiment.kept_arm import KeptArm
from smallsteps.experiment.outcome import place_of
from smallsteps.experiment.page_files import ArmFiles, write_arm_files, write_test_set
from smallsteps.experiment.provenance import provenance
from smallsteps.experiment.recipe import Recipe, make_recipe
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import (
    ArmResult,
    CurvePoint,
    Results,
    read_results,
    write_results,
)
from smallsteps.experiment.run_facts import BestStudent, BudgetFacts, DataFacts, Provenance
from smallsteps.experiment.score_results import score_fields
from smallsteps.records import Chain, Prediction, Problem, Rationale
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows

PROBLEMS = [Problem(f"p{n}", f"How many pens are {n} and {n} pens?", str(2 * n)) for n in range(6)]
VALIDATION = [Problem(f"v{n}", f"How many pens are {n} pens?", str(n)) for n in range(3)]
FURTHER = 4
"""Questions of a further test set."""
Right = Mapping[tuple[str, int], Iterable[int]]
"""(arm, seed) → the questions that it has right."""


def score_of(right: Iterable[int], seed: int, problems: Sequence[Problem]) -> Score:
    return grade(predictions_of(right, problems), problems, "numbers", dataset="test", seed=seed)


def predictions_of(right: Iterable[int], problems: Sequence[Problem]) -> list[Prediction]:
    numbers = set(right)
    return [
        Prediction(
            f"a-{problem.id}",
            problem.id,
            "So it is. The answer is 1.",
            ((None, "So it is. The answer is 1."),),
            problem.answer if int(problem.id[1:]) in numbers else "99",
            "stop_sign",
            tokens=7,
        )
        for problem in problems
    ]


def arm_row(arm: str, seed: int, score: Score, **more: Any) -> ArmResult:
    """The row of an arm; it was measured on validation twice."""
    trained = arm != "base"
    points = [
        CurvePoint(
            tokens=500 * n,
            passes=float(n),
            seconds=float(n),
            evaluation_seconds=0.5,
            validation=20.0 * n + score.value / 10,
            validation_loss=1 / n,
        )
        for n in (1, 2)
    ]
    fields: dict[str, Any] = {
        "name": arm,
        "method": "as-es" if arm.startswith("ases") else "baselines",
        **score_fields(score),
        "seed": seed,
        "validation": score.value,
        "train_tokens": 1000 if trained else None,
        "passes": 2.0 if trained else None,
        "seconds": 2.0 if trained else None,
        "curve": points if trained else [],
        "seconds_per_answer": 0.03,
        "tokens_per_answer": 7.0,
        "student": f"arms/{place_of(arm, seed)}/training/best" if trained else None,
        "folder": f"arms/{place_of(arm, seed)}/page",
    }
    return ArmResult(**{**fields, **more})


def make_kept_run(
    folder: Path,
    right: Right,
    *,
    planned: Sequence[str] = (),
    seeds: Sequence[int] = (),
    finished: bool = True,
    problems: Sequence[Problem] = PROBLEMS,
    validation: Sequence[Problem] = VALIDATION,
    task: str = "numbers",
    title: str = "pens",
    train: Mapping[str, Any] | None = None,
    further: Sequence[str] = (),
) -> Path:
    """The folder of a run whose arms have the questions `right`, also of `further` test sets.
    planned, seeds: those of its recipe, where it was cut off before it came to all."""
    names = list(dict.fromkeys(arm for arm, _ in right))
    recipe = make_recipe(
        {
            "title": title,
            "arms": list(planned) or names,
            "seeds": list(seeds) or list(dict.fromkeys(seed for _, seed in right)),
            "data": {
                "task": task,
                "chains": "pens.jsonl",
                "also_test": dict.fromkeys(further, "more.jsonl"),
            },
            "train": dict(train or {}),
        }
    )
    write_json(folder / "run.json", {"digest": recipe.digest(), "provenance": provenance()})
    write_text(folder / "recipe.yaml", recipe.to_yaml())
    _write_data(folder, problems, validation, task)
    scores: dict[str, dict[int, Score]] = {}
    rows = []
    sets = {name: (get_task(task), further_problems(name)) for name in further}
    of_sets: dict[str, dict[str, dict[int, Score]]] = {name: {} for name in further}
    for name in further:
        stage = folder / "further" / file_name(name)
        write_rows(stage / "problems.jsonl", (p.to_row() for p in further_problems(name)))
        write_json(stage / "set.json", {"task": task})
    against = "direct" if "direct" in names else names[0]
    for (arm, seed), numbers in right.items():
        score = score_of(numbers, seed, problems)
        scores.setdefault(arm, {})[seed] = score
        answers = {name: predictions_of(numbers, further_problems(name)) for name in further}
        for name, predictions in answers.items():
            kept = folder / "arms" / place_of(arm, seed) / "further" / f"{file_name(name)}.jsonl"
            write_rows(kept, (prediction.to_row() for prediction in predictions))
        graded = grade_answers(answers, sets, decode="greedy", seed=seed, resamples=100)
        for name, of_set in graded.items():
            of_sets[name].setdefault(arm, {})[seed] = of_set
        figures = {name: Figure.of(of_set) for name, of_set in graded.items()}
        rows.append(arm_row(arm, seed, score, task=task, further=figures))
        place = folder / rows[-1].folder
        write_arm_files(place, ArmFiles(predictions_of(numbers, problems), score.grades))
        others = [against] if arm != against else []
        KeptArm(result=rows[-1], against=others, usable=True).write(place)
    if finished:
        _finish(folder, recipe, rows, scores, against, problems)
        _finish_further(folder, of_sets, counted_once(sets), against)
    return folder


def further_problems(test_set: str) -> list[Problem]:
    return [
        Problem(f"q{n}", f"{test_set}: How many pens are {n} and 1?", str(n + 1))
        for n in range(FURTHER)
    ]


def _finish_further(
    folder: Path,
    scores: Mapping[str, Mapping[str, Mapping[int, Score]]],
    counted: Mapping[str, frozenset[str]],
    against: str,
) -> None:
    results = read_results(folder)
    pairs = [(arm, against) for arm in {row.name: 0 for row in results.arms} if arm != against]
    compared = compare_further(scores, pairs, counted, resamples=10_000)
    write_results(folder, results.model_copy(update=vars(compared)))


def _write_data(
    folder: Path, problems: Sequence[Problem], validation: Sequence[Problem], task: str
) -> None:
    data = folder / "data"
    write_rows(data / "problems.jsonl", (problem.to_row() for problem in problems))
    write_rows(data / "test.jsonl", ())
    chains = [Chain(p, Rationale(f"{p.id}/gold", p.id, "So it is.")) for p in validation]
    rows = ({"problem": c.problem.to_row(), "rationale": c.rationale.to_row()} for c in chains)
    write_rows(data / "validation.jsonl", rows)
    write_json(data / "data.json", {**facts(problems, validation, task).model_dump()})


def facts(problems: Sequence[Problem], validation: Sequence[Problem], task: str) -> DataFacts:
    return DataFacts(
        source="pens.jsonl",
        task=task,
        train=10,
        validation=len(validation),
        test=len(problems),
        overlap=0,
    )


def _finish(
    folder: Path,
    recipe: Recipe,
    rows: list[ArmResult],
    scores: Mapping[str, Mapping[int, Score]],
    against: str,
    problems: Sequence[Problem],
) -> None:
    pairs = [(arm, against) for arm in scores if arm != against]
    compared = compare_arms(scores, pairs, resamples=recipe.evaluation.bootstrap)
    best = max((row for row in rows), key=lambda row: row.validation or 0)
    write_test_set(folder, problems, [])
    write_results(
        folder,
        Results(
            title=recipe.title,
            arms=rows,
            **vars(compared),
            data=facts(problems, VALIDATION, get_task(recipe.data.task).name),
            budget=BudgetFacts(until="tokens", tokens=1000),
            best=BestStudent(
                name=best.name, seed=best.seed, folder=best.student, validation=best.validation
            ),
            provenance=Provenance(**provenance(), seconds=1.0, recipe=recipe.digest()),
        ),
    )
