"""Draws the main figure of a run as SVG: for wide pages with a label at the end of each line, for
narrow pages without, and as a file that stands alone.

Classes and colours are those of `cost-figure.css`, which the page includes; a file has its rules
inside, with the colours of the light page. Nothing but the standard library is needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from markupsafe import Markup, escape

from smallsteps.base_style import base_style, light_colours
from smallsteps.report import figures
from smallsteps.report.cost_curves import Cost, CostFigure, CostLine, Level
from smallsteps.report.formats import amount, axis_name, expense, number

ROW = 17.0
"""Height of a label."""
LETTER = 7.0
"""Width of a letter of a label, at most on average; the page's font is not known here."""
LONGEST_LABEL = 34
"""Letters of an arm's name; longer ones are cut."""
FEW_LINES = 6
"""So many lines at most have a dot for each evaluation, or the band of their seeds; more would be
hidden by them."""
UNITS: tuple[tuple[float, str], ...] = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True)
class Frame:
    """Where the picture lies, and its scales."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_at: Callable[[float], float]
    y_at: Callable[[float], float]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[float]


def cost_chart(figure: CostFigure, *, narrow: bool = False) -> Markup:
    """The figure as an element of the page. `narrow`: for small screens, where a list below it
    names the lines."""
    frame = _frame(figure, narrow)
    size = "narrow" if narrow else "broad"
    return Markup(
        f'<svg class="chart cost-chart {size}" viewBox="0 0 {frame.width:g} {frame.height:g}" '
        f'role="img" aria-label="{escape(described(figure))}">'
        f"{_content(figure, frame, narrow)}</svg>"
    )


def svg_file(figure: CostFigure, title: str, notes: Sequence[str] = ()) -> str:
    """The figure as the text of an SVG file: with title, lines of text below it, and style."""
    frame = _frame(figure, narrow=False)
    head, foot = 40.0, 18.0 * len(notes) + 14
    width, height = frame.width + 32, frame.height + head + foot
    lines = [
        _text("note", 16, head + frame.height + 18 * place, "start", note)
        for place, note in enumerate(notes, start=1)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(described(figure))}</desc>"
        f"<style>{_plain_style()}</style>"
        f'<rect class="paper" width="{width:g}" height="{height:g}"/>'
        f'<text class="title" x="16" y="28">{escape(title)}</text>'
        f'<g class="chart cost-chart" transform="translate(16 {head:g})">'
        f"{_content(figure, frame, narrow=False)}</g>{''.join(lines)}</svg>\n"
    )


def described(figure: CostFigure) -> str:
    """The figure in words, for those who do not see it."""
    ends = [
        f"{line.name} reaches {number(line.chosen[1])} after {expense(figure.cost, line.chosen[0])}"
        for line in figure.lines
    ]
    levels = [f"{level.name} needs no training: {number(level.value)}" for level in figure.levels]
    what = f"{axis_name(figure.metric)} on validation against {axis_name_of(figure.cost)}"
    return f"{what}. {'; '.join([*ends, *levels])}."


def axis_name_of(cost: Cost) -> str:
    """The label of the axis of costs."""
    names = {
        "tokens": "training tokens",
        "seconds": "training time",
        "passes": "passes over the arm's examples",
    }
    return names[cost]


def axis_ticks(cost: Cost, last: float, count: int) -> list[tuple[float, str]]:
    """About `count` costs from 0 to at most `last`, each with its text; seconds in the unit that
    suits them."""
    unit, name = 1.0, ""
    if cost == "seconds":
        unit, name = next((unit for unit in UNITS if last >= 2 * unit[0]), UNITS[-1])
    places = [x for x in figures.ticks(0, last / unit, count) if x <= last / unit]
    return [(x * unit, _tick(x, name)) for x in places]


# ---- the frame ----


def _frame(figure: CostFigure, narrow: bool) -> Frame:
    width, height = (440.0, 340.0) if narrow else (1100.0, 440.0)
    left, top, bottom = 44.0, 30.0, height - 46.0
    letters = max(len(name) + len(value) + 1 for name, value in _labels(figure))
    right = width - (14.0 if narrow else 34.0 + LETTER * letters)
    costs = [x for line in figure.lines for x, _ in line.best]
    values = [y for line in figure.lines for _, y in (*line.best, *line.lowest, *line.highest)]
    values += [y for line in figure.lines for points in line.measured for _, y in points]
    values += [level.value for level in figure.levels]
    last = max(costs) or 1.0
    y_ticks = figures.ticks(min(values), max(values), 5)
    return Frame(
        width,
        height,
        left,
        right,
        top,
        bottom,
        figures.scale(0, last, left, right),
        figures.scale(y_ticks[0], y_ticks[-1], bottom, top),
        axis_ticks(figure.cost, last, 4 if narrow else 6),
        y_ticks,
    )


def _tick(value: float, unit: str) -> str:
    text = amount(value) if value >= 1000 else f"{value:g}"
    return f"{text} {unit}".rstrip()


# ---- what is drawn ----


def _content(figure: CostFigure, frame: Frame, narrow: bool) -> str:
    few = len(figure.lines) <= FEW_LINES
    parts = [_axes(figure, frame)]
    parts += [_level(level, frame) for level in figure.levels]
    for line in sorted(figure.lines, key=lambda line: line.end[1]):
        parts.append(_line(line, frame, few))
    for lead in figure.leads()[1:]:
        title = f"from {expense(figure.cost, lead.cost)} on, {lead.name} is the highest line"
        place = f'cx="{frame.x_at(lead.cost):.1f}" cy="{frame.y_at(lead.value):.1f}"'
        parts.append(
            f'<circle class="crossing" {place} r="6"><title>{escape(title)}</title></circle>'
        )
    if not narrow:
        parts.append(_end_labels(figure, frame))
    return "".join(parts)


def _axes(figure: CostFigure, frame: Frame) -> str:
    out = [
        _text("label", frame.left - 30, 14, "start", f"{axis_name(figure.metric)} on validation")
    ]
    for y in frame.y_ticks:
        out.append(_level_line("grid", frame, y))
        out.append(_text("tick", frame.left - 8, frame.y_at(y) + 4, "end", f"{y:g}"))
    for x, name in frame.x_ticks:
        out.append(_text("tick", frame.x_at(x), frame.bottom + 18, "middle", name))
    middle = (frame.left + frame.right) / 2
    out.append(_text("label", middle, frame.height - 8, "middle", axis_name_of(figure.cost)))
    out.append(_level_line("axis", frame, frame.y_ticks[0]))
    return "".join(out)


def _level_line(kind: str, frame: Frame, value: float) -> str:
    y = f"{frame.y_at(value):.1f}"
    return f'<line class="{kind}" x1="{frame.left:g}" x2="{frame.right:.1f}" y1="{y}" y2="{y}"/>'


def _text(kind: str, x: float, y: float, anchor: str, text: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'


def _path(points: Sequence[tuple[float, float]], frame: Frame) -> str:
    return " ".join(f"{frame.x_at(x):.1f},{frame.y_at(y):.1f}" for x, y in points)


def _level(level: Level, frame: Frame) -> str:
    colour = level.colour % figures.COLOURS
    title = escape(f"{level.name}: {number(level.value)}, without training")
    line = _level_line("untrained", frame, level.value)
    return f'<g class="arm series c{colour}"><title>{title}</title>{line}</g>'


def _line(line: CostLine, frame: Frame, few: bool) -> str:
    colour = line.colour % figures.COLOURS
    out = [f'<g class="arm series c{colour}">']
    if few and line.lowest:
        band = _path([*line.lowest, *reversed(line.highest)], frame)
        out.append(f'<polygon class="band" points="{band}"/>')
    elif few:
        out += [
            f'<circle class="dot" cx="{frame.x_at(x):.1f}" cy="{frame.y_at(y):.1f}" r="2.2"/>'
            for x, y in line.measured[0]
        ]
    dashes = figures.dashes(line.colour)
    out.append(f'<polyline points="{_path(line.best, frame)}"{dashes}/>')
    x, y = line.end
    if frame.x_at(x) < frame.right - 1:
        out.append(f'<polyline class="ended" points="{_path([(x, y)], frame)} {_edge(frame, y)}"/>')
    if line.plateau is False:
        end_x, end_y = frame.x_at(x), frame.y_at(y)
        out.append(
            f'<line class="cap" x1="{end_x:.1f}" x2="{end_x:.1f}" y1="{end_y - 8:.1f}" '
            f'y2="{end_y + 8:.1f}"/>'
        )
    chosen_x, chosen_y = (frame.x_at(line.chosen[0]), frame.y_at(line.chosen[1]))
    title = escape(f"{line.name}: {number(line.chosen[1])}, the checkpoint chosen on validation")
    mark = figures.mark(colour, chosen_x, chosen_y, 5.5)
    out.append(f'<g class="chosen"><title>{title}</title>{mark}</g></g>')
    return "".join(out)


def _edge(frame: Frame, value: float) -> str:
    return f"{frame.right:.1f},{frame.y_at(value):.1f}"


# ---- labels ----


def _labels(figure: CostFigure) -> list[tuple[str, str]]:
    """(name, figure) at the end of each line; levels first, in the order of the figure."""
    levels = [(_cut(level.name), number(level.value)) for level in figure.levels]
    lines = [
        (_cut(line.name), number(line.end[1]) + (" (cap)" if line.plateau is False else ""))
        for line in figure.lines
    ]
    return [*levels, *lines]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"


def _end_labels(figure: CostFigure, frame: Frame) -> str:
    arms: list[Level | CostLine] = [*figure.levels, *figure.lines]
    heights = [frame.y_at(arm.height) for arm in arms]
    places = spread_out(heights, ROW, frame.top, frame.bottom)
    out = []
    for arm, (name, value), height, place in zip(
        arms, _labels(figure), heights, places, strict=True
    ):
        colour = arm.colour % figures.COLOURS
        leader = f"{frame.right + 2:.1f},{height:.1f} {frame.right + 22:.1f},{place:.1f}"
        out.append(
            f'<g class="arm series c{colour}"><polyline class="leader" points="{leader}"/>'
            f'<text class="end" x="{frame.right + 28:.1f}" y="{place + 4:.1f}">{escape(name)} '
            f'<tspan class="end-value">{escape(value)}</tspan></text></g>'
        )
    return "".join(out)


def spread_out(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places at least `gap` apart and as near to the given ones as that allows, in their order,
    from `low` to `high`; closer together where they would not fit.

    >>> spread_out([50, 51, 90], 10, 0, 100)
    [45.5, 55.5, 90]
    """
    if not places:
        return []
    gap = min(gap, (high - low) / max(1, len(places) - 1))
    order = sorted(range(len(places)), key=lambda n: places[n])
    blocks: list[list[float]] = []  # of neighbours that touch: [mean of (place - shift), count]
    for rank, n in enumerate(order):
        blocks.append([places[n] - rank * gap, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, count), (last_mean, last_count) = blocks[-2], blocks[-1]
            total = count + last_count
            blocks[-2:] = [[(mean * count + last_mean * last_count) / total, total]]
    starts = [mean for mean, count in blocks for _ in range(int(count))]
    most = high - gap * (len(places) - 1)
    spread = [0.0] * len(places)
    for rank, (n, start) in enumerate(zip(order, starts, strict=True)):
        spread[n] = min(max(start, low), most) + rank * gap
    return spread


# ---- style of a file ----


def _plain_style() -> str:
    """The rules of `cost-figure.css` with the colours of the light page in the place of variables,
    which programs other than browsers do not know."""
    package = files("smallsteps.report")
    page = package.joinpath("page.css").read_text(encoding="utf-8")
    rules = package.joinpath("cost-figure.css").read_text(encoding="utf-8")
    light = light_colours(base_style()) + light_colours(page)
    colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", light))
    plain = [rule for rule in rules.splitlines() if not rule.startswith("@")]
    series = [
        re.sub(r"\.series\b", f".c{place}", rule).replace("var(--c)", colours[f"c{place}"])
        for place in range(figures.COLOURS)
        for rule in plain
        if "var(--c)" in rule
    ]
    text = "\n".join([*(rule for rule in plain if "var(--c)" not in rule), *series])
    return re.sub(r"var\(--([a-z0-9-]+)\)", lambda name: colours[name.group(1)], text)
