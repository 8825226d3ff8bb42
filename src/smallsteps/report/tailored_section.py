"""The page's section on tailored learning: the rounds, and what became of each training question.

Its data: `methods.tailored.results`, and the rows `fates` of each arm."""

from __future__ import annotations

from collections import Counter
from typing import Any

from smallsteps.methods.tailored.results import TailoredResults
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
        "rows": tailored.rounds,
        "equal": tailored.equal,
        "fates": [_fates(arm) for arm in first_seed(run, "fates")],
    }


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
