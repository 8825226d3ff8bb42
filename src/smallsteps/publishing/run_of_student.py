"""The run that a student's folder lies in, and a question of its data for cards and commands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from smallsteps.errors import UserError
from smallsteps.experiment.ownership import RECIPE, RESULTS, RUN
from smallsteps.experiment.stored_data import PROBLEMS
from smallsteps.experiment.stored_rows import StoredRows, problem_in_row
from smallsteps.records import Problem
from smallsteps.students.card import example_on_card
from smallsteps.students.driving import PLACEHOLDER
from smallsteps.tasks.base import Task

LONGEST_EXAMPLE = 300
"""Characters of a question that a card shows, with its context or choices."""
ROWS_READ = 2000
"""Questions of a part among which a short one is looked for."""


def run_folder_of(folder: Path) -> Path | None:
    """The run folder that a student's folder lies in; None: it lies in none."""
    for above in folder.resolve().parents:
        is_run = (above / RESULTS).is_file() or (above / RUN).is_file()
        if is_run and (above / RECIPE).is_file():
            return above
    return None


def example_question(run_folder: Path | None, task: Task | None) -> Problem:
    """The first question of the run's test part that is short enough for one line, else of its
    training part; the placeholder where there is none, or no run."""
    if run_folder is None or task is None:
        return PLACEHOLDER
    return next(
        (problem for problem in _problems(run_folder / "data") if _is_short(problem, task)),
        PLACEHOLDER,
    )


def example_of(folder: Path, task: Task) -> Problem:
    """The question for the card of a student's folder: that of its run; of a student in no run, the
    one on the card that it has."""
    run_folder, on_card = run_folder_of(folder), example_on_card(folder)
    if run_folder is None and on_card is not None and _is_short(on_card, task):
        return on_card
    return example_question(run_folder, task)


def _is_short(problem: Problem, task: Task) -> bool:
    """Whether a question fits into one line of a shell, which would read what begins with - as an
    option."""
    try:
        text = task.render(problem)
    except (LookupError, TypeError, AttributeError, UserError):  # a card changed by hand
        return False
    return len(text) <= LONGEST_EXAMPLE and text.isprintable() and not text.startswith("-")


def _problems(data: Path) -> Iterator[Problem]:
    """The first test questions of the stage `data`, then training questions, as far as their files
    can be read."""
    for name in (PROBLEMS, "train.jsonl"):
        try:
            rows = StoredRows(data / name, _problem_of_either)
            yield from islice(rows, ROWS_READ)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, UserError):
            continue


def _problem_of_either(row: dict[str, object]) -> Problem:
    """The problem of a row that holds a chain, or a problem alone."""
    return problem_in_row(row) if "problem" in row else Problem.from_row(row)
