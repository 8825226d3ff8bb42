"""Commands that run a recipe: resolve it, show the plan, run the comparison under progress bars,
print the table."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from smallsteps.cli.progress import open_console, say
from smallsteps.devices import check_device, check_threads
from smallsteps.errors import RecipeError
from smallsteps.experiment.recipe import (
    BUNDLED,
    REFINED_ARMS,
    GuidedSettings,
    Recipe,
    guided_parts,
    guided_students,
    load_recipe,
    make_recipe,
    recipe_names,
)
from smallsteps.outputs import check_output_folder

if TYPE_CHECKING:
    from smallsteps.students.student import Student


def run_recipe(
    name: str, changes: Sequence[str], out: Path | None, threads: int | None, dry_run: bool
) -> None:
    """`smallsteps run` and `demo`."""
    if name in ("student/bundled",):
        _pretrain(name, changes, out, threads, dry_run)
        return
    _run(load_recipe(name, changes), out, threads, dry_run)


def compare_file(
    content: dict[str, Any],
    changes: Sequence[str],
    out: Path | None,
    threads: int | None,
    dry_run: bool,
) -> None:
    """`smallsteps compare`. What its own arguments name is checked here, so that messages speak of
    them."""
    from smallsteps.config import apply_changes
    from smallsteps.experiment.folder import complete
    from smallsteps.tasks.sources import check_exists

    check_device(content["student"]["device"])
    chains = content["data"]["chains"]
    resumed = out is not None and complete(out / "data")
    if chains and chains != BUNDLED and not chains.startswith("hub:") and not resumed:
        check_exists(Path(chains))
    apply_changes(content, changes)
    _run(make_recipe(content, "compare"), out, threads, dry_run)


def list_recipes() -> None:
    """`smallsteps recipes`."""
    table = Table("recipe", "about", box=None, padding=(0, 2, 0, 0))
    for name in recipe_names():
        about = (
            "Pre-trains the bundled student."
            if name == "student/bundled"
            else load_recipe(name).about
        )
        table.add_row(name, " ".join(about.split()))
    open_console().print(table)


def _run(recipe: Recipe, out: Path | None, threads: int | None, dry_run: bool) -> None:
    from smallsteps.cli.teaching import access
    from smallsteps.experiment.folder import complete
    from smallsteps.experiment.ownership import check_folder
    from smallsteps.methods.beforehand import check_recipe, rehearse

    check_threads(threads)
    if dry_run:
        if out is not None:
            check_folder(out, recipe.digest(), recipe.to_yaml())
            check_output_folder(out)
        say(recipe.to_yaml())
        rehearse(recipe, access())
        for line in plan(recipe):
            say(line)
        return
    if out is None:
        raise RecipeError("name the run folder: --out DIR (or add --dry-run to see the plan)")
    check_folder(out, recipe.digest(), recipe.to_yaml())
    check_output_folder(out)
    check_recipe(recipe, access(), data_is_there=complete(out / "data"))
    set_threads(threads, out, lambda: _student_to_measure(recipe))
    from smallsteps.cli.progress import Terminal
    from smallsteps.methods.compare import compare
    from smallsteps.report.page import write_page
    from smallsteps.report.terminal import results_table, rounds_table
    from smallsteps.report.verdict import excludes_zero

    command = shlex.join(["smallsteps", *sys.argv[1:]])
    with Terminal() as reporter:
        if recipe.tailored is not None:
            from smallsteps.methods.tailor import tailor

            results = tailor(recipe, out, reporter, command, access())
        elif recipe.guided is not None:
            from smallsteps.methods.guide import guide

            results = guide(recipe, out, reporter, command, access())
        else:
            results = compare(recipe, out, reporter, command)
    page = write_page(out)
    console = open_console()
    if recipe.tailored is not None:
        console.print(rounds_table(results))
    console.print(results_table(results))
    best = results["best"]
    if results["comparisons"] and not any(
        map(
            excludes_zero,
            [*results["comparisons"], *(row for row in results["pooled"] if "against" in row)],
        )
    ):
        say("no difference between arms is clear: more test problems or seeds would be needed")
    if "folder" in best:  # a guided run may train nobody
        chosen = ", chosen on validation" if best.get("chosen_on") == "validation" else ""
        say(
            f"best student: {best['name']} (seed {best['seed']}{chosen}), in {out / best['folder']}"
        )
    say(f"figures: {out / 'results.json'}   page: {page}")
    if "folder" in best:
        say(f"try it: {shlex.join(next_command(recipe, out, out / best['folder']))}")


def next_command(recipe: Recipe, out: Path, student: Path) -> list[str]:
    """The command that asks the student of a run, word by word."""
    if recipe.guided is None:
        return ["smallsteps", "solve", str(student), "your question"]
    settings = recipe.guided.reader
    reader = str(out / "reader") if settings.name == "trained" else settings.name
    words = ["smallsteps", "guide", "questions.jsonl", "--guide", str(student), "--reader", reader]
    words += ["--out", "answers.jsonl"]
    for flag, value, usual in (
        ("--task", recipe.data.task, "hotpotqa"),
        ("--prompt", settings.guided, "read"),
        ("--base-url", settings.base_url, None),
    ):
        words += [] if value == usual or value is None else [flag, value]
    return words


def plan(recipe: Recipe) -> list[str]:
    """What the recipe will do, with sizes where the data and the student are at hand."""
    from smallsteps.experiment.data import data_task
    from smallsteps.methods.as_es.variants import variants

    own = recipe.tailored is not None or recipe.guided is not None
    names = recipe.arms if own else [variant.name for variant in variants(recipe)]
    each = recipe.tailored.rounds if recipe.tailored else 1
    models = sum(2 if "-dual-" in n else each for n in names)
    if recipe.guided is not None:
        models = len(guided_students(names))
    reader = (
        " and the reader"
        if recipe.guided is not None and recipe.guided.reader.name == "trained"
        else ""
    )
    lines = [
        f"arms ({len(names)}): {', '.join(names)}",
        f"seeds: {', '.join(map(str, recipe.seeds))}",
        f"models trained: {len(recipe.seeds) * models}{reader}",
    ]
    paths = [recipe.data.chains] if isinstance(recipe.data.chains, str) else recipe.data.chains
    for path in [*paths, recipe.data.validation, recipe.data.test, *recipe.data.also_test.values()]:
        if path is None or path == BUNDLED:
            continue
        found = path.startswith("hub:") or Path(path).is_file()
        lines.append(f"data: {path}{'' if found else '  (not there: set data.chains=PATH)'}")
    bundled = BUNDLED in paths
    if bundled and own:
        lines.append(
            f"data: {recipe.data.count} + {recipe.data.validation_count} + {recipe.data.test_count} bundled problems"
        )
    if not bundled and all(Path(path).is_file() for path in paths):
        data_task(recipe.data, lines.append)
    further = [path for path in (recipe.data.validation, recipe.data.test) if path and not own]
    if (not bundled or not own) and all(
        path == BUNDLED or Path(path).is_file() for path in [*paths, *further]
    ):
        lines += _sizes(recipe, paths)
    lines.append(
        f"student: {'from scratch ' + str(recipe.student.scratch) if recipe.student.scratch else recipe.student.name}"
    )
    return lines


def _sizes(recipe: Recipe, paths: Sequence[str]) -> list[str]:
    from smallsteps.experiment.data import data_task
    from smallsteps.tasks.files import read_problems

    if recipe.guided is not None:
        task = data_task(recipe.data)
        further = [
            path
            for path in (recipe.data.validation, recipe.data.test)
            if path and Path(path).is_file()
        ]
        count = sum(
            len(read_problems(path, task, recipe.data.columns)) for path in [*paths, *further]
        )
        return [f"sizes: {count:,} questions", _reader_calls(recipe, recipe.guided, count)]
    if recipe.tailored is not None:
        words, task = recipe.tailored, data_task(recipe.data)
        asked = sum(len(read_problems(path, task, recipe.data.columns)) for path in paths)
        feedback = asked * words.mistakes * (words.rounds - 1)
        return [
            f"sizes: {asked:,} questions, some of which are kept for validation and test where no files are named for them",
            f"teacher: at most {asked * words.rationales:,} calls at the start (T_0) and {feedback:,} for the feedback of a "
            f"seed, each at most {1 + words.teacher.retries} times; other arms may spend as much as `full`",
        ]
    from smallsteps.methods.as_es.check import known_beforehand

    return known_beforehand(recipe)


def set_threads(
    threads: int | None, out: Path | None = None, load: Callable[[], Student | None] | None = None
) -> None:
    """Sets the CPU threads, part of what makes a run repeat exactly: `threads`, else what the run
    folder `out` names, else the fastest for the student that `load` opens, else torch's choice.
    Raises RecipeError where torch cannot."""
    check_threads(threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if threads is not None:
        from smallsteps.threads import Threads, use

        use(Threads(threads, threads))
    elif load is not None:
        from smallsteps.cli.fastest import choose

        choose(out, load)


def _student_to_measure(recipe: Recipe) -> Student | None:
    """The student of a recipe where it is small and at hand. A student from scratch is about as
    small as the bundled one, which stands in for it."""
    from smallsteps.cli.fastest import SMALL
    from smallsteps.students.loading import load_student

    name = BUNDLED if recipe.student.scratch else recipe.student.name
    files = [] if name == BUNDLED else list(Path(name).glob("*.safetensors"))
    if recipe.student.device not in ("auto", "cpu") or (name != BUNDLED and not files):
        return None
    if sum(file.stat().st_size for file in files) > 4 * SMALL:
        return None
    return load_student(name, device=recipe.student.device)


def _pretrain(
    name: str, changes: Sequence[str], out: Path | None, threads: int | None, dry_run: bool
) -> None:
    from dataclasses import asdict

    import yaml

    from smallsteps.config import apply_changes
    from smallsteps.experiment.folder import run_folder
    from smallsteps.experiment.ownership import check_folder
    from smallsteps.experiment.recipe import recipe_content
    from smallsteps.students.pretrain import pretrain, pretrain_settings

    check_threads(threads)
    content = recipe_content(name)
    apply_changes(content, changes)
    settings = pretrain_settings(content)
    resolved = yaml.safe_dump(asdict(settings), sort_keys=False)
    if dry_run:
        say(resolved)
        return
    if out is None:
        raise RecipeError("name the folder: --out DIR")
    digest = hashlib.sha256(resolved.encode()).hexdigest()[:16]
    check_folder(out, digest, resolved)
    check_output_folder(out)
    set_threads(threads)
    from smallsteps.cli.progress import Terminal

    with Terminal() as reporter, run_folder(out, digest, resolved, reporter):
        folder = pretrain(
            out,
            settings,
            lambda done, total, loss: reporter.advance(
                "pre-training", done, total, f"loss {loss:.3f}"
            ),
        )
    say(str(folder))


def _reader_calls(recipe: Recipe, words: GuidedSettings, count: int) -> str:
    """What the reader may be asked, in a line. count: questions in all."""
    students = guided_students(recipe.arms)
    voting = sum(
        words.samples
        if guided_parts(arm)[1] in ("sc", "gold", "confidence") or arm == "cot-sc"
        else 1
        for arm in recipe.arms
    )
    rewards = words.reinforce.steps * words.reinforce.prompts * words.reinforce.samples
    refined = len(recipe.seeds) * sum(name in REFINED_ARMS for name in students)
    distilled = len(recipe.seeds) * sum(name in ("distilled", "unfiltered") for name in students)
    measured = count * (
        distilled * recipe.train.evaluations + refined * words.reinforce.evaluations
    )
    most = (
        (count if students else 0)
        + len(recipe.seeds) * voting * count
        + refined * rewards
        + measured
    )
    return (
        f"reader: one call for each question to learn from, {voting:,} for each test question and seed, at most {rewards:,} rewards for "
        f"each of {refined} refinements; with {count:,} questions in all at most {most:,} calls, and a second one where a reply "
        "cannot be read"
    )
