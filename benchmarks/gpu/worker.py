"""Does a part of a run, so that several processes share one run folder and one GPU.

    python benchmarks/gpu/worker.py prepare RECIPE OUT            data, checks and plan
    python benchmarks/gpu/worker.py arms    RECIPE OUT ARM@SEED   trains, answers and grades
    python benchmarks/gpu/worker.py points  RECIPE OUT ARM@SEED   answers of the checkpoints on the
                                                                  way to the plateau
    python benchmarks/gpu/worker.py merge   RECIPE OUT FROM       gives OUT the stages that FROM has
    python benchmarks/gpu/worker.py results RECIPE OUT [POINT]    results.json, page and figure; of
                                                                  the points on the way only POINT
    python benchmarks/gpu/worker.py agreement RECIPE OUT ANNOTATIONS UNTRAINED
                                                                  labels CHAINS with the best
                                                                  student of OUT

`smollm2.py` calls it. A run folder is locked for one process. Here the lock is off, and who calls
sees to it that no two processes make the same stage.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallsteps.experiment import folder as folder_module
from smallsteps.experiment import points, run
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import folder_name, place_of
from smallsteps.experiment.recipe import load_recipe
from smallsteps.report.page import write_page

STAGES = ("data", "base", "check", "plan", "segments", "search", "arms")


class Done(Exception):
    """The worker's part is done."""


class Lines:
    """A reporter that prints finished lines with the time, and no bars."""

    def say(self, line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        pass


def stop(*_: Any) -> None:
    """Stands in for a function that the worker does not get to."""
    raise Done


def share_folder() -> None:
    """No lock; and checkpoints stay until all arms are compared."""

    @contextlib.contextmanager
    def unlocked(path: Path, refusal: str) -> Iterator[None]:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield

    folder_module.lock.exclusive = unlocked  # type: ignore[assignment]
    Lab.discard_checkpoints = lambda self, answered: None  # type: ignore[method-assign]


def only_places(chosen: str) -> None:
    """Trains, answers and grades one arm at one seed, and stops."""
    grade_arm = run.grade_arm

    def grade_chosen(lab: Lab, arm: Any, seed: int, pairs: Any) -> Any:
        return grade_arm(lab, arm, seed, pairs) if f"{arm.name}@{seed}" == chosen else None

    run.grade_arm = grade_chosen  # type: ignore[assignment]
    run.write_gold = stop  # type: ignore[assignment]


def only_points(chosen: str) -> None:
    """Answers with the checkpoints on the way of one arm at one seed, and stops."""
    score = points._score

    def score_chosen(lab: Lab, arm: Any, best: Any) -> Any:
        return score(lab, arm, best) if f"{arm.name}@{arm.seed}" == chosen else arm.score

    def no_explanation(*_: Any) -> None:
        return None

    points._score = score_chosen
    run.explain = no_explanation  # type: ignore[assignment]
    run.write_gold = no_explanation  # type: ignore[assignment]
    Lab.discard_checkpoints = stop  # type: ignore[method-assign, assignment]


def only_at(point: str) -> None:
    """Compares arms at one point alone."""
    limits = points._limits

    def limit_of_point(graded: Any) -> dict[Any, float]:
        return {name: limit for name, limit in limits(graded).items() if name == point}

    points._limits = limit_of_point


def merge(recipe: Any, out: Path, source: Path) -> None:
    """Gives `out` the recipe's stages of `source`, without copying: both are on one disk."""
    places = {place_of(arm, seed) for arm in recipe.arms for seed in recipe.seeds}
    places |= {folder_name(arm) for arm in recipe.arms}  # what untrained arms do for all seeds
    with folder_module.run_folder(out, recipe.digest(), recipe.to_yaml()):
        for stage in STAGES:
            for path in sorted((source / stage).rglob("*")):
                relative = path.relative_to(source)
                unknown = stage == "arms" and relative.parts[1] not in places
                if path.is_file() and not unknown and not (out / relative).exists():
                    (out / relative).parent.mkdir(parents=True, exist_ok=True)
                    os.link(path, out / relative)


def agreement(out: Path, annotations: str, untrained: str) -> None:
    """Prints how well the scores of the best student of `out` agree with people's labels."""
    best = json.loads((out / "results.json").read_text(encoding="utf-8"))["best"]["folder"]
    script = Path(__file__).resolve().parents[1] / "labelled_chains.py"
    labelled = str(out / "labelled.jsonl")
    subprocess.run([sys.executable, str(script), annotations, labelled], check=True)
    students = ["--student", str(out / best), "--untrained-student", untrained]
    command = [sys.executable, "-m", "smallsteps", "segment", labelled, "--agreement"]
    how = ["--whole-segments", "--task", "text", "--closing", "keep"]
    subprocess.run([*command, *how, *students], check=True)


def main() -> None:
    what, recipe_file, out, *rest = sys.argv[1:]
    if what == "agreement":
        agreement(Path(out), *rest)
        return
    recipe = load_recipe(recipe_file)
    share_folder()
    if what == "prepare":
        run.grade_arm = stop  # type: ignore[assignment]
    elif what == "arms":
        only_places(rest[0])
    elif what == "points":
        only_points(rest[0])
    elif what == "merge":
        merge(recipe, Path(out), Path(rest[0]))
        return
    elif what == "results" and rest:
        only_at(rest[0])
    with contextlib.suppress(Done):
        run.run(recipe, out, Lines(), command=f"benchmarks/gpu/smollm2.sh ({what})")
        write_page(out)


if __name__ == "__main__":
    main()
