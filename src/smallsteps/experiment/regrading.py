"""Grades the kept answers of a run again, so that arms can be tested in pairs: while the run is
under way, and across runs.

`results.json` holds figures; a paired test needs every answer. The answers lie in the folder of
each arm (`page_files.py`; those to further test sets: `further.py`). Grading must give the figure
that the run reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smallsteps.errors import RunFolderError, UserError
from smallsteps.evaluation.grade import Score, grade
from smallsteps.evaluation.significance import RESAMPLES
from smallsteps.experiment.further import TestSets, grade_answers, read_answers
from smallsteps.experiment.outcome import place_of
from smallsteps.experiment.page_files import read_arm_files
from smallsteps.experiment.results import ArmResult
from smallsteps.experiment.stored_data import read_test_part
from smallsteps.records import Chain, Prediction, Problem
from smallsteps.tasks.base import Task

CLOSE = 1e-6
"""Points by which a figure may differ from the reported one: rounding."""


@dataclass(frozen=True)
class TestPart:
    """The test questions of a run."""

    __test__ = False  # for pytest: no class of tests

    task: Task
    problems: Sequence[Problem]
    gold: Sequence[Chain]
    """The problems that have a chain of their own."""

    @classmethod
    def read(cls, run_folder: Path) -> TestPart:
        """Raises RunFolderError where the run's stage `data` is missing or damaged."""
        return cls(*read_test_part(run_folder))

    @property
    def wholes(self) -> list[Problem]:
        """The problems as people see them: of regions, the reports."""
        return self.task.wholes(self.problems) if self.task.wholes else list(self.problems)


def regraded(
    run_folder: Path, arm: ArmResult, part: TestPart, *, resamples: int = RESAMPLES
) -> Score:
    """The score of an arm's kept answers, with the grade of each question in the order of `part`.

    Raises RunFolderError where answers are missing or damaged, or do not give the reported
    figure."""
    folder = run_folder / arm.folder
    first: dict[str, Prediction] = {}
    for prediction in read_arm_files(folder).predictions:
        first.setdefault(prediction.problem_id, prediction)
    try:
        score = grade(
            list(first.values()),
            part.problems,
            part.task,
            dataset=arm.dataset,
            decode=arm.decode,
            seed=arm.seed,
            metric=arm.metric,
            resamples=resamples,
        )
    except UserError as error:
        raise RunFolderError(f"{folder}: the kept answers cannot be graded ({error})") from None
    _check_figure(folder, score, arm.value)
    return score


def regraded_further(
    run_folder: Path, arm: ArmResult, sets: TestSets, *, resamples: int = RESAMPLES
) -> dict[str, Score]:
    """The scores of an arm's kept answers to those of `sets` that it has a figure for.

    Raises RunFolderError as `regraded`."""
    scores: dict[str, Score] = {}
    for name in sets:
        if name not in arm.further:
            continue
        answers = {name: read_answers(run_folder, place_of(arm.name, arm.seed), name)}
        try:
            of_set = grade_answers(
                answers,
                {name: sets[name]},
                decode=arm.decode,
                seed=arm.seed,
                resamples=resamples,
            )
        except UserError as error:
            raise RunFolderError(
                f"{run_folder}: the kept answers of {arm.name} to {name} cannot be graded ({error})"
            ) from None
        _check_figure(run_folder / arm.folder, of_set[name], arm.further[name].value)
        scores |= of_set
    return scores


def _check_figure(folder: Path, score: Score, reported: float) -> None:
    """Raises RunFolderError where the score is not the figure that the run reported."""
    if abs(score.value - reported) > CLOSE:
        raise RunFolderError(
            f"{folder}: the kept answers give {score.value:.1f}, and the run reported "
            f"{reported:.1f}: answers are missing, or another smallsteps graded them. Type the "
            "run's command again."
        )
