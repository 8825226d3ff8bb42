"""Options of `smallsteps quality`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.option_groups import OptionGroup, fill_settings
from smallsteps.cli.options import (
    CALL_OPTIONS,
    PRICE_FIELDS,
    Columns,
    Device,
    Forecast,
    TaskName,
    Threads,
    column_names,
    path_of,
)
from smallsteps.quality.settings import JudgeSettings

JUDGE = OptionGroup(
    JudgeSettings,
    {
        "name": Annotated[
            str,
            typer.Option(
                "--judge",
                help="lexical; a natural-language inference model: a name or folder; "
                "endpoint:MODEL, a chat model at --base-url; or local:FOLDER, a chat model on this "
                "machine.",
            ),
        ],
        "prompts": Annotated[
            str | None,
            typer.Option(
                "--judge-prompts",
                help="Folder with prompts of a chat model: factuality.txt and the like. "
                "Default: the bundled ones.",
            ),
        ],
        "max_new_tokens": Annotated[
            int, typer.Option("--judge-tokens", help="Maximum length of a rating in tokens.")
        ],
        **CALL_OPTIONS,
    },
    pairs=PRICE_FIELDS,
)


@fill_settings(judge=JUDGE)
def quality(
    rationales: Annotated[Path, typer.Argument(help="JSONL of question, context, rationale.")],
    judge: JudgeSettings,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=path_of,
            metavar="PATH",
            help="Write the rows to this file. Needed unless --sheet or --ratings is given.",
        ),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option("--student", help="Frozen student whose likelihoods measure fluency."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            help="Rationales by people or a good teacher, in rows of the same shape; their lengths "
            "measure naturalness.",
        ),
    ] = None,
    encoder: Annotated[
        str, typer.Option("--encoder", help="lexical, or a sentence encoder: a name or folder.")
    ] = "lexical",
    aspects: Annotated[
        list[str] | None,
        typer.Option("--aspect", help="Measure this aspect only. Default: all eight."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            parser=path_of,
            metavar="PATH",
            help="Write a blind rating sheet (CSV) for people, and score nothing.",
        ),
    ] = None,
    raters: Annotated[
        int | None,
        typer.Option(
            "--raters", min=1, max=1000, help="Sheets to write, one per rater. Default: 1."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, max=2**31, help="Seed of the order of a sheet's rows. Default: 0."
        ),
    ] = None,
    ratings: Annotated[
        list[Path] | None,
        typer.Option(
            "--ratings", help="A filled sheet. Compare raters with each other and with --scores."
        ),
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", help="Rows of an earlier --out, whose judge --ratings compares."),
    ] = None,
    task: TaskName = "hotpotqa",
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
    dry_run: Forecast = False,
) -> None:
    """Score rationales in eight aspects, each from 0 to 1."""
    from smallsteps.cli.cpu_threads import Compute
    from smallsteps.cli.input_file import InputFile
    from smallsteps.cli.rating import (
        AspectMeasures,
        check_mode,
        check_sheet_options,
        rate_file,
        selected_aspects,
    )
    from smallsteps.cli.rating_sheets import Sheets, compare_sheets, write_blank_sheets

    check_mode(out, sheet, ratings, scores)
    if sheet is None:
        check_sheet_options({"--raters": raters, "--seed": seed})
    source = InputFile(rationales, task, column_names(columns))
    chosen = selected_aspects(aspects)
    if sheet is not None:
        write_blank_sheets(source, sheet, Sheets(raters or 1, seed or 0, chosen, judge.prompts))
    elif ratings:
        compare_sheets(source, ratings, scores or [], out)
    elif out is not None:
        measures = AspectMeasures(judge, encoder, student, reference, chosen)
        rate_file(source, out, measures, Compute(device, threads), dry_run)
