"""The table of a run whose arms were trained until their plateau: each arm at three points of its
way, and what the search for its learning rate tried. Page and terminal read the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, get_args

from smallsteps.experiment.results import RateResult, Results
from smallsteps.experiment.score_results import ComparisonResult, Point, PointResult
from smallsteps.report.formats import amount, number
from smallsteps.report.summaries import ArmSummary, baseline, main_comparisons, summaries

POINTS: tuple[Point, ...] = get_args(Point)


@dataclass(frozen=True)
class PointCell:
    """An arm at one point."""

    value: float
    low: float
    high: float
    tokens: float | None
    """Of the checkpoint; None: nothing was trained."""
    passes: float | None
    seconds: float | None
    against: ComparisonResult | None
    """Its paired test with the baseline; None: it is the baseline, or was not tested."""


@dataclass(frozen=True)
class PointRow:
    """An arm at all points."""

    name: str
    control: bool
    cells: Mapping[Point, PointCell]
    """Without the points that the arm has no figure for."""
    unreached: int
    """Seeds that came to the cap before a plateau."""
    seeds: int
    seconds_per_answer: float
    against: str | None
    """The arm that its differences are from; None: it was not tested."""
    ratio: float | None
    """Its seconds per answer as a multiple of that arm's; None: it was not tested."""


def point_rows(results: Results) -> list[PointRow]:
    """One row an arm, in the order of the results; empty where no arm was trained until its
    plateau. An arm that trains nothing stands at `plateau` only."""
    if not results.points:
        return []
    arms = summaries(results)
    seconds = {arm.name: arm.seconds_per_answer for arm in arms}
    points = {(point.name, point.point): point for point in results.points}
    tests = {(test.arm, test.point): test for test in results.point_comparisons}
    rows = []
    for arm in arms:
        cells = {
            point: _cell(points[arm.name, point], tests.get((arm.name, point)))
            for point in POINTS
            if (arm.name, point) in points
        }
        if not cells:
            cells = {"plateau": _untrained(arm, results)}
        against = next((cell.against.against for cell in cells.values() if cell.against), None)
        ratio = arm.seconds_per_answer / seconds[against] if against and seconds[against] else None
        rows.append(
            PointRow(
                name=arm.name,
                control=arm.control,
                cells=cells,
                unreached=sum(seed.plateau is False for seed in arm.seeds),
                seeds=len(arm.seeds),
                seconds_per_answer=arm.seconds_per_answer,
                against=against,
                ratio=ratio,
            )
        )
    return rows


def _cell(point: PointResult, test: ComparisonResult | None) -> PointCell:
    trained = point.tokens > 0
    return PointCell(
        value=point.value,
        low=point.low,
        high=point.high,
        tokens=point.tokens if trained else None,
        passes=point.passes if trained else None,
        seconds=point.seconds if trained else None,
        against=test,
    )


def _untrained(arm: ArmSummary, results: Results) -> PointCell:
    base = baseline(results)
    tests = [
        test for test in main_comparisons(results) if (test.arm, test.against) == (arm.name, base)
    ]
    return PointCell(
        value=arm.value,
        low=arm.low,
        high=arm.high,
        tokens=arm.train_tokens,
        passes=arm.passes,
        seconds=arm.seconds,
        against=tests[0] if tests else None,
    )


def point_titles(results: Results) -> dict[Point, str]:
    """The points that the run has → what they are, with their cost."""
    budget, passes = results.budget.smallest_plateau, results.budget.equal_passes
    titles: dict[Point, str] = {
        "budget": "small budget" + (f", {amount(budget)} tokens" if budget else ""),
        "plateau": "trained to the plateau",
        "passes": "equal passes" + (f", {number(passes)}" if passes else ""),
    }
    known = {point.point for point in results.points}
    return {point: titles[point] for point in POINTS if point in known}


def points_section(results: Results) -> dict[str, Any]:
    """What `section-points.html` shows; empty where no arm was trained until its plateau."""
    rows = point_rows(results)
    if not rows:
        return {}
    titles = point_titles(results)
    known = {
        "budget": "small budget",
        "plateau": "trained to the plateau",
        "passes": "equal passes",
    }
    return {
        "title": "On the test problems: " + ", ".join(known[point] for point in titles),
        "rows": rows,
        "titles": titles,
        "baselines": list(dict.fromkeys(row.against for row in rows if row.against)),
        "capped": [row for row in rows if row.unreached],
    }


# ---- the search for learning rates ----


@dataclass(frozen=True)
class SearchRow:
    """What the search for the learning rate of an arm tried at one seed."""

    name: str
    seed: int
    tried: Mapping[float, RateResult]
    chosen: float | None
    tokens: int
    """Of the search alone."""
    seconds: float


def search_rows(results: Results) -> list[SearchRow]:
    """One row for each arm and seed that searched."""
    return [
        SearchRow(
            name=arm.name,
            seed=arm.seed,
            tried={rate.learning_rate: rate for rate in arm.search},
            chosen=arm.learning_rate,
            tokens=sum(rate.tokens for rate in arm.search),
            seconds=sum(rate.seconds for rate in arm.search),
        )
        for arm in results.arms
        if arm.search
    ]


def search_section(results: Results) -> dict[str, Any]:
    """What `section-search.html` shows; empty where the recipe names one learning rate."""
    rows = search_rows(results)
    if not rows:
        return {}
    return {
        "rows": rows,
        "rates": sorted({rate for row in rows for rate in row.tried}),
        "seeds": len({row.seed for row in rows}),
    }


def validation_of(results: Results, name: str) -> float:
    """The mean validation figure of an arm over its seeds; minus infinity where it is unknown."""
    known = [arm.validation for arm in results.arms if arm.name == name]
    return fmean(float("-inf") if value is None else value for value in known)
