"""The row of a graded arm, kept beside its answers: `arms/<arm>-seed<k>/page/result.json`.

`results.json` holds all arms, once all are graded. Until then, and after a kill, these rows say how
far a run is (`so_far.py`). Grading writes them anew each time."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from smallsteps.disk import read_object, write_json
from smallsteps.experiment.result_record import ResultRecord
from smallsteps.experiment.results import ArmResult

FILE_NAME = "result.json"


class KeptArm(ResultRecord):
    """One arm at one seed, graded."""

    result: ArmResult
    against: list[str]
    """The arms that it is compared with, the most important first."""
    usable: bool
    """Whether the run may hand out its student."""

    def write(self, folder: Path) -> None:
        """Writes the row into the arm's folder, whole or not at all."""
        write_json(folder / FILE_NAME, self.model_dump())

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The row in an arm's folder; None: the arm is not graded yet, or the row is damaged, and
        the next call of the run writes it anew."""
        try:
            return cls.model_validate(read_object(folder / FILE_NAME))
        except ValueError:
            return None
