"""Options of `smallsteps quality`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import Columns, Device, Out, TaskName, Threads, column_names


def quality(
    rationales: Annotated[Path, typer.Argument(help="JSONL of question, context, rationale.")],
    out: Out,
    student: Annotated[
        str | None,
        typer.Option("--student", help="Frozen student whose likelihoods measure fluency."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            help="Rationales by people or a good teacher, in rows of the same shape.",
        ),
    ] = None,
    judge: Annotated[
        str,
        typer.Option(
            "--judge", help="lexical, or a natural-language inference model: a name or folder."
        ),
    ] = "lexical",
    encoder: Annotated[
        str, typer.Option("--encoder", help="lexical, or a sentence encoder: a name or folder.")
    ] = "lexical",
    task: TaskName = "hotpotqa",
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Score rationales in eight aspects, each from 0 to 1."""
    from smallsteps.cli.cpu_threads import Compute
    from smallsteps.cli.input_file import InputFile
    from smallsteps.cli.rating import RatingModels, rate_file

    source = InputFile(rationales, task, column_names(columns))
    models = RatingModels(judge, encoder, student)
    rate_file(source, out, reference, models, Compute(device, threads))
