"""Options of `smallsteps grade`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import Columns, TaskName, column_names, path_of


def grade(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="Rows of id and text, or of id and answer, from `smallsteps solve` or any tool."
        ),
    ],
    gold: Annotated[
        Path, typer.Argument(help="JSONL of id and answer, with choices where the task has them.")
    ],
    task: TaskName = "numbers",
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient",
            help="Extract answers by the lenient rule, for teachers and untrained students.",
        ),
    ] = False,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            parser=path_of,
            metavar="PATH",
            help="Write one row per prediction to this file: id, answer, correct.",
        ),
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="lm-eval",
            help="Grade the same answers by lm-evaluation-harness too (extra `lm-eval`).",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the score as JSON.")] = False,
    columns: Columns = None,
) -> None:
    """Grade predictions, and print the score with its interval and settings."""
    from smallsteps.cli.grading import grade_file
    from smallsteps.cli.input_file import InputFile

    source = InputFile(gold, task, column_names(columns))
    grade_file(predictions, source, lenient, rows, json, beside)
