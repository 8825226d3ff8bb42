"""The charts of a run, with every arm in one picture.

    best_loss    best training loss so far against training time (Xi et al. 2024, Fig. 4)
    curves       losses and the metric on validation against training tokens

A chart without data is left out. How a line is drawn: `figures.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from smallsteps.report import figures
from smallsteps.report.formats import axis_name, is_number
from smallsteps.report.run import ShownArm, ShownRun

Points = list[tuple[float, float]]

MOST_POINTS = 60
"""Points of a curve; more are drawn as means."""
PAIR = "pair"
"""`half` of the rows in which a dual pair was measured as a whole."""


def best_loss(run: ShownRun, colours: Mapping[str, int]) -> Markup:
    """Best training loss so far against training time; each half of a dual pair has a line of its
    own."""
    block = _block(run)
    series = []
    colour_of_line = line_colours(run, colours)
    for name in colours:
        for line_name, lines in _lines(run, name, "seconds", "train_loss"):
            best = [_best_so_far(means(line, block)) for line in lines]
            series += _seeds(line_name, colour_of_line[line_name], best)
    label = "Best training loss so far" + (f", means of {block} updates" if block > 1 else "")
    return figures.line_chart(series, "training time (s)", label)


def curves(run: ShownRun, colours: Mapping[str, int], metric: str) -> list[Markup]:
    """Training loss, validation loss and metric over training tokens (over updates where tokens
    were not written)."""
    rows = [row for arm in run.arms for row in arm.curves]
    by_tokens = any("tokens" in row for row in rows)
    x, x_label = ("tokens", "training tokens") if by_tokens else ("update", "updates")
    labels = {"train_loss": "Training loss", "validation_loss": "Validation loss"}
    labels["metric"] = f"{axis_name(metric)} on validation"
    block = _block(run)
    if block > 1:
        labels["train_loss"] += f", means of {block} updates"
    charts = []
    colour_of_line = line_colours(run, colours)
    for key, label in labels.items():
        series = []
        for arm_name in colours:
            for line_name, lines in _lines(run, arm_name, x, key):
                drawn = [means(line, block if key == "train_loss" else 1) for line in lines]
                series += _seeds(line_name, colour_of_line[line_name], drawn)
        charts.append(figures.line_chart(series, x_label, label, zero=key == "metric"))
    return [chart for chart in charts if chart]


def line_colours(run: ShownRun, colours: Mapping[str, int]) -> dict[str, int]:
    """The colour of each line: arms keep theirs, which a pair as a whole and its ES half share; AS
    halves get those after the last arm's."""
    lines = dict(colours)
    further = max(colours.values(), default=-1) + 1
    for arm in run.arms:
        if any(row.get("half") for row in arm.curves) and f"{arm.name} AS" not in lines:
            lines |= {f"{arm.name} ES": colours[arm.name], f"{arm.name} AS": further}
            further += 1
    return lines


def legend(run: ShownRun, colours: Mapping[str, int]) -> dict[str, Markup]:
    """The name of each line of the curves → a piece of the line."""
    lines = line_colours(run, colours)
    swatches = {}
    for name, colour in lines.items():
        if f"{name} ES" in lines:
            continue
        if name.endswith(" ES"):
            name = f"{name.removesuffix(' ES')} (pair, ES half)"
        swatches[name] = figures.swatch(colour)
    return swatches


def _block(run: ShownRun) -> int:
    return max(1, max((len(arm.curves) for arm in run.arms), default=0) // MOST_POINTS)


def _lines(run: ShownRun, arm_name: str, x: str, y: str) -> Iterator[tuple[str, list[Points]]]:
    """(name, a line for each seed) of the arm, or of each half of a dual pair."""
    arms = [arm for arm in run.arms if arm.name == arm_name]
    for half in dict.fromkeys(row.get("half") for arm in arms for row in arm.curves):
        lines = [line for arm in arms if (line := _points(arm, x, y, half))]
        if lines:
            yield (arm_name if half in (None, PAIR) else f"{arm_name} {half}"), lines


def _points(arm: ShownArm, x: str, y: str, half: Any) -> Points:
    rows = [row for row in arm.curves if row.get("half") == half]
    return [(row[x], row[y]) for row in rows if is_number(row.get(x)) and is_number(row.get(y))]


def _seeds(name: str, colour: int, lines: Sequence[Points]) -> list[figures.Series]:
    """One line as it is; of several seeds each faintly, and their mean."""
    if len(lines) == 1:
        return [figures.Series(name, colour, lines[0])]
    faint = [figures.Series(name, colour, line, faint=True) for line in lines]
    return [*faint, figures.Series(f"{name} (mean of seeds)", colour, _mean_line(lines))]


def means(points: Sequence[tuple[float, float]], block: int) -> Points:
    """The mean of each `block` neighbours, at the last of them: single updates are noise."""
    parts = [points[start : start + block] for start in range(0, len(points), block)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]


def _best_so_far(points: Points) -> Points:
    lowest = accumulate((y for _, y in points), min)
    return [(x, y) for (x, _), y in zip(points, lowest, strict=True)]


def _mean_line(lines: Sequence[Points]) -> Points:
    """The mean of the lines, point by point, as far as all of them go: seeds are evaluated at the
    same shares of one budget."""
    return [
        (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
        for points in zip(*lines, strict=False)
    ]
