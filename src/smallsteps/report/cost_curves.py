"""The data of a run's main figure: the metric on validation against what training has cost.

Each arm has one line: its best evaluation so far. That is the checkpoint of a user who stops there,
and the one that the run would grade on the test problems. Over several seeds the line is the mean.
An arm that trains nothing is a level. There is one figure for each way to count cost: tokens,
seconds, passes. `cost_figure` and `terminal_figure` draw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

from smallsteps.experiment.results import ArmResult, Results
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.report.summaries import arm_names, baseline
from smallsteps.report.sweeps import arm_colours, with_most_chains

Cost = Literal["tokens", "seconds", "passes"]
COSTS: tuple[Cost, ...] = ("tokens", "seconds", "passes")
Points = list[tuple[float, float]]
"""(cost, metric on validation), by rising cost."""

MOST_LINES = 12
"""Trained arms in the figure; of more, the best on validation."""
SHORTEST_LEAD = 0.03
"""Share of the axis over which an arm must lead to be named."""


@dataclass(frozen=True)
class CostLine:
    """A trained arm."""

    name: str
    colour: int
    control: bool
    measured: Sequence[Points]
    """The evaluations of each seed; one at cost 0 is that of the untrained student."""
    best: Points
    """Best evaluation so far; mean over the seeds."""
    lowest: Points
    """That of the seed that is lowest there; empty with one seed."""
    highest: Points
    """That of the seed that is highest there; empty with one seed."""
    chosen: tuple[float, float]
    """The checkpoint that validation chose: from here on the line is level. Over several seeds:
    where all of them have their best."""
    plateau: bool | None
    """Whether every seed reached its plateau; None: training was not to go that far."""

    @property
    def end(self) -> tuple[float, float]:
        """Where training ended."""
        return self.best[-1]

    @property
    def height(self) -> float:
        """The figure at the end."""
        return self.best[-1][1]

    def at(self, cost: float) -> float | None:
        """The figure that this cost buys; None: no checkpoint yet. What was trained stays."""
        return interpolated(self.best, cost)


@dataclass(frozen=True)
class Level:
    """An arm that trains nothing: the same figure at any cost."""

    name: str
    colour: int
    control: bool
    value: float

    @property
    def height(self) -> float:
        """The figure."""
        return self.value

    def at(self, cost: float) -> float | None:
        """The figure, whatever the cost."""
        return self.value


@dataclass(frozen=True)
class Lead:
    """From this cost on, the line of this arm is the highest."""

    cost: float
    value: float
    name: str


@dataclass(frozen=True)
class CostFigure:
    """The lines of all arms over one kind of cost."""

    cost: Cost
    metric: str
    lines: Sequence[CostLine]
    levels: Sequence[Level]
    left_out: Sequence[str]
    """Trained arms beyond MOST_LINES."""
    fewer_chains: int
    """Arms of a sweep that learnt from fewer chains than the ones shown."""
    unmeasured: Sequence[str]
    """Arms without a figure on validation at this kind of cost."""

    @property
    def seeds(self) -> int:
        """The most seeds that an arm has."""
        return max(len(line.measured) for line in self.lines)

    def leads(self) -> list[Lead]:
        """Which line is the highest, from left to right. Of equals the earlier leader stays, then
        the earlier arm. Controls are passed over, as no user can have them, and so are leads over
        less than SHORTEST_LEAD of the axis, which are noise. Nobody leads as long as all are
        level."""
        arms: list[CostLine | Level] = [*self.levels, *self.lines]
        rivals = {arm.name: arm for arm in arms if not arm.control}
        grid = sorted({0.0, *(x for line in self.lines for x, _ in line.best)})
        leads: list[Lead] = []
        for before, x in pairwise([grid[0], *grid]):
            values = {name: y for name, arm in rivals.items() if (y := arm.at(x)) is not None}
            if not values:
                continue
            top = max(values.values())
            if (
                len(values) > 1
                and top == min(values.values())
                and {top} >= {lead.value for lead in leads}
            ):
                leads.clear()  # all have been level so far
                continue
            if leads and values[leads[-1].name] == top:
                continue
            name = next(name for name, value in values.items() if value == top)
            place = _crossing(rivals[leads[-1].name], rivals[name], before, x) if leads else x
            value = rivals[name].at(place)
            leads.append(Lead(place, top if value is None else value, name))
        return _lasting(leads, grid[-1]) if leads else []


def _lasting(leads: Sequence[Lead], last: float) -> list[Lead]:
    """The leads without short ones, and without the return of who led before such a one."""
    ends = [*(lead.cost for lead in leads[1:]), last]
    lasting: list[Lead] = []
    for lead, end in zip(leads, ends, strict=True):
        is_last = lead is leads[-1]
        if (end - lead.cost >= SHORTEST_LEAD * last or is_last) and (
            not lasting or lasting[-1].name != lead.name
        ):
            lasting.append(lead)
    return lasting


def cost_figures(results: Results) -> list[CostFigure]:
    """One figure for each kind of cost that a trained arm knows; empty where no arm was measured on
    validation more than once while it trained."""
    figures = [_cost_figure(results, cost) for cost in COSTS]
    return [
        figure
        for figure in figures
        if any(len(points) > 1 for line in figure.lines for points in line.measured)
    ]


def _cost_figure(results: Results, cost: Cost) -> CostFigure:
    colours = arm_colours(results)
    shown = with_most_chains(arm_names(results))
    lines: list[CostLine] = []
    levels: list[Level] = []
    unmeasured = []
    for name in shown:
        seeds = [arm for arm in results.arms if arm.name == name]
        control = seeds[0].control
        measured = [points for arm in seeds if (points := _evaluations(results, arm, cost))]
        validation = [arm.validation for arm in seeds if arm.validation is not None]
        if measured:
            line = _line(name, colours[name], control, measured, [arm.plateau for arm in seeds])
            lines.append(line)
        elif validation and all(arm.train_tokens is None for arm in seeds):
            levels.append(Level(name, colours[name], control, fmean(validation)))
        else:
            unmeasured.append(name)
    ranked = sorted(lines, key=lambda line: (line.name != baseline(results), -line.end[1]))
    left_out = {line.name for line in ranked[MOST_LINES:]}
    return CostFigure(
        cost=cost,
        metric=results.arms[0].metric if results.arms else "score",
        lines=[line for line in lines if line.name not in left_out],
        levels=levels,
        left_out=[line.name for line in lines if line.name in left_out],
        fewer_chains=len(arm_names(results)) - len(shown),
        unmeasured=unmeasured,
    )


def _evaluations(results: Results, arm: ArmResult, cost: Cost) -> Points:
    """The evaluations of an arm at a seed: of its one training, or of its rounds."""
    points = [
        (float(getattr(point, cost)), point.validation)
        for point in arm.curve
        if point.validation is not None
    ]
    if not points and cost == "tokens":
        points = list(_rounds(results, arm))
    if not points and arm.validation is not None:
        total = {"tokens": arm.train_tokens, "seconds": arm.seconds, "passes": arm.passes}[cost]
        points = [] if total is None else [(float(total), arm.validation)]
    return points


def _rounds(results: Results, arm: ArmResult) -> Iterator[tuple[float, float]]:
    """The students of tailored learning, the untrained one first."""
    tailored = results.methods.get("tailored")
    tokens = 0
    for row in tailored.rounds if isinstance(tailored, TailoredResults) else ():
        if (row.arm, row.seed) == (arm.name, arm.seed):
            tokens += row.train_tokens
            yield float(tokens), row.validation.value


def _line(
    name: str,
    colour: int,
    control: bool,
    measured: Sequence[Points],
    plateaus: Sequence[bool | None],
) -> CostLine:
    best = [_best_so_far(points) for points in measured]
    start = max(points[0][0] for points in best)
    grid = sorted({x for points in best for x, _ in points if x >= start})
    values = [[interpolated(points, x) or 0.0 for points in best] for x in grid]
    several = len(measured) > 1
    line = [(x, fmean(ys)) for x, ys in zip(grid, values, strict=True)]
    known = [plateau for plateau in plateaus if plateau is not None]
    return CostLine(
        name=name,
        colour=colour,
        control=control,
        measured=measured,
        best=line,
        lowest=[(x, min(ys)) for x, ys in zip(grid, values, strict=True)] if several else [],
        highest=[(x, max(ys)) for x, ys in zip(grid, values, strict=True)] if several else [],
        chosen=next(point for point in line if point[1] == line[-1][1]),
        plateau=all(known) if known else None,
    )


def _best_so_far(points: Points) -> Points:
    """The untrained student's point as it is, then the best of the evaluations of trained ones."""
    best: Points = []
    highest = float("-inf")
    for cost, value in points:
        if cost > 0:
            highest = max(highest, value)
        best.append((cost, highest if cost > 0 else value))
    return best


def interpolated(points: Points, x: float) -> float | None:
    """The height of a line at `x`; None before its start, its last height after its end.

    >>> interpolated([(1.0, 10.0), (3.0, 20.0)], 2.0), interpolated([(1.0, 10.0)], 0.5)
    (15.0, None)
    """
    if x < points[0][0]:
        return None
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return y1 if x1 == x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return points[-1][1]


def _crossing(old: CostLine | Level, new: CostLine | Level, start: float, end: float) -> float:
    """Where between `start` and `end` the new line passes the old one; both are straight there.
    `end` where the new line begins later than `start`."""
    behind, ahead = _lead_of(new, old, start), _lead_of(new, old, end)
    if behind is None or ahead is None or ahead <= behind:
        return end
    return start + (end - start) * max(0.0, -behind) / (ahead - behind)


def _lead_of(arm: CostLine | Level, other: CostLine | Level, cost: float) -> float | None:
    value, against = arm.at(cost), other.at(cost)
    return None if value is None or against is None else value - against
