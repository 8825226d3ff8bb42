"""`smallsteps demo`, `compare`, `run` and `recipes`: plans or runs a recipe."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from smallsteps import team
from smallsteps.cli.command_words import errors_in, in_keys, in_options
from smallsteps.cli.cpu_threads import set_threads
from smallsteps.cli.environment import access
from smallsteps.cli.progress import open_console, say
from smallsteps.config import apply_changes
from smallsteps.devices import check_device, check_threads, resolve_device
from smallsteps.errors import RecipeError
from smallsteps.experiment.method import methods
from smallsteps.experiment.recipe import (
    Recipe,
    load_recipe,
    make_recipe,
    of_launch,
    recipe_content,
    recipe_names,
)
from smallsteps.experiment.recipe_schema import recipe_schema
from smallsteps.outputs import check_output_folder
from smallsteps.report.arm_texts import arm_text
from smallsteps.students.run_student import student_place
from smallsteps.students.settings import BUNDLED, BUNDLED_STUDENTS

if TYPE_CHECKING:
    from smallsteps.students.student import Student

PRETRAINING = tuple(f"student/{name}" for name in BUNDLED_STUDENTS)
"""The recipes that compare no arms."""


@dataclass(frozen=True)
class Execution:
    """How this process runs a recipe."""

    threads: int | None
    """CPU threads; None: the fastest number."""
    only: tuple[str, ...] = ()
    """`ARM@SEED` of the arms that it makes; empty: all."""


def run_recipe(
    name: str, changes: Sequence[str], out: Path | None, execution: Execution, dry_run: bool
) -> None:
    """`smallsteps run` and `demo`."""
    if name in PRETRAINING:
        from smallsteps.cli.pretraining import pretrain_bundled

        if execution.only:
            raise RecipeError(f"{name} compares no arms: leave --only away")
        pretrain_bundled(name, changes, out, execution.threads, dry_run)
        return
    with errors_in(in_keys):
        is_bundled = name in recipe_names()
        _plan_or_run(load_recipe(name, changes), out, execution, dry_run, is_bundled)


def compare_file(
    content: dict[str, Any],
    changes: Sequence[str],
    out: Path | None,
    execution: Execution,
    dry_run: bool,
) -> None:
    """`smallsteps compare`. content: a recipe, to which `changes` are applied. The device and the
    file of chains are checked first, so that messages name them as the command does."""
    from smallsteps.experiment.folder import complete
    from smallsteps.tasks.sources import check_exists

    check_device(content["student"]["device"])
    chains = content["data"]["chains"]
    is_file = chains and chains != BUNDLED and not chains.startswith("hub:")
    is_resumed = out is not None and complete(out / "data")
    if is_file and not is_resumed:
        check_exists(Path(chains))
    with errors_in(partial(in_options, changes=changes)):
        apply_changes(content, changes)
        _plan_or_run(make_recipe(content, "compare"), out, execution, dry_run)


def list_recipes() -> None:
    """`smallsteps recipes`."""
    table = Table("recipe", "about", box=None, padding=(0, 2, 0, 0))
    for name in recipe_names():
        table.add_row(name, " ".join(recipe_content(name)["about"].split()))
    open_console().print(table)


def list_arms() -> None:
    """`smallsteps recipes --arms`."""
    table = Table("arm", "what it is", box=None, padding=(0, 2, 0, 0))
    for method in methods().values():
        for name in method.arm_names():
            table.add_row(name, arm_text(name))
    open_console().print(table)


def print_schema() -> None:
    """`smallsteps recipes --schema`."""
    print(json.dumps(recipe_schema(), indent=2, ensure_ascii=False))


def _plan_or_run(
    recipe: Recipe,
    out: Path | None,
    execution: Execution,
    dry_run: bool,
    is_bundled: bool = False,
) -> None:
    check_threads(execution.threads)
    recipe = of_launch(_with_student_of_run(recipe))
    if execution.only:
        from smallsteps.experiment.beforehand import check_only

        check_only(recipe, execution.only)
    if dry_run:
        _print_plan(recipe, out, is_bundled)
    elif out is None:
        raise RecipeError("name the run folder: --out DIR (or add --dry-run to see the plan)")
    else:
        _run(recipe, out, execution)


def _with_student_of_run(recipe: Recipe) -> Recipe:
    """The recipe with the best student of a run where it names a run folder: it names the same
    student when that run has grown."""
    student = recipe.student
    if student.scratch is not None:
        return recipe
    place = student_place(student.name, say)
    if place == student.name:
        return recipe
    return recipe.changed(student=student.changed(name=place))


def _print_plan(recipe: Recipe, out: Path | None, is_bundled: bool) -> None:
    """Prints the recipe and its plan; of one that is refused nothing, so that the error stands
    alone. A bundled one is shown all the same: its data may not be there yet."""
    from smallsteps.experiment.beforehand import rehearse

    if out is not None:
        _check_run_folder(recipe, out)
    from smallsteps.experiment.plan import plan_lines
    from smallsteps.tasks.files import contradictions

    if is_bundled:
        say(recipe.applicable_yaml())
    with rehearse(recipe, access()) as data:
        lines = [] if is_bundled else [recipe.applicable_yaml()]
        lines += [*plan_lines(recipe, data, _command()), *data.feedback.lines()]
        if count := data.facts.get("contradicting"):
            lines.append(contradictions(count))
    for line in lines:
        say(line)


def _run(recipe: Recipe, out: Path, execution: Execution) -> None:
    from smallsteps.experiment.beforehand import check_recipe
    from smallsteps.experiment.folder import complete

    team.join(resolve_device(recipe.student.device, "student.device"))

    def check() -> None:
        _check_run_folder(recipe, out)
        check_recipe(recipe, access(), data_is_there=complete(out / "data"))

    team.from_first(check)
    set_threads(execution.threads, out, lambda: _student_to_measure(recipe))
    from smallsteps.cli.progress import Terminal
    from smallsteps.cli.run_summary import print_run_summary
    from smallsteps.cli.showing import Shown, show_runs
    from smallsteps.experiment.reporter import Silent
    from smallsteps.experiment.run import run

    with Terminal() if team.is_first() else nullcontext(Silent()) as reporter:
        results = run(recipe, out, reporter, _command(), access(), execution.only)
    if not team.is_first():
        return
    if results.provenance is not None:
        print_run_summary(recipe, results, out)
    else:
        show_runs([out], Shown(), baseline=None)
        say("the other arms are left to other processes; without --only this command makes them")


def _command() -> str:
    """The command as typed."""
    return shlex.join(["smallsteps", *sys.argv[1:]])


def _check_run_folder(recipe: Recipe, out: Path) -> None:
    from smallsteps.experiment.ownership import check_folder

    check_folder(out, recipe.digest(), recipe.to_yaml())
    check_output_folder(out)


def _student_to_measure(recipe: Recipe) -> Student | None:
    """The recipe's student, for measuring the fastest number of threads; None where it is large or
    not in a local folder. A student from scratch is about as small as the bundled one, which is
    measured in its place."""
    from smallsteps.cli.fastest import MAX_WEIGHTS
    from smallsteps.students.loading import load_student

    name = BUNDLED if recipe.student.scratch else recipe.student.name
    is_bundled = name in BUNDLED_STUDENTS
    weights = [] if is_bundled else list(Path(name).glob("*.safetensors"))
    if recipe.student.device not in ("auto", "cpu") or not (is_bundled or weights):
        return None
    if sum(file.stat().st_size for file in weights) > 4 * MAX_WEIGHTS:
        return None
    return load_student(name, device=recipe.student.device)
