"""What the terminal shows after a run: the tables, the best student, the files and the next
command."""

from __future__ import annotations

import shlex
from pathlib import Path

from smallsteps.cli.progress import open_console, say
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.results import Results
from smallsteps.report.page import write_page
from smallsteps.report.summaries import excludes_zero
from smallsteps.report.terminal import tables


def print_run_summary(recipe: Recipe, results: Results, out: Path) -> None:
    """Writes the page of the run folder `out` and prints the results."""
    page = write_page(out)
    console = open_console()
    for table in tables(results):
        console.print(table)
    comparisons = [*results.comparisons, *results.pooled_comparisons]
    if comparisons and not any(map(excludes_zero, comparisons)):
        say("no difference between arms is clear: more test problems or seeds would be needed")
    best = results.best
    if best is not None:
        folder = out / best.folder
        say(f"best student: {best.name} (seed {best.seed}, chosen on validation), in {folder}")
    say(f"results: {out / 'results.json'}   page: {page}")
    if best is not None:
        say(f"try it: {shlex.join(next_command(recipe, out, out / best.folder))}")


def next_command(recipe: Recipe, out: Path, student: Path) -> list[str]:
    """The arguments of a command that asks the student of a run."""
    if recipe.guided is None:
        return ["smallsteps", "solve", str(student), "your question"]
    settings = recipe.guided.reader
    reader = str(out / "reader") if settings.name == "trained" else settings.name
    command = ["smallsteps", "guide", "questions.jsonl", "--guide", str(student)]
    command += ["--reader", reader, "--out", "answers.jsonl"]
    if recipe.data.task != "hotpotqa":
        command += ["--task", recipe.data.task]
    if settings.guided != "read":
        command += ["--prompt", settings.guided]
    if settings.base_url is not None:
        command += ["--base-url", settings.base_url]
    return command
