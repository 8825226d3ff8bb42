"""Arms of a sweep: one setting at several values, an arm for each.

beta, gamma    the metric against a setting of the segmentation (Xi et al. 2024, Fig. 3)
data.limit     the metric against the number of training chains, on a logarithmic axis: how much
               data each way of teaching needs (their claim of data efficiency)"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import Results
from smallsteps.report import figures
from smallsteps.report.formats import axis_name
from smallsteps.report.summaries import ArmSummary, arm_names, summaries

LIMIT = "limit"
SETTINGS = {"beta": "beta", "gamma": "gamma", LIMIT: "training chains"}
"""Setting in the name of an arm → the label of its axis."""
_SETTING = re.compile(rf"-({'|'.join(SETTINGS)})=([0-9.e+-]*[0-9])")


def swept(name: str) -> tuple[str, dict[str, float]]:
    """An arm's name without the settings of a sweep, and their values.

    >>> swept("ases-uni-ent-beta=0.8-limit=250")
    ('ases-uni-ent', {'beta': 0.8, 'limit': 250.0})
    """
    return _SETTING.sub("", name), {
        setting: float(value) for setting, value in _SETTING.findall(name)
    }


def arm_colours(results: Results) -> dict[str, int]:
    """Arm → its colour. Arms that differ only in the number of chains share one."""
    families = {name: _family(*swept(name), LIMIT) for name in arm_names(results)}
    colours = {family: place for place, family in enumerate(dict.fromkeys(families.values()))}
    return {name: colours[family] for name, family in families.items()}


def by_chains(names: Sequence[str]) -> dict[str, dict[float, str]]:
    """Arm without its number of chains → number of chains, rising → arm; 0: the number is not in
    the name.

    >>> by_chains(["base", "direct-limit=500", "direct-limit=250"])
    {'base': {0.0: 'base'}, 'direct': {250.0: 'direct-limit=250', 500.0: 'direct-limit=500'}}
    """
    families: dict[str, dict[float, str]] = {}
    for name in names:
        base, values = swept(name)
        families.setdefault(_family(base, values, LIMIT), {})[values.get(LIMIT, 0.0)] = name
    return {family: dict(sorted(sizes.items())) for family, sizes in families.items()}


def with_most_chains(names: Sequence[str]) -> list[str]:
    """The arms without those that learnt from fewer chains than another arm of their family."""
    largest = {list(sizes.values())[-1] for sizes in by_chains(names).values()}
    return [name for name in names if name in largest]


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
    charts = [
        _sweep_chart(setting, metric, arms, colours)
        for setting in swept_settings
        for metric in metrics
    ]
    legend = {name: figures.swatch(colour) for name, colour in colours.items()}
    return {
        "legend": legend,
        "charts": [chart for chart in charts if chart],
        "settings": [SETTINGS[setting] for setting in swept_settings],
        "seeds": max(len(arm.seeds) for arm in arms),
    }


def _sweep_chart(
    setting: str, metric: str, arms: Sequence[ArmSummary], colours: Mapping[str, int]
) -> Markup:
    """One metric against one setting, with the 95 % interval of each point."""
    points: dict[str, list[tuple[float, Figure]]] = {}
    level: dict[str, Figure] = {}
    for arm in arms:
        name, values = swept(arm.name)
        figure = _metric_figure(arm, metric)
        family = _family(name, values, setting)
        if figure is not None and setting in values:
            points.setdefault(family, []).append((values[setting], figure))
        elif figure is not None:
            level[family] = figure
    xs = sorted({x for line in points.values() for x, _ in line})
    if not xs:
        return Markup("")
    series = [
        figures.Series(
            name,
            colours[name],
            [(x, figure.value) for x, figure in sorted(line, key=lambda point: point[0])],
            spans=[(f.low, f.high) for _, f in sorted(line, key=lambda point: point[0])],
        )
        for name, line in points.items()
    ]
    ends = sorted({xs[0], xs[-1]})
    series += [
        figures.Series(name, colours[name], [(x, figure.value) for x in ends])
        for name, figure in level.items()
    ]
    label = SETTINGS[setting]
    return figures.line_chart(
        series,
        label,
        f"{axis_name(metric)} against {label}",
        zero=setting == LIMIT,
        x_places=xs if setting == LIMIT else None,
    )


def _metric_figure(arm: ArmSummary, metric: str) -> Figure | None:
    """The arm's figure by its main or by a further metric; None: not measured."""
    if metric == arm.metric:
        return Figure(value=arm.value, low=arm.low, high=arm.high)
    return arm.metrics.get(metric)


def _family(arm: str, values: Mapping[str, float], setting: str) -> str:
    """The line that an arm lies on: its name and the other settings' values."""
    return arm + "".join(
        f", {SETTINGS[other]} {value:g}" for other, value in values.items() if other != setting
    )
