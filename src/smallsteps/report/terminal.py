"""The tables of a run in the terminal, within 80 columns: results, further test sets, and three
points on the way to a plateau.

Text of users cannot move the cursor or change colours: its control characters are shown, not
obeyed."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from smallsteps.evaluation.metrics import metric_name
from smallsteps.experiment.results import ArmResult, Results
from smallsteps.experiment.score_results import ComparisonResult, Point
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.records import Stopped
from smallsteps.report.arm_texts import mark_notes
from smallsteps.report.formats import amount, duration, number, p_value
from smallsteps.report.points_table import PointRow, point_rows, point_titles
from smallsteps.report.summaries import (
    ArmSummary,
    baseline,
    excludes_zero,
    main_comparisons,
    shared_rate,
    summaries,
)
from smallsteps.report.terminal_rounds import rounds_table
from smallsteps.report.terminal_sets import sets_tables
from smallsteps.report.terminal_table import arm_cell, new_table
from smallsteps.report.visible import visible

SHORT_ENDINGS: dict[Stopped, str] = {
    "stop_sign": "stop",
    "end": "end",
    "limit": "limit",
    "empty": "empty",
    "repetition": "loop",
}


def tables(results: Results) -> list[Table]:
    """All tables of a run: those of its methods, the results, those at three points, and those of
    further test sets."""
    tailored = results.methods.get("tailored")
    rounds = [rounds_table(tailored)] if isinstance(tailored, TailoredResults) else []
    points = [points_table(results)] if results.points else []
    return [*rounds, results_table(results), *points, *sets_tables(results)]


def results_table(results: Results) -> Table:
    """The results of a run: one row for each arm, and with several seeds a grey row for each below
    it.

    The column "against" holds the paired difference from the baseline with its interval and
    McNemar's p (the bootstrap's where there is none); * where the interval excludes zero. Columns
    that no arm fills are left out."""
    base = baseline(results)
    arms = summaries(results)
    trained = any(arm.train_tokens is not None for arm in arms)
    rate = shared_rate(results)
    rates = any(arm.learning_rate is not None for arm in arms) and rate is None
    table = new_table(results.title or "Results")
    table.caption_justify = "left"
    table.add_column("arm", overflow="fold", min_width=8)
    metric = metric_name(arms[0].metric) if arms else "score"
    table.add_column(Text(f"{metric}\n95 %"), justify="right")
    if base is not None:
        table.add_column(Text(f"against\n{visible(base)}".replace("@", "\n@")), justify="right")
    table.add_column("un-\nparsed", justify="right")
    table.add_column("chains\nended")
    if trained:
        header = "tokens\npasses\nrate" if rates else "tokens\npasses"
        table.add_column(header, justify="right")
    table.add_column("per\nanswer", justify="right")

    def add_row(
        name: Text, row: ArmSummary | ArmResult, tests: Iterable[ComparisonResult], style: str = ""
    ) -> None:
        cells = [f"{number(row.value)}\n{number(row.low)}–{number(row.high)}"]
        if base is not None:
            cells.append(_difference(tests, row.name, base))
        cells += [f"{row.unparsed}\nof {row.n}", _endings(row)]
        if trained:
            passes = "" if row.passes is None else f"\n{number(row.passes)} ×"
            chosen = f"\n{row.learning_rate:g}" if rates and row.learning_rate else ""
            cells.append(amount(row.train_tokens) + passes + chosen)
        cells.append(duration(row.seconds_per_answer))
        table.add_row(name, *map(Text, cells), style=style)

    for arm in arms:
        table.add_section()
        add_row(arm_cell(arm.name, arm.control), arm, main_comparisons(results))
        for single in arm.seeds if len(arm.seeds) > 1 else ():
            tests = [test for test in results.comparisons if test.seed == single.seed]
            add_row(Text(f"  seed {single.seed}"), single, tests, style="bright_black")
    notes = ["* the 95 % interval of the paired difference excludes zero"] if base else []
    notes += mark_notes(arms)
    notes += [f"learning rate of all trained arms: {rate:g}"] if rate is not None else []
    table.caption = Text("\n".join(notes)) if notes else None
    return table


def points_table(results: Results) -> Table:
    """Arms that were trained until their plateau, at each point: the figure with its interval, the
    paired difference from the baseline with its interval, and the tokens of the checkpoint."""
    titles = point_titles(results)
    rows = point_rows(results)
    tested = any(row.against for row in rows)
    table = new_table("On the test problems")
    table.add_column("arm", overflow="fold", min_width=8)
    for title in titles.values():
        name, _, cost = title.partition(", ")
        table.add_column(Text("\n".join(filter(None, (name, cost)))), justify="right")
    table.add_column("per\nanswer", justify="right")
    for row in rows:
        table.add_section()
        cells = [_point(row, point) for point in titles]
        table.add_row(
            arm_cell(row.name, row.control),
            *map(Text, cells),
            Text(duration(row.seconds_per_answer)),
        )
    notes = []
    if tested:
        against = list(dict.fromkeys(row.against for row in rows if row.against))
        names = visible(against[0]) if len(against) == 1 else "the arm of as many chains"
        notes.append(f"below: difference from {names}; * its 95 % interval excludes zero")
    if any(row.unreached for row in rows):
        notes.append("no plateau: training came to its cap before")
    notes += mark_notes(rows)
    table.caption = Text("\n".join(notes)) if notes else None
    table.caption_justify = "left"
    return table


def _point(row: PointRow, point: Point) -> str:
    """The lines of one cell; empty where the arm has no figure at this point."""
    cell = row.cells.get(point)
    if cell is None:
        return ""
    lines = [f"{number(cell.value)} ({number(cell.low)}–{number(cell.high)})"]
    if cell.against is not None:
        test = cell.against
        star = "*" if excludes_zero(test) else ""
        lines.append(f"{number(test.difference, sign=True)}{star}")
        lines.append(f"{number(test.low, sign=True)} to {number(test.high, sign=True)}")
    tokens = "not trained" if cell.tokens is None else f"{amount(cell.tokens)} tokens"
    lines.append(tokens)
    if point == "plateau" and row.unreached:
        lines.append("no plateau")
    return "\n".join(lines)


def _endings(row: ArmSummary | ArmResult) -> str:
    """How the chains ended, one kind a line."""
    lines = [
        f"{short} {row.stopped[kind]}"
        for kind, short in SHORT_ENDINGS.items()
        if row.stopped.get(kind)
    ]
    return "\n".join(lines) or "–"


def _difference(tests: Iterable[ComparisonResult], arm: str, base: str) -> str:
    """The paired difference of an arm from the baseline; an en dash where it was not tested."""
    test = next((test for test in tests if (test.arm, test.against) == (arm, base)), None)
    if test is None:
        return "–"
    p = p_value(test.p_bootstrap if test.p_mcnemar is None else test.p_mcnemar)
    return (
        f"{number(test.difference, sign=True)}{'*' if excludes_zero(test) else ''}\n"
        f"{number(test.low, sign=True)} to {number(test.high, sign=True)}\n"
        f"p {p if p.startswith('<') else f'= {p}'}"
    )
