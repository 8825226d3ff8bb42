"""How far a run is, and its results so far. Reads a run folder and changes nothing in it, also
while another process works there.

    finished    `results.json` is there, and belongs to the folder's recipe
    running     a process works in the folder
    stopped     neither: the same command continues it

The results of a run that is not finished are made in `unfinished.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smallsteps.disk import read_object
from smallsteps.errors import RunFolderError
from smallsteps.experiment.ownership import RESULTS, RUN, is_anybody_working
from smallsteps.experiment.results import Results, read_results
from smallsteps.students.run_student import folders_beside

State = Literal["finished", "running", "stopped"]


@dataclass(frozen=True)
class RunSoFar:
    """A run and what it has found."""

    folder: Path
    state: State
    results: Results
    graded: int
    """Arms at a seed that are graded."""
    planned: int
    """Arms at a seed that the recipe has."""

    @property
    def notice(self) -> str:
        """What a reader must know first; empty: the run is finished."""
        if self.state == "finished":
            return ""
        done = f"{self.graded} of {self.planned} arms (each seed counts) are graded"
        if self.state == "running":
            return f"Still running: {done}."
        return f"Not finished: {done}. To continue, type the run's command again."


def read_so_far(folder: Path) -> RunSoFar:
    """The run in `folder`.

    Raises RunFolderError where the folder holds no run, or one that is damaged."""
    state = state_of(folder)
    if state == "finished":
        results = read_results(folder)
        return RunSoFar(folder, state, results, len(results.arms), len(results.arms))
    # here, because it loads torch, which a finished run does not need
    from smallsteps.experiment.unfinished import results_so_far

    results, planned = results_so_far(folder)
    return RunSoFar(folder, state, results, len(results.arms), planned)


def state_of(folder: Path) -> State:
    """The state of the run in `folder`, from its small files.

    Raises RunFolderError where the folder holds no run, or `run.json` is damaged."""
    run, results = folder / RUN, folder / RESULTS
    if not run.exists():
        if results.exists():  # given away without the rest
            return "finished"
        if not folder.is_dir():
            what = "a file, not a folder" if folder.exists() else "no such folder"
            raise RunFolderError(f"{folder}: {what}.{folders_beside(folder)}")
        raise RunFolderError(
            f"{folder}: no run of smallsteps is here (no {RUN}). `smallsteps runs FOLDER` lists "
            "the runs below a folder."
        )
    try:
        digest = read_object(run).get("digest")
        reported = read_object(results) if results.exists() else None
    except ValueError as error:
        raise RunFolderError(
            f"{folder}: {RUN} or {RESULTS} is damaged ({error}). Type the run's command again."
        ) from None
    if is_anybody_working(folder):
        return "running"
    provenance = (reported or {}).get("provenance")
    of_recipe = provenance.get("recipe") if isinstance(provenance, dict) else None
    return "finished" if reported is not None and of_recipe in (None, digest) else "stopped"
