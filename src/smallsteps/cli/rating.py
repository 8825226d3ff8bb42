"""`smallsteps quality`: the aspects of each rationale of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from smallsteps.cli.cpu_threads import set_threads
from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.devices import check_device
from smallsteps.errors import DataError, counted
from smallsteps.outputs import check_output
from smallsteps.quality.aspects import ASPECTS, WITHOUT_CONTEXT, Rated, References, Scorer
from smallsteps.quality.judges import open_judges
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import at, identified, write_rows
from smallsteps.tasks.rows import problem_of, text_field

DIGITS = 4


def rate_file(
    source: Path,
    out: Path,
    student: str | None,
    reference: Path | None,
    judge: str,
    encoder: str,
    task_name: str,
    columns: Mapping[str, str],
    device: str,
    threads: int | None,
) -> None:
    """One row a rationale, in order; the means in the terminal."""
    check_output(out, inputs=[source, reference, student, judge, encoder])
    check_device(device)
    set_threads(threads)
    task = get_task(task_name)
    items = read_rated(source, task, columns, empty=True)
    others = None if reference is None else read_rated(reference, task, columns)
    scorer = Scorer(*open_judges(judge, encoder, device), task=task)
    if student is not None:
        from smallsteps.students.loading import load_student

        scorer.student = load_student(student, device=device)
    with Terminal() as reporter:
        if others is not None:
            reporter.say(f"reading the style of {len(others):,} reference rationales")
            texts = [item.text for item in others]
            scorer.references = References.of(
                texts, scorer.likelihoods(others) if scorer.student else ()
            )
        scored = scorer.score(items, lambda done: reporter.advance("scoring", done, len(items)))
    found = [asdict(quality) for quality in scored]
    write_rows(
        out, ({"id": row["id"], **{name: _rounded(row[name]) for name in ASPECTS}} for row in found)
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("aspect")
    table.add_column("mean", justify="right")
    for name in ASPECTS:
        measured = [row[name] for row in found if row[name] is not None]
        table.add_row(name, f"{fmean(measured):.3f}" if measured else f"– ({_needs(name)})")
    open_console().print(table)
    say(f"{counted(len(found), 'rationale')} in {out}")


def read_rated(
    path: Path, task: Task, columns: Mapping[str, str], empty: bool = False
) -> list[Rated]:
    """The rows of a file as rationales with their questions and contexts. An answer is not needed
    and not looked at. `empty`: a rationale may be the empty text."""
    found = []
    for place, identifier, row in identified(path, task, columns, Terminal().say):
        with at(place):
            problem = problem_of(
                {name: value for name, value in row.items() if name != "answer"}, identifier, task
            )
            text = "" if empty and row.get("rationale") == "" else text_field(row, "rationale")
            try:
                found.append(Rated.of(problem, text, task))
            except DataError as error:
                if Rated.of(problem, text).context:
                    raise
                raise DataError(
                    f"{error} Or name a task without contexts (--task numbers): of the {len(ASPECTS)} aspects, only "
                    f"{', '.join(WITHOUT_CONTEXT)} are measured there."
                ) from None
    return found


def _rounded(value: Any) -> float | None:
    return None if value is None else round(value, DIGITS)


def _needs(name: str) -> str:
    return {"fluency": "needs --student", "naturalness": "needs --reference"}.get(
        name, "needs a context"
    )
