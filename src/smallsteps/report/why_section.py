"""The page's section on why arms are right or wrong: accuracy step by step, diversity of right
chains, accuracy by regularity.

Its data: `Results.why`. What could not be measured is said in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from smallsteps.evaluation.regularity import EDGES
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import Results
from smallsteps.experiment.why_results import ArmWhy, RegularityResult, StepResult, WhyResults
from smallsteps.report import figures
from smallsteps.report.formats import number
from smallsteps.report.summaries import baseline, summaries

MOST_ARMS = 12
"""Arms that are shown; more, as in a sweep, would hide each other."""
PERCENT = (0.0, 100.0)
BIN_TITLES = ("below 50 %", "50 to 75 %", "75 % and more", "all")
"""Bins of regularity, by their place in `EDGES`."""


class StepRow(NamedTuple):
    """One row of the table of steps."""

    arm: str
    first: bool
    """Whether it is the arm's first row."""
    step: str
    result: StepResult
    gold_bar: Markup
    free_bar: Markup


def why_section(results: Results, colours: Mapping[str, int]) -> dict[str, Any]:
    """What `section-why.html` shows; empty where nothing was measured."""
    if results.why is None:
        return {}
    why = results.why.model_copy(update={"arms": shown_arms(results, results.why)})
    if not any(arm.steps or arm.diversity or arm.regularity for arm in why.arms):
        return {}
    return {
        "facts": why,
        "said": most_lost(why),
        "missing": missing(results, results.why),
        "left_out": len(results.why.arms) - len(why.arms),
        "steps": [row for arm in why.arms for row in _step_rows(arm, colours)],
        "on_gold": any(step.gold_prefix for arm in why.arms for step in arm.steps),
        "charts": _charts(why, colours),
        "diversity": _diversity_rows(results, why),
        "columns": {
            name: any(getattr(arm.diversity, name, None) is not None for arm in why.arms)
            for name in ("differing", "bleu_right", "bleu_wrong", "distinct")
        },
        "regularity": [
            table for of in ("written", "gold") if (table := _regularity_table(why, of))
        ],
        "unmeasured": sum(arm.unmeasured for arm in why.arms),
        "seconds": sum(arm.seconds for arm in why.arms),
    }


def shown_arms(results: Results, why: WhyResults) -> list[ArmWhy]:
    """All arms; of more than `MOST_ARMS` the baseline and the best others, in their order."""
    first = baseline(results)
    scores = {arm.name: arm.value for arm in summaries(results)}
    ranked = sorted(why.arms, key=lambda arm: (arm.name != first, -scores[arm.name]))
    kept = {arm.name for arm in ranked[:MOST_ARMS]}
    return [arm for arm in why.arms if arm.name in kept]


# ---- error accumulation ----


def step_name(step: StepResult) -> str:
    """The step as the table names it: "2", or "5+" where later steps are pooled."""
    return f"{step.first}" if step.first == step.last else f"{step.first}+"


def most_lost(why: WhyResults) -> str:
    """The sentence above the table: where a student's own errors cost it most, if they cost it
    anything beyond chance."""
    rows = [
        (arm.name, step, step.lost)
        for arm in why.arms
        for step in arm.steps
        if step.lost is not None
    ]
    if not rows:
        return ""
    clear = [row for row in rows if row[2].low > 0]
    if not clear:
        return (
            "Errors do not accumulate measurably: no arm does better at any step after the gold "
            "steps before it than after its own."
        )
    name, step, lost = max(clear, key=lambda row: row[2].value)
    assert step.gold_prefix is not None, "what was lost was measured on it"
    return (
        f"Errors accumulate most in {name}: step {step_name(step)} is right in "
        f"{number(step.gold_prefix.value)} % of chains after gold steps, and in "
        f"{number(step.free_running.value)} % after the student's own: {number(lost.value)} points "
        f"[{number(lost.low)}, {number(lost.high)}] are lost to earlier errors."
    )


def _step_rows(arm: ArmWhy, colours: Mapping[str, int]) -> list[StepRow]:
    def bar(figure: Figure | None) -> Markup:
        if figure is None:
            return Markup("")
        interval = (figure.value, figure.low, figure.high)
        return figures.interval_bar(*interval, PERCENT, colour=colours[arm.name])

    return [
        StepRow(
            arm.name,
            place == 0,
            step_name(step),
            step,
            bar(step.gold_prefix),
            bar(step.free_running),
        )
        for place, step in enumerate(arm.steps)
    ]


def _charts(why: WhyResults, colours: Mapping[str, int]) -> list[Markup]:
    """Accuracy against the step, on gold prefixes and free-running, both from zero to the same
    height."""
    given: list[figures.Series] = []
    free: list[figures.Series] = []
    for arm in why.arms:
        lines = [
            [(step.first, step.gold_prefix.value) for step in arm.steps if step.gold_prefix],
            [(step.first, step.free_running.value) for step in arm.steps],
        ]
        for chart, points in zip((given, free), lines, strict=True):
            chart.append(figures.Series(arm.name, colours[arm.name], points))
    labels = ("Step right after gold steps (%)", "Step right after the student's own steps (%)")
    charts = [
        figures.line_chart(series, "step", label, zero=True)
        for series, label in zip((given, free), labels, strict=True)
    ]
    return [chart for chart in charts if chart]


# ---- diversity ----


def _diversity_rows(results: Results, why: WhyResults) -> list[dict[str, Any]]:
    """One row for each arm whose chains can be compared with gold chains."""
    scores = {arm.name: arm for arm in summaries(results)}
    return [
        {"name": arm.name, "score": scores[arm.name], "diversity": arm.diversity}
        for arm in why.arms
        if arm.diversity
    ]


# ---- regularity ----


def _regularity_table(why: WhyResults, of: str) -> dict[str, Any]:
    """Arms against bins; bins that no arm has are left out."""
    by_arm: dict[str, dict[float, RegularityResult]] = {}
    for arm in why.arms:
        for row in arm.regularity:
            if row.of == of:
                by_arm.setdefault(arm.name, {})[row.low] = row
    filled = [edge for edge in EDGES if any(edge in bins for bins in by_arm.values())]
    titles = dict(zip(EDGES, BIN_TITLES, strict=True))
    return (
        {
            "of": of,
            "bins": [titles[edge] for edge in filled],
            "rows": [(name, [bins.get(edge) for edge in filled]) for name, bins in by_arm.items()],
        }
        if filled
        else {}
    )


# ---- what is missing ----


def missing(results: Results, why: WhyResults) -> str:
    """One line on what could not be measured, and why; empty: everything was."""
    lines = []
    judged = [arm for arm in why.arms if arm.regularity]
    if not why.gold_chains:
        lines.append("steps and diversity (the test problems have no gold chains)")
    elif not why.step_chains:
        lines.append("steps (no gold chain states an equation)")
    elif not why.why_problems:
        lines.append("accuracy on gold prefixes (evaluation.why_problems is 0)")
    elif without := [arm.name for arm in why.arms if not any(s.gold_prefix for s in arm.steps)]:
        lines.append(f"accuracy on gold prefixes of {', '.join(without)} (no student was trained)")
    if not judged:
        lines.append("diversity and regularity (answers of this task are not right or wrong)")
    shown = {arm.name for arm in why.arms}
    others = dict.fromkeys(arm.name for arm in results.arms if arm.name not in shown)
    if others:
        lines.append(f"{', '.join(others)} (they write no chains of their own)")
    return f"Not shown: {'; '.join(lines)}." if lines else ""
