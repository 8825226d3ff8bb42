"""The verdict: a run in one sentence or a few, from its numbers alone.

It is about the arm that validation chose, and says whether the interval of its paired difference
excludes zero. It never calls a lead clear because of the arms' own intervals, which say less than
the paired test. Of arms that were trained until their plateau, `point_verdict` speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cmp_to_key

from smallsteps.experiment.results import Results
from smallsteps.report.formats import measure, number
from smallsteps.report.point_verdict import (
    answers_clause,
    few_clause,
    labels_clause,
    point_verdict,
)
from smallsteps.report.summaries import (
    ArmSummary,
    baseline,
    better,
    chosen_on_validation,
    difference_between,
    main_comparisons,
    summaries,
    tested_against,
)


@dataclass(frozen=True)
class Verdict:
    """The sentences, and whether a paired interval excludes zero."""

    first: str
    """What the run is about: of a run without points, all of it."""
    clear: bool | None
    """None: nothing was compared."""
    points: Sequence[str] = ()
    """What follows at each point, and what must be known with it."""

    @property
    def text(self) -> str:
        """All sentences in one paragraph."""
        return " ".join([self.first, *self.points])


def verdict(results: Results, *, times_compare: bool = True) -> Verdict:
    """The verdict on the arm that validation chose; where nothing was trained, on the arm with the
    best figure. Controls do not lead. `times_compare`: whether all arms were timed on one kind of
    machine; if not, times are left out."""
    at_points = point_verdict(results)
    if at_points is not None:
        (first, *points), clear = at_points
        return Verdict(first, clear, points)
    arms = [arm for arm in summaries(results) if not arm.control]
    if not arms:
        return Verdict("This run has no graded arm.", None)
    arms.sort(key=cmp_to_key(_by_value))
    best = None if results.best is None else results.best.name
    lead = next((arm for arm in arms if arm.name == best), arms[0])
    rest = [arm for arm in arms if arm is not lead]
    if not rest:
        figure = measure(lead.value, lead.metric)
        interval = f" (95 % interval {number(lead.low)} to {number(lead.high)})"
        return _verdict([f"{lead.name} reaches {figure}{interval}{_answers(lead)}."], lead, None)
    chosen = chosen_on_validation(results) == lead.name
    return _compared(results, lead, rest, chosen=chosen, timed=times_compare)


def _by_value(arm: ArmSummary, other: ArmSummary) -> int:
    """Better figures first."""
    return better(other.value, arm.value, arm.metric) - better(arm.value, other.value, arm.metric)


def _compared(
    results: Results, lead: ArmSummary, rest: list[ArmSummary], *, chosen: bool, timed: bool
) -> Verdict:
    comparisons = main_comparisons(results)
    figure = measure(lead.value, lead.metric)
    other = _other(results, lead, rest)
    if lead.value == other.value:
        names = f"{lead.name} and {other.name}"
        if len(rest) > 1 and all(arm.value == lead.value for arm in rest):
            names = f"All {len(rest) + 1} arms"
        return _verdict([f"{names} are level at {figure}{_answers(lead)}."], lead, False)
    start = f"{lead.name} leads with {figure}"
    if chosen:
        untrained = "" if lead.train_tokens else "not trained and "
        start = f"{lead.name}, {untrained}best on validation, reaches {figure} on the test set"
    difference = difference_between(comparisons, lead.name, other.name)
    if difference is None:
        text = f"{start}; no paired test against {other.name} was made."
        return _verdict([text], lead, None)
    side = "above" if difference.value > 0 else "below"
    gap = f"{number(abs(difference.value))} points {side} {other.name}"
    interval = (
        f"95 % interval {number(difference.low, sign=True)} to {number(difference.high, sign=True)}"
    )
    time = answers_clause(lead, other) if timed else ""
    if difference.clear:
        text = f"{start}, {gap}. The {interval} excludes zero."
        return _verdict([text, _one_seed(lead), time], lead, True)
    unclear = f"but the {interval} includes zero: these answers do not tell the two apart."
    return _verdict([f"{start}, {gap}, {unclear}", _one_seed(lead), time], lead, False)


def _one_seed(lead: ArmSummary) -> str:
    """What an interval over questions leaves out; empty where the arm has several seeds or learns
    nothing."""
    if len(lead.seeds) > 1 or not lead.train_tokens:
        return ""
    return "It is one seed; another may move an arm further than this interval says."


def _verdict(sentences: list[str], lead: ArmSummary, clear: bool | None) -> Verdict:
    clauses = [*sentences, labels_clause(lead.name), few_clause(lead.n)]
    return Verdict(" ".join(filter(None, clauses)), clear)


def _other(results: Results, lead: ArmSummary, rest: list[ArmSummary]) -> ArmSummary:
    """The arm that the lead is compared with: the baseline; in a sweep the arm that it was tested
    against; where it is the baseline itself, the next best arm."""
    base = baseline(results)
    by_name = {arm.name: arm for arm in rest}
    if base in by_name:
        tested = tested_against(main_comparisons(results), lead.name)
        names = [base, *tested] if base in tested else [*tested, base]
        return next(by_name[name] for name in names if name in by_name)
    return rest[0]


def _answers(arm: ArmSummary) -> str:
    seeds = f", {len(arm.seeds)} seeds" if len(arm.seeds) > 1 else ""
    return f" on {arm.n:,} answers{seeds}"
