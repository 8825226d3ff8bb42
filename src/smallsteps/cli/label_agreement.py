"""`smallsteps segment --agreement`: how well strategies agree with the labels of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.cli.segmenting import Cutting
from smallsteps.errors import DataError, counted
from smallsteps.segments.agreement import Agreement, strategy_agreement
from smallsteps.segments.strategies import STRATEGIES, Scoring, Strategy, get_strategy
from smallsteps.students.student import Student
from smallsteps.tasks.files import write_rows

FIGURES_DIGITS = 4
"""Decimal places of a figure in a row."""


def print_agreement(
    source: InputFile,
    cutting: Cutting,
    names: Sequence[str],
    whole_segments: bool,
    out: Path | None,
) -> None:
    """Prints a table of strategies: Cohen's kappa, per cent of equal labels, per cent of AS. out: a
    file for the same figures, one row for each strategy."""
    cutting.check(source, out)
    strategies = _strategies(names, cutting)
    with Terminal() as reporter:
        task = source.task(reporter.say)
        chains = list(cutting.read(source, task, reporter.say))
        students = _Students(cutting, reporter)
        agreements: dict[str, Agreement] = {}
        try:
            for done, strategy in enumerate(strategies):
                reporter.advance("labelling", done, len(strategies), strategy.name)
                scoring = Scoring(task, students.open(strategy))
                agreements[strategy.name] = strategy_agreement(
                    chains, strategy, scoring, beta=cutting.beta, whole_segments=whole_segments
                )
        except DataError as error:
            raise DataError(f"{source.path}: {error}") from None
        reporter.advance("labelling", len(strategies), len(strategies))
    if out is not None:
        write_rows(out, (_row(name, agreement) for name, agreement in agreements.items()))
    _print_table(agreements)
    labelled = next(iter(agreements.values()))
    unit = "segment" if whole_segments else "sub-sentence"
    say(
        f"{counted(labelled.n, unit)} in {counted(labelled.chains, 'chain')}, "
        f"{labelled.gold_abstractive:.1f} % labelled AS; 95 % bootstrap intervals over chains"
    )
    if labelled.chains < len(chains):
        say(f"{counted(len(chains) - labelled.chains, 'chain')} without labels left out")
    if out is not None:
        say(f"written: {out}")


def _strategies(names: Sequence[str], cutting: Cutting) -> list[Strategy]:
    """Those that are named; else all that can label, with the students that are named."""
    if names:
        return [get_strategy(name) for name in dict.fromkeys(names)]
    return [
        strategy
        for strategy in STRATEGIES.values()
        if not strategy.needs_gold
        and not strategy.control
        and (not strategy.needs_student or cutting.scorer(strategy) is not None)
    ]


class _Students:
    """The students that score chains, each loaded once."""

    def __init__(self, cutting: Cutting, reporter: Terminal) -> None:
        self._cutting, self._reporter = cutting, reporter
        self._student_of_name: dict[str, Student | None] = {}

    def open(self, strategy: Strategy) -> Student | None:
        name = self._cutting.scorer(strategy)
        if name is None:
            return None
        if name not in self._student_of_name:
            opened = self._cutting.open_scorer(strategy, self._reporter.say)
            self._student_of_name[name] = opened
        return self._student_of_name[name]


def _row(name: str, agreement: Agreement) -> Mapping[str, Any]:
    figures = {
        key: [round(end, FIGURES_DIGITS) for end in value]
        if isinstance(value, tuple)
        else round(value, FIGURES_DIGITS)
        for key, value in asdict(agreement).items()
    }
    return {"strategy": name, **figures}


def _print_table(agreements: Mapping[str, Agreement]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("strategy")
    for heading in ("Cohen's kappa", "agreement %", "AS %"):
        table.add_column(heading, justify="right")
    for name, agreement in agreements.items():
        low, high = agreement.kappa_interval
        share_low, share_high = agreement.share_interval
        table.add_row(
            name,
            f"{agreement.kappa:.2f} [{low:.2f}, {high:.2f}]",
            f"{agreement.share:.1f} [{share_low:.1f}, {share_high:.1f}]",
            f"{agreement.abstractive:.1f}",
        )
    open_console().print(table)
