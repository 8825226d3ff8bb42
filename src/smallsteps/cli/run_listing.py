"""`smallsteps runs`: the runs below a folder, the latest first."""

from __future__ import annotations

import json
from pathlib import Path

from smallsteps.cli.progress import open_console, say
from smallsteps.experiment.run_list import runs_below
from smallsteps.report.terminal_runs import runs_table


def list_runs(folder: Path, as_json: bool) -> None:
    """Prints a row for each run. Raises RunFolderError where there is no such folder."""
    runs = runs_below(folder)
    if as_json:
        rows = [run.to_row() for run in runs]
        open_console().print(json.dumps(rows, indent=1), soft_wrap=True)
    elif not runs:
        say(f"no runs below {folder}")
    else:
        open_console().print(runs_table(runs, folder))
