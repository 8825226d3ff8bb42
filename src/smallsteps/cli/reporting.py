"""`smallsteps report`: shows a finished run again, and what a run shows at its end."""

from __future__ import annotations

from pathlib import Path

from smallsteps.cli.progress import open_console, say
from smallsteps.experiment.results import Results, read_results
from smallsteps.outputs import check_output, writing
from smallsteps.report.cost_curves import CostFigure, cost_figures
from smallsteps.report.figure_files import FILE_NAME, check_figure_name, cost_picture
from smallsteps.report.page import write_page
from smallsteps.report.terminal import tables
from smallsteps.report.terminal_figure import TerminalFigure
from smallsteps.report.verdict import verdict


def report_run(run_folder: Path, figure: Path | None, cost: str) -> None:
    """Prints the results of the run and writes its page again; with `figure`, also that file.

    cost: one of `cost_curves.COSTS`."""
    results = read_results(run_folder)
    if figure is not None:
        check_figure_name(figure)
        check_output(figure, "--figure", [run_folder / "results.json"])
        with writing(figure):
            cost_picture(results, cost).save(figure)
    print_results(results, cost)
    files = write_report(run_folder, results)
    if figure is not None:
        files.append(f"figure over {cost}: {figure}")
    say("   ".join(files))


def print_results(results: Results, cost: str = "tokens") -> None:
    """Prints the tables, the main figure where there is one, and the verdict."""
    console = open_console()
    for table in tables(results):
        console.print(table)
    figures: dict[str, CostFigure] = {figure.cost: figure for figure in cost_figures(results)}
    if figures:
        console.print(TerminalFigure(figures.get(cost) or next(iter(figures.values()))))
    say(verdict(results).text)


def write_report(run_folder: Path, results: Results) -> list[str]:
    """Writes the page and the main figure into the run folder; returns what lies where."""
    files = [
        f"results: {run_folder / 'results.json'}",
        f"page: {write_page(run_folder)}",
    ]
    if cost_figures(results):
        place, cost = run_folder / FILE_NAME, cost_figures(results)[0].cost
        with writing(place):
            cost_picture(results, cost).save(place)
        files.append(f"figure: {place}")
    return files
