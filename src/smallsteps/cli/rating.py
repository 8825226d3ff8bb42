"""`smallsteps quality`: scores the aspects of each rationale in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.environment import access
from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.errors import DataError, RecipeError, counted, nearest
from smallsteps.generation.budget import Budget
from smallsteps.generation.replies import ReplyStore
from smallsteps.outputs import check_output
from smallsteps.quality.aspects import ASPECTS, aspects_without_context
from smallsteps.quality.open_scorer import open_scorer
from smallsteps.quality.prompted_judge import PromptedJudge
from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Quality, Scorer
from smallsteps.quality.settings import JudgeSettings
from smallsteps.students.loading import load_student
from smallsteps.students.run_student import student_place
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
class AspectMeasures:
    """What measures the aspects."""

    judge: JudgeSettings
    encoder: str
    """`lexical`, or a sentence encoder."""
    student: str | None
    """Its likelihoods measure fluency."""
    reference: Path | None
    """A file of rationales that sound natural; their lengths measure naturalness."""
    aspects: tuple[str, ...] | None
    """The aspects that are measured; None: all."""

    @property
    def inputs(self) -> list[str | Path | None]:
        """Files and folders that are read."""
        return [self.reference, self.student, self.judge.model, self.encoder]


def check_mode(
    out: Path | None,
    sheet: Path | None,
    ratings: Sequence[Path] | None,
    scores: Sequence[Path] | None,
) -> None:
    """Raises RecipeError where options of scoring, of writing sheets and of comparing them are
    mixed, or none is given."""
    if sheet is not None and (out is not None or ratings):
        other = "--out" if out is not None else "--ratings"
        raise RecipeError(f"--sheet and {other}: a sheet is written alone. Leave one of them out.")
    if scores and not ratings:
        raise RecipeError("--scores: has no effect without --ratings. Name a filled sheet.")
    if out is None and sheet is None and not ratings:
        raise RecipeError(
            "nothing to write: name --out FILE for scores, --sheet FILE for a rating sheet, or "
            "--ratings FILE to compare filled sheets."
        )


def check_sheet_options(options: Mapping[str, int | None]) -> None:
    """Raises RecipeError where an option of rating sheets is given although none is written."""
    for option, value in options.items():
        if value is not None:
            raise RecipeError(f"{option}: has no effect without --sheet. Name a sheet to write.")


def selected_aspects(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The aspects named, in the order of tables; None: all. Raises RecipeError for an unknown
    name."""
    for name in names or ():
        if name not in ASPECTS:
            raise RecipeError(f"--aspect {name}: no such aspect.{nearest(name, ASPECTS)}")
    return tuple(name for name in ASPECTS if name in names) if names else None


def rate_file(
    source: InputFile, out: Path, measures: AspectMeasures, compute: Compute, dry_run: bool
) -> None:
    """Writes one row per rationale, in order, and prints the mean of each aspect. dry_run: prints
    the forecast and stops.

    Raises TeacherError where replies of a chat model did not come, or no rating could be read."""
    settings = measures.judge
    check_output(out, inputs=[source.path, *measures.inputs])
    if settings.is_chat:
        check_output(settings.store_path, "--store", inputs=[source.path, out, *measures.inputs])
    compute.start()
    task = get_task(source.task_name)
    with ExitStack() as stack:
        reporter = stack.enter_context(Terminal())
        items = read_rationales(source, task, reporter, allow_empty=True)
        references = None
        if measures.reference is not None:
            reference_file = InputFile(measures.reference, source.task_name, source.columns)
            references = read_rationales(reference_file, task, reporter)
        budget = None
        if settings.is_chat:
            store = stack.enter_context(closing(ReplyStore(settings.store_path)))
            budget = Budget(store, str(out.resolve()), settings)
        scorer = open_scorer(
            settings, measures.encoder, budget, access(), compute.device, reporter.say
        )
        _complete(scorer, measures, task, references, compute.device, reporter)
        forecast = scorer.forecast(items)
        if forecast or dry_run:
            reporter.say(f"judge: {forecast or 'no calls'}")
        if dry_run:
            return
        qualities = scorer.score(items, lambda done: reporter.advance("scoring", done, len(items)))
        if isinstance(scorer.prompted, PromptedJudge):
            scorer.prompted.check_read()
        spent = None if budget is None else budget.spent
    write_rows(out, (_rounded(quality) for quality in qualities))
    _print_means(qualities, scorer)
    cost = f"; {counted(spent.calls, 'call')}, {counted(spent.tokens, 'token')}" if spent else ""
    say(f"{counted(len(qualities), 'rationale')} in {out}{cost}")


def _complete(
    scorer: Scorer,
    measures: AspectMeasures,
    task: Task,
    references: Sequence[Rated] | None,
    device: str,
    reporter: Terminal,
) -> None:
    """Adds student, references and the choice of aspects."""
    scorer.task, scorer.aspects = task, measures.aspects
    if measures.student is not None:
        place = student_place(measures.student, reporter.say)
        scorer.student = load_student(place, device=device)
    if references is not None:
        reporter.say(f"reading the style of {len(references):,} reference rationales")
        likelihoods = scorer.likelihoods(references) if scorer.student else ()
        scorer.references = References.of([item.text for item in references], likelihoods)


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


def _rounded(quality: Quality) -> dict[str, Any]:
    scores = {
        aspect: None if score is None else round(score, DIGITS)
        for aspect, score in quality.scores.items()
    }
    return {"id": quality.id, **scores}


def _print_means(qualities: Sequence[Quality], scorer: Scorer) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("aspect")
    table.add_column("mean", justify="right")
    for name, aspect in ASPECTS.items():
        if scorer.aspects is not None and name not in scorer.aspects:
            continue
        values = [score for quality in qualities if (score := quality[name]) is not None]
        needed = NEEDED_OPTIONS.get(aspect.needs, "a context")
        table.add_row(name, f"{fmean(values):.3f}" if values else f"– (needs {needed})")
    open_console().print(table)
    if isinstance(scorer.prompted, PromptedJudge):
        for name, count in scorer.prompted.unread.items():
            if count:
                asked = counted(scorer.prompted.asked[name], "rating")
                say(f"{name}: {count:,} of {asked} could not be read and are null")
