"""What the terminal shows after a run: the tables, the main figure, the verdict, the best student,
the files and the next command."""

from __future__ import annotations

import shlex
from pathlib import Path

from smallsteps.cli.progress import say
from smallsteps.cli.showing import print_results, write_report
from smallsteps.experiment.method import method_of, recipe_arm
from smallsteps.experiment.method_modules import before_module, untrained_command
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.results import Results
from smallsteps.experiment.run_facts import BestStudent
from smallsteps.publishing.run_cards import write_cards


def print_run_summary(recipe: Recipe, results: Results, out: Path) -> None:
    """Writes the page, the figure and the model cards of the run folder `out` and prints the
    results."""
    files = write_report(out, results)
    write_cards(out)
    print_results(results)
    best = results.best
    if best is not None:
        say(_best_line(best, results, out))
        if best.validation == 0:
            say("it answers no validation question right: train longer, or look at its answers")
    say("   ".join(files))
    if best is not None:
        say(f"try it: {shlex.join(_next_command(recipe, results, best, out))}")


def _best_line(best: BestStudent, results: Results, out: Path) -> str:
    if best.folder is None:
        what = f"{best.name}, the student before training"
        trained = any(arm.train_tokens is not None for arm in results.arms)
        more = "; no trained arm did better" if trained else ""
        return f"best on validation: {what}{more}"
    why = "chosen on validation"
    if best.validation is None:
        why = "the first arm: nothing was measured on validation"
    return f"best student: {best.name} (seed {best.seed}, {why}), in {out / best.folder}"


def _next_command(recipe: Recipe, results: Results, best: BestStudent, out: Path) -> list[str]:
    """The command that asks the best student."""
    if best.folder is None:
        return untrained_command(recipe, out, results.arms[0].task)
    method = method_of(recipe_arm(recipe, best.name))
    return before_module(method.name).next_command(recipe, out, out / best.folder)
