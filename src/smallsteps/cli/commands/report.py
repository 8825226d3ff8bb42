"""Options of `smallsteps report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import path_of


def _known_cost(cost: str) -> str:
    from smallsteps.report.cost_curves import COSTS

    if cost not in COSTS:
        raise typer.BadParameter(f"{cost}, expected {', '.join(COSTS)}.")
    return cost


def report(
    run_folder: Annotated[
        Path,
        typer.Argument(parser=path_of, metavar="RUN_FOLDER", help="Folder of a finished run."),
    ],
    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure",
            parser=path_of,
            metavar="PATH",
            help="Write the main figure to this file: .svg, or .png with the extra `figures`.",
        ),
    ] = None,
    cost: Annotated[
        str,
        typer.Option(
            "--cost",
            callback=_known_cost,
            help="What the figure counts as cost: tokens, seconds or passes.",
        ),
    ] = "tokens",
) -> None:
    """Show a finished run again: table, figure and page."""
    from smallsteps.cli.reporting import report_run

    report_run(run_folder, figure, cost)
