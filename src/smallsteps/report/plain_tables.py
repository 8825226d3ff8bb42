"""The results of a run as a table for other programs: JSON, CSV, Markdown, LaTeX.

JSON and CSV hold numbers as they are, under keys that do not change; an absent value is null, or
empty. Markdown and LaTeX hold them as the terminal prints them. Text of users is escaped. Further
test sets: `plain_sets.py`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean
from typing import Any

from smallsteps.experiment.results import Results
from smallsteps.experiment.score_results import ComparisonResult
from smallsteps.experiment.so_far import RunSoFar
from smallsteps.report.columns import EMPTY
from smallsteps.report.formats import amount, duration, metric_title, number, p_value
from smallsteps.report.plain_sets import (
    further_cells,
    further_columns,
    further_rows,
    marked_arm,
    starred_difference,
    with_interval,
)
from smallsteps.report.run_settings import differing_settings, times_compare
from smallsteps.report.summaries import (
    ArmSummary,
    baseline,
    main_comparisons,
    summaries,
)
from smallsteps.report.verdict import verdict
from smallsteps.report.visible import visible_line


@dataclass(frozen=True)
class TableRow:
    """One arm over its seeds: the columns of JSON and CSV, in this order."""

    arm: str
    seeds: Sequence[int]
    metric: str
    value: float
    low: float
    high: float
    n: int
    unparsed: int
    validation: float | None
    """The metric on the validation problems; mean over the seeds, as all costs."""
    against: str | None
    """The arm of the paired test; null: the arm was not tested."""
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_bootstrap: float | None
    p_mcnemar: float | None
    train_tokens: float | None
    passes: float | None
    seconds: float | None
    """Of training."""
    teacher_tokens: float | None
    learning_rate: float | None
    """The highest of the schedule; null: none, or it differs between the seeds."""
    seconds_per_answer: float
    control: bool


def rows_of(results: Results) -> list[TableRow]:
    """One row for each arm, in the order of the results."""
    tests = main_comparisons(results)
    return [_row(arm, _main_test(tests, arm.name)) for arm in summaries(results)]


def _main_test(tests: Sequence[ComparisonResult], arm: str) -> ComparisonResult | None:
    """The first test of an arm, which is the most important one."""
    return next((test for test in tests if test.arm == arm), None)


def _row(arm: ArmSummary, test: ComparisonResult | None) -> TableRow:
    validation = [seed.validation for seed in arm.seeds if seed.validation is not None]
    return TableRow(
        arm=arm.name,
        seeds=[seed.seed for seed in arm.seeds],
        metric=arm.metric,
        value=arm.value,
        low=arm.low,
        high=arm.high,
        n=arm.n,
        unparsed=arm.unparsed,
        validation=fmean(validation) if validation else None,
        against=None if test is None else test.against,
        difference=None if test is None else test.difference,
        difference_low=None if test is None else test.low,
        difference_high=None if test is None else test.high,
        p_bootstrap=None if test is None else test.p_bootstrap,
        p_mcnemar=None if test is None else test.p_mcnemar,
        train_tokens=arm.train_tokens,
        passes=arm.passes,
        seconds=arm.seconds,
        teacher_tokens=arm.teacher_tokens,
        learning_rate=arm.learning_rate,
        seconds_per_answer=arm.seconds_per_answer,
        control=arm.control,
    )


def as_json(results: Results, runs: Sequence[RunSoFar]) -> str:
    """The runs, the table, all paired tests and the verdict as one JSON object."""
    judged = verdict(results, times_compare=times_compare(runs))
    content = {
        "title": results.title,
        "runs": [
            {
                "folder": str(run.folder),
                "title": run.results.title,
                "state": run.state,
                "graded": run.graded,
                "planned": run.planned,
            }
            for run in runs
        ],
        "task": results.arms[0].task if results.arms else None,
        "baseline": baseline(results),
        "verdict": judged.text,
        "clear": judged.clear,
        "arms": [asdict(row) for row in rows_of(results)],
        "tests": [test.model_dump() for test in main_comparisons(results)],
        "further": further_rows(results),
        "settings": {row.key: row.values for row in differing_settings(runs)},
    }
    return json.dumps(content, indent=1)  # ASCII: any terminal and pipe takes it


def as_csv(results: Results, runs: Sequence[RunSoFar]) -> str:
    """The table with a line of names first; several seeds are separated by spaces. Figures on
    further test sets are the last columns: `svamp.value`, `svamp.low`, ..."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    further = further_columns(results)
    names = [column for cells in further.values() for column in cells]
    further_names = list(dict.fromkeys(names))
    writer.writerow([*(field.name for field in fields(TableRow)), *further_names])
    for row in rows_of(results):
        cells = asdict(row) | {"seeds": " ".join(map(str, row.seeds))}
        on_sets = further.get(row.arm, {})
        writer.writerow([*cells.values(), *(on_sets.get(name) for name in further_names)])
    return text.getvalue().rstrip("\n")


def as_markdown(results: Results, runs: Sequence[RunSoFar]) -> str:
    """The table, that of further test sets, and below them the verdict."""
    tables = [
        _markdown_table(cells) for cells in (_cells(results), further_cells(results)) if cells
    ]
    notes = [
        markdown_text(text) for text in [*_notices(runs), *_settings(runs), _verdict(results, runs)]
    ]
    return "\n\n".join([*tables, *notes])


def _markdown_table(cells: Sequence[Sequence[str]]) -> str:
    header, *body = [[markdown_text(cell) for cell in row] for row in cells]
    rows = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_latex(results: Results, runs: Sequence[RunSoFar]) -> str:
    """A `tabular` of the package booktabs, and one of further test sets; the verdict stands above
    them as a comment."""
    notes = [*_notices(runs), *_settings(runs), _verdict(results, runs)]
    notes += [r"needs \usepackage{booktabs}"]
    lines = [f"% {visible_line(note)}" for note in notes]
    tables = [_latex_table(cells) for cells in (_cells(results), further_cells(results)) if cells]
    return "\n".join([*lines, "\n\n".join(tables)])


def _latex_table(cells: Sequence[Sequence[str]]) -> str:
    header, *body = cells
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\toprule"]
    lines += [_latex_row(header), r"\midrule", *map(_latex_row, body)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


Format = Callable[[Results, Sequence[RunSoFar]], str]
FORMATS: Mapping[str, Format] = {
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
    "latex": as_latex,
}
"""Name of a format → the function that writes it, without a line break at the end."""


def _notices(runs: Sequence[RunSoFar]) -> list[str]:
    return [f"{run.folder}: {run.notice}" for run in runs if run.notice]


def _settings(runs: Sequence[RunSoFar]) -> list[str]:
    """The settings in which joined runs differ, on one line."""
    rows = [f"{row.key}: {', '.join(row.values)}" for row in differing_settings(runs)]
    return [f"settings in the order of the runs: {'; '.join(rows)}"] if rows else []


def _verdict(results: Results, runs: Sequence[RunSoFar]) -> str:
    return verdict(results, times_compare=times_compare(runs)).text


# ---- tables that people read ----


def _cells(results: Results) -> list[list[str]]:
    """The header and the rows of the table, without columns that no row fills."""
    rows = rows_of(results)
    metric = metric_title(rows[0].metric) if rows else "Score"
    against = {row.against for row in rows if row.against is not None}
    several = len(against) > 1
    difference = "Difference" if several or not against else f"Difference from {min(against)}"
    columns: dict[str, list[str]] = {
        "Arm": [marked_arm(row.arm, row.control) for row in rows],
        "Seeds": [str(len(row.seeds)) if len(row.seeds) > 1 else "" for row in rows],
        f"{metric} (95 %)": [with_interval(row.value, row.low, row.high) for row in rows],
        "From": [(row.against or "–") if several else "" for row in rows],
        f"{difference} (95 %)": [_difference(row) for row in rows],
        "p": [_p(row) for row in rows],
        "n": [f"{row.n}" for row in rows],
        "Unparsed": [f"{row.unparsed}" for row in rows],
        "Training tokens": [amount(row.train_tokens) for row in rows],
        "Passes": [number(row.passes) for row in rows],
        "Training": [duration(row.seconds) for row in rows],
        "Teacher tokens": [amount(row.teacher_tokens) for row in rows],
        "Learning rate": [f"{row.learning_rate:g}" if row.learning_rate else "–" for row in rows],
        "Per answer": [duration(row.seconds_per_answer) for row in rows],
    }
    filled = {
        name: cells
        for name, cells in columns.items()
        if name == "Arm" or not all(cell in EMPTY for cell in cells)
    }
    return [list(filled), *map(list, zip(*filled.values(), strict=True))]


def _difference(row: TableRow) -> str:
    if row.difference is None or row.difference_low is None or row.difference_high is None:
        return "–"
    return starred_difference(row.difference, row.difference_low, row.difference_high)


def _p(row: TableRow) -> str:
    return p_value(row.p_bootstrap if row.p_mcnemar is None else row.p_mcnemar)


def markdown_text(text: str) -> str:
    r"""Text that Markdown shows as it is, on one line.

    >>> print(markdown_text("ases-uni-ent* | <b>"))
    ases-uni-ent\* \| \<b\>
    """
    line = visible_line(text)
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#~$&" else sign for sign in line)


LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
"""Sign → what LaTeX prints it for."""


def latex_text(text: str) -> str:
    r"""Text that LaTeX prints as it is, on one line.

    >>> print(latex_text("95 % of a_b"))
    95 \% of a\_b
    """
    return "".join(LATEX.get(sign, sign) for sign in visible_line(text))


def _latex_row(cells: Sequence[Any]) -> str:
    return " & ".join(latex_text(cell) for cell in cells) + r" \\"
