"""The page's section on tailored learning: the rounds, and what became of each training question.

Its data: `methods.tailored.results`, and the rows `fates` of each arm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from smallsteps.methods.tailored.results import RoundResult, TailoredResults
from smallsteps.report.columns import Column, Table, arm_and_seed, with_interval
from smallsteps.report.formats import amount, number
from smallsteps.report.run import ShownArm, ShownRun, first_seed
from smallsteps.report.samples import some_of_each_kind

MOST_QUESTIONS = 20
"""Questions of an arm whose rationales are shown."""


def tailored_section(run: ShownRun) -> dict[str, Any]:
    """What `section-rounds.html` shows; empty where the run has no rounds."""
    tailored = run.results.methods.get("tailored")
    if not isinstance(tailored, TailoredResults):
        return {}
    return {
        "table": _rounds_table(tailored.rounds),
        "equal": tailored.equal,
        "fates": [_fates(arm) for arm in first_seed(run, "fates")],
    }


def _rounds_table(rows: Sequence[RoundResult]) -> Table:
    """One row for each student; the arm is named at its first."""

    def later(row: RoundResult, value: int) -> str:
        return "–" if row.round == 0 else str(value)

    columns = [
        Column.of("round", rows, lambda row: str(row.round)),
        Column.of("exam %", rows, lambda row: number(row.exam)),
        Column.of("unknown %", rows, lambda row: number(row.unknown)),
        Column.of("validation, 95 %", rows, lambda row: with_interval(row.validation)),
        Column.of("test, 95 %", rows, lambda row: with_interval(row.test)),
        Column.of(
            "questions with a mistake", rows, lambda row: f"{row.mistakes} of {row.questions}"
        ),
        Column.of("repaired", rows, lambda row: later(row, row.repaired)),
        Column.of("broken", rows, lambda row: later(row, row.broken)),
        Column.of(
            "rationales bought, kept",
            rows,
            lambda row: f"{row.calls}, {row.kept}" if row.calls else "–",
        ),
        Column.of(
            "teacher tokens", rows, lambda row: amount(row.teacher_tokens) if row.calls else "–"
        ),
        Column.of(
            "anchor tokens", rows, lambda row: amount(row.train_tokens) if row.train_tokens else "–"
        ),
        Column.of(
            "all tokens", rows, lambda row: amount(row.all_tokens) if row.all_tokens else "–"
        ),
        Column.of("usable for the contrast %", rows, lambda row: number(row.usable)),
    ]
    starts = [row.round == 0 for row in rows]
    headers = [arm_and_seed(row.arm, row.seed) if row.round == 0 else "" for row in rows]
    return Table("Rounds", headers, columns, starts=starts).filled()


def _fates(arm: ShownArm) -> dict[str, Any]:
    """How many questions took each course of mistakes over the exams, and some questions with what
    the teacher wrote to their mistakes."""
    fates = arm.details["fates"]
    explained = [row for row in fates if any(r.get("mistake") for r in row["rationales"])]
    return {
        "name": arm.name,
        "seed": arm.seed,
        "patterns": Counter(tuple(row["mistaken"]) for row in fates).most_common(),
        "shown": some_of_each_kind(explained, lambda row: tuple(row["mistaken"]), MOST_QUESTIONS),
        "explained": len(explained),
    }
