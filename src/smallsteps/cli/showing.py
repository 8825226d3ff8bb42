"""`smallsteps show`: shows runs again, and what a run shows at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smallsteps.cli.progress import open_console, say
from smallsteps.experiment.ownership import RESULTS
from smallsteps.experiment.results import Results
from smallsteps.experiment.so_far import RunSoFar, read_so_far
from smallsteps.outputs import check_output, writing
from smallsteps.report.cost_curves import CostFigure, cost_figures
from smallsteps.report.figure_files import FILE_NAME, check_figure_name, cost_picture
from smallsteps.report.joined import join_runs
from smallsteps.report.page import write_page, write_page_of
from smallsteps.report.plain_tables import FORMATS
from smallsteps.report.run import ShownRun, shown_run
from smallsteps.report.run_settings import times_compare
from smallsteps.report.terminal import tables
from smallsteps.report.terminal_figure import TerminalFigure
from smallsteps.report.terminal_runs import settings_table
from smallsteps.report.verdict import verdict


@dataclass(frozen=True)
class Shown:
    """What is printed and written."""

    figure: Path | None = None
    cost: str = "tokens"
    """One of `cost_curves.COSTS`."""
    page: Path | None = None
    format: str | None = None
    """One of `plain_tables.FORMATS`; None: tables for people, and the page of the run."""


def show_runs(folders: Sequence[Path], shown: Shown, baseline: str | None) -> None:
    """Prints the results of one run, and writes its page again; or those of several, joined.

    Raises UserError where a run or an option cannot be read, or the runs do not belong together;
    nothing is written then."""
    inputs = [folder / RESULTS for folder in folders]
    if shown.figure is not None:
        check_figure_name(shown.figure)
        check_output(shown.figure, "--figure", inputs)
    if shown.page is not None:
        check_output(shown.page, "--page", inputs)
    runs = [read_so_far(folder) for folder in folders]
    joined = len(runs) > 1 or baseline is not None
    run = join_runs(runs, baseline) if joined else shown_run(runs[0])
    results = run.results
    files = _write_files(run, shown)
    if shown.format is not None:
        open_console().print(FORMATS[shown.format](results, runs), soft_wrap=True)
        for line in files:
            open_console(stderr=True).print(line, soft_wrap=True)
        return
    if run.notice:
        say(run.notice)
    if not results.arms:
        return
    print_results(results, shown.cost, run.members)
    if not joined and shown.page is None:
        files = write_report(runs[0].folder, results) + files
    if files:
        say("   ".join(files))


def _write_files(run: ShownRun, shown: Shown) -> list[str]:
    """Writes the figure and the page that the options name; returns what lies where."""
    files = []
    if shown.figure is not None:
        with writing(shown.figure):
            cost_picture(run.results, shown.cost).save(shown.figure)
        files.append(f"figure over {shown.cost}: {shown.figure}")
    if shown.page is not None:
        files.append(f"page: {write_page_of(run, shown.page)}")
    return files


def print_results(results: Results, cost: str = "tokens", members: Sequence[RunSoFar] = ()) -> None:
    """Prints the tables, the main figure where there is one, and the verdict. `members`: the runs
    that were joined."""
    console = open_console()
    for table in [*tables(results), settings_table(members)]:
        if table is not None:
            console.print(table)
    figures: dict[str, CostFigure] = {figure.cost: figure for figure in cost_figures(results)}
    if figures:
        console.print(TerminalFigure(figures.get(cost) or next(iter(figures.values()))))
    say(verdict(results, times_compare=times_compare(members)).text)


def write_report(run_folder: Path, results: Results) -> list[str]:
    """Writes the page and the main figure into the run folder; returns what lies where."""
    lines = [f"results: {run_folder / RESULTS}"] if (run_folder / RESULTS).exists() else []
    files = [*lines, f"page: {write_page(run_folder)}"]
    if cost_figures(results):
        place, cost = run_folder / FILE_NAME, cost_figures(results)[0].cost
        with writing(place):
            cost_picture(results, cost).save(place)
        files.append(f"figure: {place}")
    return files
