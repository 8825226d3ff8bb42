"""Options of `smallsteps segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import Columns, Device, Out, TaskName, column_names, number


def segment(
    chains: Annotated[
        Path, typer.Argument(help="Chains of thought: JSONL of id, question, rationale, answer.")
    ],
    out: Out,
    strategy: Annotated[
        str, typer.Option("--strategy", help="inter, ent, ent*, loss, bleu, rouge, gold or chunks.")
    ] = "inter",
    task: TaskName = "numbers",
    student: Annotated[
        str | None,
        typer.Option(
            "--student",
            help="Student that scores chains. For ent and loss: a trained direct student; "
            "for ent*: the base student.",
        ),
    ] = None,
    beta: Annotated[
        float,
        typer.Option(
            "--beta",
            callback=number(0, above=True),
            help="Threshold: a segment is AS where its score passes beta x the chain's mean.",
        ),
    ] = 1.0,
    closing: Annotated[
        str,
        typer.Option(
            "--closing", help="add (end each chain in the task's closing sentence) or keep."
        ),
    ] = "add",
    columns: Columns = None,
    device: Device = "auto",
    show: Annotated[
        int, typer.Option("--show", min=0, help="Number of chains to print in colour.")
    ] = 5,
) -> None:
    """Cut chains into extractive (ES) and abstractive (AS) segments."""
    from smallsteps.cli.input_file import InputFile
    from smallsteps.cli.segmenting import Cutting, segment_file

    source = InputFile(chains, task, column_names(columns))
    segment_file(source, out, Cutting(strategy, beta, closing, student, device), show)
