"""What the page shows of a run, or of several that were joined: results, test problems, gold
chains, and the files of each arm (`experiment.so_far`, `experiment.page_files`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.experiment.page_files import GoldChain, read_arm_files, read_test_set
from smallsteps.experiment.regrading import TestPart
from smallsteps.experiment.results import ArmResult, Results
from smallsteps.experiment.so_far import RunSoFar, read_so_far
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
    notice: str = ""
    """What a reader must know first; empty: nothing."""
    members: Sequence[RunSoFar] = ()
    """The runs that were joined; empty: it is one run."""


def read_run(folder: Path) -> ShownRun:
    """The run in `folder`, finished or not. Raises RunFolderError where there is none or a file in
    it is damaged."""
    return shown_run(read_so_far(folder))


def shown_run(run: RunSoFar) -> ShownRun:
    """What the page shows of a run that was read. Raises RunFolderError where a file is damaged."""
    folder = run.folder
    arms = [_arm(folder, result) for result in run.results.arms]
    problems, gold = read_test_set(folder)
    if not problems and run.state != "finished":  # these files come at the end
        part = TestPart.read(folder)
        problems, gold = part.wholes, [GoldChain.uncut(chain) for chain in part.gold]
    known = {problem.id for problem in problems}
    for arm in arms:  # predictions without their problems are still worth reading
        for problem_id in arm.predictions:
            if problem_id not in known:
                known.add(problem_id)
                problems.append(Problem(problem_id, question=""))
    by_problem = {chain.problem_id: chain for chain in gold}
    return ShownRun(folder, run.results, problems, by_problem, arms, run.notice)


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
