"""The charts of a run, with every arm in one picture.

    best_loss    best training loss so far against training time (Xi et al. 2024, Fig. 4)
    curves       losses and the metric on validation against training tokens
    sweeps       the metric on the test problems against beta and against gamma (Fig. 3)

A chart without data is left out. How a line is drawn: `figures.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from smallsteps.experiment.results import ArmResult, Results
from smallsteps.report import figures
from smallsteps.report.formats import axis_name, is_number
from smallsteps.report.run import ShownArm, ShownRun
from smallsteps.report.summaries import ArmSummary, summaries

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
    further = len(colours)
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


# ---- sweeps ----

_SETTING = re.compile(r"-(beta|gamma)=([0-9.e+-]*[0-9])")
SETTINGS = ("beta", "gamma")


def swept(name: str) -> tuple[str, dict[str, float]]:
    """An arm's name without the settings of a sweep, and their values.

    >>> swept("ases-uni-ent-beta=0.8-gamma=1")
    ('ases-uni-ent', {'beta': 0.8, 'gamma': 1.0})
    """
    return _SETTING.sub("", name), {
        setting: float(value) for setting, value in _SETTING.findall(name)
    }


def sweeps(results: Results) -> dict[str, Any]:
    """Charts of the main figure and of each further metric against each setting of a sweep, and the
    legend that belongs to them; nothing where no arm was swept. Arms without the setting are level
    lines."""
    arms = summaries(results)
    parts = [(arm, *swept(arm.name)) for arm in arms]
    swept_settings = [
        setting
        for setting in SETTINGS
        if len({s[setting] for _, _, s in parts if setting in s}) > 1
    ]
    if not swept_settings:
        return {}
    names = dict.fromkeys(
        _family(name, values, setting) for setting in swept_settings for _, name, values in parts
    )
    colours = {name: place for place, name in enumerate(names)}
    metrics = dict.fromkeys([arms[0].metric, *(name for arm in arms for name in arm.metrics)])
    charts = []
    for setting in swept_settings:
        for metric in metrics:
            families: dict[str, Points] = {}
            level: dict[str, float] = {}
            for arm, name, values in parts:
                figure = metric_value(arm, metric)
                if figure is None:
                    continue
                family = _family(name, values, setting)
                if setting in values:
                    families.setdefault(family, []).append((values[setting], figure))
                else:
                    level[family] = figure
            charts.append(_sweep_chart(setting, metric, families, level, colours))
    legend = {name: figures.swatch(colour) for name, colour in colours.items()}
    return {"legend": legend, "charts": [chart for chart in charts if chart]}


def metric_value(arm: ArmSummary | ArmResult, metric: str) -> float | None:
    """The arm's figure by its main or by a further metric; None: not measured."""
    if metric == arm.metric:
        return arm.value
    return arm.metrics[metric].value if metric in arm.metrics else None


def _sweep_chart(
    setting: str,
    metric: str,
    families: Mapping[str, Points],
    level: Mapping[str, float],
    colours: Mapping[str, int],
) -> Markup:
    xs = [x for points in families.values() for x, _ in points]
    if not xs:
        return Markup("")
    series = [figures.Series(name, colours[name], sorted(line)) for name, line in families.items()]
    ends = sorted({min(xs), max(xs)})
    series += [figures.Series(n, colours[n], [(x, y) for x in ends]) for n, y in level.items()]
    return figures.line_chart(series, setting, f"{axis_name(metric)} against {setting}")


def _family(arm: str, values: Mapping[str, float], setting: str) -> str:
    """The line that an arm lies on: its name and the other setting's value."""
    return arm + "".join(
        f", {other} {value:g}" for other, value in values.items() if other != setting
    )
