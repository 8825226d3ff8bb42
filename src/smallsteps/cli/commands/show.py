"""Options of `smallsteps show`."""

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


def show(
    run_folders: Annotated[
        list[Path],
        typer.Argument(
            parser=path_of,
            metavar="RUN...",
            help="Folder of a run, finished or not. Several are joined into one table.",
        ),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="ARM",
            help="Compare every arm with this one. Default: what the run compares; of several "
            "runs, the baseline of the first.",
        ),
    ] = None,
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
    page: Annotated[
        Path | None,
        typer.Option(
            "--page",
            parser=path_of,
            metavar="PATH",
            help="Write the page to this file. Default: report.html in the run folder; of several "
            "runs, no page.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table as Markdown.")
    ] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print the table as LaTeX.")] = False,
) -> None:
    """Show a run again, finished or not, or join several."""
    from smallsteps.cli.showing import Shown, show_runs

    flags = {"json": json, "csv": csv, "markdown": markdown, "latex": latex}
    chosen = [name for name, flag in flags.items() if flag]
    if len(chosen) > 1:
        raise typer.BadParameter(f"--{chosen[0]} and --{chosen[1]} exclude each other.")
    show_runs(run_folders, Shown(figure, cost, page, chosen[0] if chosen else None), baseline)
