"""Options of `smallsteps segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import Columns, Device, TaskName, column_names, number, path_of


def segment(
    chains: Annotated[
        Path, typer.Argument(help="Chains of thought: JSONL of id, question, rationale, answer.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=path_of,
            metavar="PATH",
            help="Write the rows to this file. With --agreement: one row for each strategy, if you "
            "want any.",
        ),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            help="inter (default), ent, ent*, loss, bleu, rouge, gold or chunks. With --agreement: "
            "one or several (default: all that need no student, and those whose student is named).",
        ),
    ] = None,
    agreement: Annotated[
        bool,
        typer.Option(
            "--agreement",
            help="Print how well strategies agree with the labels that the rows have, and stop.",
        ),
    ] = False,
    whole_segments: Annotated[
        bool,
        typer.Option(
            "--whole-segments",
            help="With --agreement: compare labelled segments as they are, not their "
            "sub-sentences. For labels of whole sentences.",
        ),
    ] = False,
    task: TaskName = "numbers",
    student: Annotated[
        str | None,
        typer.Option(
            "--student", help="Student trained on whole chains: scores them for ent and loss."
        ),
    ] = None,
    untrained_student: Annotated[
        str | None,
        typer.Option(
            "--untrained-student", help="Student before fine-tuning: scores chains for ent*."
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
    """Cut chains into extractive (ES) and abstractive (AS) segments, or test that on labels."""
    from smallsteps.cli.input_file import InputFile
    from smallsteps.cli.label_agreement import print_agreement
    from smallsteps.cli.segmenting import Cutting, segment_file, single_strategy

    source = InputFile(chains, task, column_names(columns))
    cutting = Cutting(beta, closing, student, untrained_student, device)
    if agreement:
        print_agreement(source, cutting, strategy or (), whole_segments, out)
    else:
        name = single_strategy(strategy or (), whole_segments)
        cutting.check_used(name)
        segment_file(source, out, name, cutting, show)
