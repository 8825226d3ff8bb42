"""What the page shows of a run: its results, test problems, gold chains, and the files of each arm
(`experiment.results`, `experiment.page_files`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.experiment.page_files import GoldChain, read_arm_files, read_test_set
from smallsteps.experiment.results import ArmResult, Results, read_results
from smallsteps.records import Grade, Prediction, Problem

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ShownArm:
    """One arm at one seed: its results and what lies in its folder."""

    result: ArmResult
    curves: Sequence[Row]
    predictions: Mapping[str, Prediction]
    """By problem id; of several samples for one problem the first."""
    grades: Mapping[str, Grade]
    """By prediction id."""
    details: Mapping[str, Sequence[Row]]
    """Name → rows that only its method has."""
    further: int
    """Predictions beyond the first of their problem, which the page counts and does not show."""

    @property
    def name(self) -> str:
        return self.result.name

    @property
    def seed(self) -> int:
        return self.result.seed


@dataclass(frozen=True)
class ShownRun:
    """Everything the page shows."""

    folder: Path
    results: Results
    problems: Sequence[Problem]
    gold: Mapping[str, GoldChain]
    """By problem id."""
    arms: Sequence[ShownArm]


def read_run(folder: Path) -> ShownRun:
    """The run in `folder`. Raises RunFolderError where results.json is missing or a file in it is
    damaged."""
    results = read_results(folder)
    arms = [_arm(folder, result) for result in results.arms]
    problems, gold = read_test_set(folder)
    known = {problem.id for problem in problems}
    for arm in arms:  # predictions without their problems are still worth reading
        for problem_id in arm.predictions:
            if problem_id not in known:
                known.add(problem_id)
                problems.append(Problem(problem_id, question=""))
    return ShownRun(folder, results, problems, {chain.problem_id: chain for chain in gold}, arms)


def _arm(folder: Path, result: ArmResult) -> ShownArm:
    files = read_arm_files(folder / result.folder)
    first: dict[str, Prediction] = {}
    for prediction in files.predictions:
        first.setdefault(prediction.problem_id, prediction)
    return ShownArm(
        result,
        files.curves,
        first,
        {grade.prediction_id: grade for grade in files.grades},
        files.details,
        further=len(files.predictions) - len(first),
    )


def first_seed(run: ShownRun, detail: str) -> list[ShownArm]:
    """Each arm at its first seed, of the arms that have rows of this name."""
    first: dict[str, ShownArm] = {}
    for arm in run.arms:
        if arm.details.get(detail):
            first.setdefault(arm.name, arm)
    return list(first.values())
