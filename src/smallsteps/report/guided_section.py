"""The page's section on LM-guided chain of thought: what each arm changed and cost, refinement, and
what the reader was given.

Its data: `methods.guided.results`, and the rows `guided` and `refined` of each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from smallsteps.methods.guided.results import (
    GuidanceResult,
    GuidedResults,
    JudgeResult,
    RefinementResult,
)
from smallsteps.records import Problem
from smallsteps.report import figures
from smallsteps.report.charts import means
from smallsteps.report.columns import Column, Table, arm_and_seed, change
from smallsteps.report.formats import is_number, number
from smallsteps.report.run import Row, ShownArm, ShownRun, first_seed
from smallsteps.report.samples import some_of_each_kind

SHOWN_ARMS = ("untrained", "distilled", "aspects", "task", "both", "raft", "dpo")
"""Arms whose rationales are shown: those of one student, with one rationale a question."""
MOST_QUESTIONS = 12
"""Questions of an arm that are shown."""
MOST_CONTEXT = 2_000
"""Characters of a context that are shown."""
MOST_POINTS = 25
"""Points of a curve of rewards, which differ from step to step by chance."""
GAUGES = {
    "reward": "reward",
    "no_signal": "groups without signal",
    "kl": "KL a token",
    "entropy": "entropy a token",
    "reward_leak": "says the answer",
    "reward_copy": "longest copy",
    "reward_words": "words",
}
"""Gauge of a refinement → its name on the page."""
DRAWN = ("reward", "no_signal", "kl")
"""Gauges that have a chart."""


def guided_section(run: ShownRun, colours: Mapping[str, int]) -> dict[str, Any]:
    """What `section-guided.html` shows; empty where the run has no guided arms."""
    guided = run.results.methods.get("guided")
    if not isinstance(guided, GuidedResults):
        return {}
    aspects = list(dict.fromkeys(name for row in guided.guidance for name in row.quality or {}))
    problems = {problem.id: problem for problem in run.problems}
    return {
        "reader": guided.reader,
        "yields": guided.yields,
        "from_data": guided.rationales == "data",
        "guidance": _guidance_table(guided.guidance),
        "quality": _quality_table(guided.guidance, aspects),
        "judge": _judge_table(guided.judge),
        "refined": guided.refinement,
        "refinement": _refinement_table(guided.refinement),
        "charts": _charts(run, colours),
        "shown": [
            _questions(arm, problems, aspects)
            for arm in first_seed(run, "guided")
            if arm.name.removeprefix("guided-") in SHOWN_ARMS
        ],
    }


def _guidance_table(rows: Sequence[GuidanceResult]) -> Table:
    """What the rationales of each arm changed, and what they cost."""

    def turned(way: str) -> Column:
        label = way.replace("->", " → ")
        return Column.of(label, rows, lambda row: str(row.turned[way]) if row.turned else "–")

    ways = ("wrong->right", "right->wrong", "right->right", "wrong->wrong")
    columns = [
        *map(turned, ways),
        Column.of("small model, tokens", rows, lambda row: number(row.small_tokens)),
        Column.of("reader, tokens", rows, lambda row: number(row.large_tokens)),
        Column.of("small model, s", rows, lambda row: number(row.small_seconds, 3)),
        Column.of("reader, s", rows, lambda row: number(row.large_seconds, 3)),
    ]
    headers = [arm_and_seed(row.arm, row.seed) for row in rows]
    return Table("Guidance", headers, columns).filled()


def _quality_table(rows: Sequence[GuidanceResult], aspects: Sequence[str]) -> Table | None:
    """The quality of the rationales of each arm that has any; None where no arm has."""
    rated = [row for row in rows if row.quality]
    if not rated:
        return None

    def aspect(name: str) -> Column:
        return Column.of(name, rated, lambda row: number((row.quality or {}).get(name), 2))

    correlation = Column.of(
        "quality and right answers", rated, lambda row: number(row.correlation, 2, True)
    )
    headers = [arm_and_seed(row.arm, row.seed) for row in rated]
    return Table("Quality", headers, [*map(aspect, aspects), correlation]).filled()


def _judge_table(rows: Sequence[JudgeResult]) -> Table | None:
    if not rows:
        return None
    columns = [
        Column.of("perturbation", rows, lambda row: row.perturbation),
        Column.of("judge", rows, lambda row: row.judge),
        Column.of("AUC", rows, lambda row: number(row.auc, 2)),
        Column.of("rationales", rows, lambda row: str(row.n)),
    ]
    return Table("Judge", [row.aspect for row in rows], columns, first_header="Aspect", small=True)


def _refinement_table(rows: Sequence[RefinementResult]) -> Table | None:
    """Each gauge at the start and at the end of the refinement."""
    if not rows:
        return None

    def gauge(name: str, label: str) -> Column:
        return Column.of(
            label, rows, lambda row: change(row.first.get(name), row.last.get(name), 3)
        )

    columns = [
        Column.of("steps", rows, lambda row: str(row.steps)),
        Column.of(
            "kept",
            rows,
            lambda row: f"after {row.update}" if row.update else "the distilled student",
        ),
        *(gauge(name, label) for name, label in _gauges(rows).items()),
    ]
    headers = [arm_and_seed(row.arm, row.seed) for row in rows]
    return Table("Refinement", headers, columns).filled()


def _questions(
    arm: ShownArm, problems: Mapping[str, Problem], aspects: Sequence[str]
) -> dict[str, Any]:
    """Some questions of an arm, with the rationale and the answers without and with it."""
    rows = arm.details["guided"]
    items = []
    for row in some_of_each_kind(rows, _course, MOST_QUESTIONS):
        problem = problems[row["problem_id"]]
        context = " ".join(" ".join(sentences) for _, sentences in problem.context)
        quality = row.get("quality") or {}
        items.append(
            {
                **row,
                "question": problem.question,
                "gold": problem.answer,
                "context": context[:MOST_CONTEXT],
                "quality": [(name, quality.get(name)) for name in aspects],
            }
        )
    return {"name": arm.name, "seed": arm.seed, "count": len(rows), "items": items}


def _course(row: Row) -> tuple[bool, bool]:
    return row["right_without"], row["right"]


def _gauges(refinements: Sequence[RefinementResult]) -> dict[str, str]:
    """The gauges that were measured, and the share of each term of the reward in the variance of
    the advantages → their names on the page."""
    measured = dict.fromkeys(name for row in refinements for name in row.last)
    shares = {
        name: f"{name.removeprefix('share_')}, share"
        for name in measured
        if name.startswith("share_")
    }
    return {name: label for name, label in {**GAUGES, **shares}.items() if name in measured}


def _charts(run: ShownRun, colours: Mapping[str, int]) -> list[Markup]:
    """Reward, lack of signal and KL over the steps of reinforcement learning."""
    refined = [arm for arm in run.arms if arm.details.get("refined")]
    steps = max((len(arm.details["refined"]) for arm in refined), default=0)
    block = max(1, steps // MOST_POINTS)
    suffix = f", means of {block} steps" if block > 1 else ""
    charts = []
    for gauge in DRAWN:
        series = []
        for arm in refined:
            rows = [row for row in arm.details["refined"] if is_number(row.get(gauge))]
            points = means([(row["update"], row[gauge]) for row in rows], block)
            name = f"{arm.name}, seed {arm.seed}"
            series.append(figures.Series(name, colours[arm.name], points))
        label = GAUGES[gauge][0].upper() + GAUGES[gauge][1:]
        charts.append(figures.line_chart(series, "steps", label + suffix))
    return [chart for chart in charts if chart]
