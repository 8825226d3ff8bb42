"""The rounds of tailored learning in the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from smallsteps.experiment.result_record import Figure
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.report.formats import amount, number
from smallsteps.report.terminal_table import interval_lines, new_table
from smallsteps.report.visible import visible


def rounds_table(tailored: TailoredResults) -> Table:
    """The rounds of tailored learning: for each arm and seed a row for each student, the untrained
    one first."""
    table = new_table("Rounds")
    table.add_column("arm", overflow="fold", min_width=8)
    for header in (
        "round",
        "exam\n%",
        "validation\n%",
        "test\n%",
        "mis-\ntakes",
        "repaired\nbroken",
        "taught\ntokens",
    ):
        table.add_column(header, justify="right")
    for row in tailored.rounds:
        first = row.round == 0
        if first:
            table.add_section()
        taught = f"{row.kept} of {row.calls}\n{amount(row.teacher_tokens)}" if row.calls else "–"
        table.add_row(
            Text(visible(f"{row.arm}\nseed {row.seed}") if first else "", style="bold"),
            str(row.round),
            number(row.exam),
            _interval(row.validation),
            _interval(row.test),
            str(row.mistakes),
            "–" if first else f"{row.repaired}\n{row.broken}",
            taught,
        )
    return table


def _interval(figure: Figure) -> str:
    return interval_lines(figure.value, figure.low, figure.high)
