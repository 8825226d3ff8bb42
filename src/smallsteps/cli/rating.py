"""`smallsteps quality`: scores the aspects of each rationale in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.errors import DataError, counted
from smallsteps.outputs import check_output
from smallsteps.quality.aspects import ASPECTS, aspects_without_context
from smallsteps.quality.model_judges import open_judges
from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Quality, Scorer
from smallsteps.students.loading import load_student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.fields import text_field
from smallsteps.tasks.files import at, identified, write_rows
from smallsteps.tasks.records_from_rows import problem_of

DIGITS = 4
"""Decimal places of a score in a row."""
NEEDED_OPTIONS = {"student": "--student", "references": "--reference"}
"""What an aspect needs (`Aspect.needs`) → the option that gives it."""


@dataclass(frozen=True)
class RatingModels:
    """The models that measure aspects."""

    judge: str
    """`lexical`, or a natural-language inference model."""
    encoder: str
    """`lexical`, or a sentence encoder."""
    student: str | None
    """Its likelihoods measure fluency; None: fluency is not measured."""


def rate_file(
    source: InputFile, out: Path, reference: Path | None, models: RatingModels, compute: Compute
) -> None:
    """Writes one row per rationale, in order, and prints the mean of each aspect. reference: a file
    of rationales that sound natural."""
    check_output(out, inputs=[source.path, reference, models.student, models.judge, models.encoder])
    compute.start()
    task = get_task(source.task_name)
    with Terminal() as reporter:
        items = read_rationales(source, task, reporter, allow_empty=True)
        references = None
        if reference is not None:
            reference_file = InputFile(reference, source.task_name, source.columns)
            references = read_rationales(reference_file, task, reporter)
        scorer = _open_scorer(models, task, compute.device)
        if references is not None:
            reporter.say(f"reading the style of {len(references):,} reference rationales")
            _set_references(scorer, references)
        qualities = scorer.score(items, lambda done: reporter.advance("scoring", done, len(items)))
    write_rows(out, (_rounded(quality) for quality in qualities))
    _print_means(qualities)
    say(f"{counted(len(qualities), 'rationale')} in {out}")


def read_rationales(
    source: InputFile, task: Task, reporter: Terminal, allow_empty: bool = False
) -> list[Rated]:
    """The rows of a file as rationales with their questions and contexts. Answers are ignored.

    Raises DataError on a row without question, context or rationale. allow_empty: the rationale may
    be the empty text."""
    items = []
    for place, identifier, row in identified(source.path, task, source.columns, reporter.say):
        with at(place):
            without_answer = {name: value for name, value in row.items() if name != "answer"}
            problem = problem_of(without_answer, identifier, task)
            is_empty = allow_empty and row.get("rationale") == ""
            text = "" if is_empty else text_field(row, "rationale")
            try:
                items.append(Rated.of(problem, text, task))
            except DataError as error:
                if Rated.of(problem, text).context:
                    raise
                raise DataError(
                    f"{error} Or name a task without contexts (--task numbers): it measures only "
                    f"{', '.join(aspects_without_context())} of the {len(ASPECTS)} aspects."
                ) from None
    return items


def _open_scorer(models: RatingModels, task: Task, device: str) -> Scorer:
    scorer = Scorer(*open_judges(models.judge, models.encoder, device), task=task)
    if models.student is not None:
        scorer.student = load_student(models.student, device=device)
    return scorer


def _set_references(scorer: Scorer, references: Sequence[Rated]) -> None:
    likelihoods = scorer.likelihoods(references) if scorer.student else ()
    scorer.references = References.of([item.text for item in references], likelihoods)


def _rounded(quality: Quality) -> dict[str, Any]:
    scores = {
        aspect: None if score is None else round(score, DIGITS)
        for aspect, score in quality.scores.items()
    }
    return {"id": quality.id, **scores}


def _print_means(qualities: Sequence[Quality]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("aspect")
    table.add_column("mean", justify="right")
    for name, aspect in ASPECTS.items():
        values = [score for quality in qualities if (score := quality[name]) is not None]
        needed = NEEDED_OPTIONS.get(aspect.needs, "a context")
        table.add_row(name, f"{fmean(values):.3f}" if values else f"– (needs {needed})")
    open_console().print(table)
