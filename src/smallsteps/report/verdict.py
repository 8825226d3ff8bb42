"""The verdict: a run in one sentence, from its numbers alone.

It is about the arm that validation chose, and says whether the interval of its paired difference
excludes zero. It never calls a lead clear because of the arms' own intervals, which say less than
the paired test."""

from __future__ import annotations

from dataclasses import dataclass

from smallsteps.evaluation.metrics import METRICS
from smallsteps.experiment.results import ComparisonResult, Results
from smallsteps.report.formats import measure, number
from smallsteps.report.summaries import (
    ArmSummary,
    baseline,
    excludes_zero,
    main_comparisons,
    summaries,
)


@dataclass(frozen=True)
class Verdict:
    """The sentence, and whether a paired interval excludes zero."""

    text: str
    clear: bool | None
    """None: nothing was compared."""


def verdict(results: Results) -> Verdict:
    """The verdict on the arm that validation chose; where nothing was trained, on the arm with the
    best figure. Controls and ceilings do not lead."""
    arms = [arm for arm in summaries(results) if not arm.control]
    if not arms:
        return Verdict("This run has no graded arm.", None)
    arms.sort(key=lambda arm: arm.value, reverse=not _lower_is_better(arms[0].metric))
    best = None if results.best is None else results.best.name
    lead = next((arm for arm in arms if arm.name == best), arms[0])
    figure = measure(lead.value, lead.metric)
    rest = [arm for arm in arms if arm is not lead]
    if not rest:
        interval = f" (95 % interval {number(lead.low)} to {number(lead.high)})"
        return Verdict(f"{lead.name} reaches {figure}{interval}{_answers(lead)}.", None)
    base = baseline(results)
    other = next((arm for arm in rest if arm.name == base), rest[0])
    if lead.value == other.value:
        names = f"{lead.name} and {other.name}"
        if len(rest) > 1 and all(arm.value == lead.value for arm in rest):
            names = f"All {len(rest) + 1} arms"
        text = f"{names} are level at {figure}{_answers(lead)}."
        return Verdict(text, False)
    start = f"{lead.name} leads with {figure}"
    if lead.name == best:
        start = f"{lead.name}, best on validation, reaches {figure} on the test set"
    difference = _difference(main_comparisons(results), lead.name, other.name)
    if difference is None:
        return Verdict(f"{start}; no paired test against {other.name} was made.", None)
    side = "above" if difference.value > 0 else "below"
    gap = f"{number(abs(difference.value))} points {side} {other.name}"
    interval = (
        f"95 % interval {number(difference.low, sign=True)} to {number(difference.high, sign=True)}"
    )
    if difference.clear:
        return Verdict(f"{start}, {gap}. The {interval} excludes zero.", True)
    unclear = f"but the {interval} includes zero: this run does not tell the two apart."
    return Verdict(f"{start}, {gap}, {unclear}", False)


def _lower_is_better(metric: str) -> bool:
    return metric in METRICS and METRICS[metric].lower_is_better


@dataclass(frozen=True)
class _Difference:
    """A paired difference, first arm minus second."""

    value: float
    low: float
    high: float
    clear: bool


def _difference(comparisons: list[ComparisonResult], first: str, second: str) -> _Difference | None:
    """The tested difference of two arms; its sign is turned where the test was made the other way
    round. None: the two were not tested."""
    for test in comparisons:
        clear = excludes_zero(test)
        if (test.arm, test.against) == (first, second):
            return _Difference(test.difference, test.low, test.high, clear)
        if (test.arm, test.against) == (second, first):
            return _Difference(-test.difference, -test.high, -test.low, clear)
    return None


def _answers(arm: ArmSummary) -> str:
    seeds = f", {len(arm.seeds)} seeds" if len(arm.seeds) > 1 else ""
    return f" on {arm.n:,} answers{seeds}"
