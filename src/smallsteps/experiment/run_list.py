"""Which runs lie below a folder, and how far each is, from their small files alone.

A run folder is one that holds `run.json`. Folders inside a run folder, hidden folders and symbolic
links are not searched. A run that cannot be read is listed as damaged, with the reason."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from smallsteps.errors import RunFolderError
from smallsteps.evaluation.metrics import METRICS
from smallsteps.experiment.kept_arm import KeptArm
from smallsteps.experiment.ownership import RECIPE, RESULTS, RUN
from smallsteps.experiment.results import ArmResult, Results, read_results
from smallsteps.experiment.score_results import ScoreResult
from smallsteps.experiment.so_far import State, state_of
from smallsteps.students.run_student import folders_beside

YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The fast loader, where PyYAML was built with it."""


@dataclass(frozen=True)
class BestArm:
    """The arm whose figure is shown."""

    name: str
    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ListedRun:
    """One run."""

    folder: str
    title: str
    state: State | Literal["damaged"]
    why: str
    """Why it is damaged; empty: it is not."""
    arms: list[str]
    """As the recipe names them."""
    seeds: list[int]
    graded: int
    """Arms at a seed that are graded."""
    best: BestArm | None
    """The arm that validation chose; where it chose none, the arm with the best figure. None: no
    arm is graded."""
    when: str
    """When the run last wrote something, UTC, ISO 8601."""

    def to_row(self) -> dict[str, Any]:
        """The run as a JSON object."""
        return asdict(self)


def runs_below(folder: Path) -> list[ListedRun]:
    """The runs in and below a folder, the latest first. Raises RunFolderError where there is no
    such folder."""
    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "no such folder"
        raise RunFolderError(
            f"{folder}: {what}. Name the folder that holds your runs.{folders_beside(folder)}"
        )
    return sorted(map(listed, run_folders(folder)), key=lambda run: run.when, reverse=True)


def run_folders(folder: Path) -> Iterator[Path]:
    """The run folders in and below a folder, by name."""
    if (folder / RUN).is_file():
        yield folder
        return
    try:
        inside = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # of somebody else
        return
    for entry in inside:
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from run_folders(Path(entry))


def listed(folder: Path) -> ListedRun:
    """The row of one run."""
    title, arms, seeds = _recipe(folder / RECIPE)
    state: State | Literal["damaged"]
    graded: list[ArmResult] = []
    best, why = None, ""
    try:
        state = state_of(folder)
        if state == "finished":
            results = read_results(folder)
            graded, best = results.arms, _best(results)
        else:
            graded = _kept(folder)
            best = _highest(graded)
    except (RunFolderError, OSError, ValueError) as error:
        state, why = "damaged", " ".join(str(error).split())
    return ListedRun(
        folder=str(folder),
        title=title,
        state=state,
        why=why,
        arms=arms,
        seeds=seeds,
        graded=len(graded),
        best=best,
        when=_changed(folder),
    )


def _recipe(path: Path) -> tuple[str, list[str], list[int]]:
    """Title, arms and seeds of a recipe, unchecked: another version may have written it. Empty
    where they cannot be read."""
    try:
        content = yaml.load(path.read_bytes(), Loader=YAML)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        content = None
    recipe = content if isinstance(content, dict) else {}
    arms, seeds = recipe.get("arms"), recipe.get("seeds")
    return (
        str(recipe.get("title") or ""),
        [str(arm) for arm in arms] if isinstance(arms, list) else [],
        [seed for seed in seeds if isinstance(seed, int)] if isinstance(seeds, list) else [],
    )


def _kept(folder: Path) -> list[ArmResult]:
    """The graded arms of a run that is not finished."""
    rows = [KeptArm.read(place) for place in sorted(folder.glob("arms/*/page"))]
    return [row.result for row in rows if row is not None]


def _best(results: Results) -> BestArm | None:
    best = results.best
    if best is None or best.validation is None:
        return _highest(results.arms)
    rows: list[ScoreResult] = [*results.pooled, *results.arms]  # over all seeds first
    return next((_shown(row) for row in rows if row.name == best.name), None)


def _highest(arms: Sequence[ArmResult]) -> BestArm | None:
    """The best figure on the test problems; controls do not lead."""
    usable = [arm for arm in arms if not arm.control]
    if not usable:
        return None
    metric = METRICS.get(usable[0].metric)
    sign = -1 if metric is not None and metric.lower_is_better else 1
    return _shown(max(usable, key=lambda arm: sign * arm.value))


def _shown(row: ScoreResult) -> BestArm:
    return BestArm(row.name, row.metric, row.value, row.low, row.high)


def _changed(folder: Path) -> str:
    """When the run last wrote something; its page, which is made again at will, does not count."""
    places = [folder / RUN, folder / RESULTS, *folder.glob("arms/*/*")]
    times = []
    for place in places:
        with contextlib.suppress(OSError):
            times.append(place.stat(follow_symlinks=False).st_mtime)
    moment = datetime.fromtimestamp(max(times, default=0.0), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
