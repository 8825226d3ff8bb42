"""Lists of runs in the terminal: the runs below a folder, and the settings in which joined runs
differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from smallsteps.experiment.run_list import BestArm, ListedRun
from smallsteps.experiment.so_far import RunSoFar
from smallsteps.report.formats import number
from smallsteps.report.run_settings import differing_settings, labels
from smallsteps.report.terminal_table import new_table
from smallsteps.report.visible import visible

MOST_ARMS = 6
"""Arms of a run that a list of runs names."""


def settings_table(runs: Sequence[RunSoFar]) -> Table | None:
    """The settings in which joined runs differ; None: they are the same, or it is one run."""
    rows = differing_settings(runs)
    if not rows:
        return None
    table = new_table("Settings that differ")
    table.add_column("setting", overflow="fold")
    for name in labels([run.folder for run in runs]):
        table.add_column(Text(visible(name)), overflow="fold")
    for row in rows:
        table.add_row(Text(row.key), *(Text(visible(value)) for value in row.values))
    return table


def runs_table(runs: Sequence[ListedRun], folder: Path) -> Table:
    """The runs below a folder: where they lie and what they are called, how far they are, their
    arms and seeds, the best figure with its interval, and when they last wrote something."""
    table = new_table("")
    table.title = None
    table.add_column("run\ntitle", overflow="fold", min_width=12)
    table.add_column("state")
    table.add_column("arms\nseeds", overflow="fold")
    table.add_column("best\n95 %", overflow="fold")
    table.add_column("when\n(UTC)")
    for run in runs:
        table.add_section()
        path = Path(run.folder)
        name = path.name if path == folder else path.relative_to(folder).as_posix()
        seeds = f"seeds {', '.join(map(str, run.seeds))}" if len(run.seeds) > 1 else ""
        cells = [run.state, _few(run.arms, seeds), _best(run.best), _moment(run.when)]
        about = run.why or run.title
        table.add_row(
            Text.assemble((visible(name), "bold"), "\n" if about else "", visible(about)),
            *(Text(visible(cell)) for cell in cells),
            style="" if run.state == "finished" else "yellow",
        )
    return table


def _few(arms: Sequence[str], seeds: str) -> str:
    shown = [*arms[:MOST_ARMS], *([f"and {len(arms) - MOST_ARMS} more"] * (len(arms) > MOST_ARMS))]
    return "\n".join(filter(None, [", ".join(shown), seeds]))


def _best(best: BestArm | None) -> str:
    if best is None:
        return "–"
    return f"{best.name}\n{number(best.value)} ({number(best.low)}–{number(best.high)})"


def _moment(when: str) -> str:
    """Day and minute of a moment, on two lines."""
    day, _, time = when.partition("T")
    return f"{day}\n{time[:5]}"
