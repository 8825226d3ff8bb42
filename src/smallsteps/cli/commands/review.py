"""Options of `smallsteps review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import Columns, TaskName, column_names, path_of


def review(
    chains: Annotated[
        Path, typer.Argument(help="Chains of thought: JSONL of id, question, rationale, answer.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", parser=path_of, metavar="PATH", help="Append judgements to this file."
        ),
    ] = Path("feedback.jsonl"),
    labels: Annotated[
        Path,
        typer.Option(
            "--labels",
            parser=path_of,
            metavar="PATH",
            help="Write labels of ES and AS to this file, one row for each labelled chain.",
        ),
    ] = Path("labels.jsonl"),
    task: TaskName = "numbers",
    columns: Columns = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8000,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the files, print the address, and stop.")
    ] = False,
) -> None:
    """Judge chains on a page in your browser, edit them and label their sub-sentences."""
    from smallsteps.cli.input_file import InputFile
    from smallsteps.cli.reviewing import ReviewFiles, review_file

    source = InputFile(chains, task, column_names(columns))
    review_file(source, ReviewFiles(out, labels), port, dry_run)
