"""Options of `smallsteps runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import path_of


def runs(
    folder: Annotated[
        Path,
        typer.Argument(
            parser=path_of, metavar="[FOLDER]", help="List the runs in and below this folder."
        ),
    ] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List runs: how far each is, its arms, its best figure."""
    from smallsteps.cli.run_listing import list_runs

    list_runs(folder, json)
