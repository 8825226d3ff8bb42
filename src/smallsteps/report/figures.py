"""Figures as small pieces of SVG: line charts, interval bars, stacked bars.

We write SVG ourselves and do not draw with a plotting library: text stays text in the page's font,
colours are classes of the style sheet, so that dark mode and print need no second figure, and a
chart takes a few KB. Colour never stands alone: each series has its mark, from the seventh on its
dashes too."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from smallsteps.records import Stopped
from smallsteps.report.formats import ENDINGS, amount, number

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 40
DASHES = ("", "", "", "", "", "", "7 3", "2 3", "9 3 2 3", "4 4")
"""Six lines are solid: their colours stay apart for colour-blind readers (a test simulates it)."""
MOST_MARKS = 12
"""Marks on one line; more would hide it."""
COLOURS = len(DASHES)
"""The style sheet has this many series colours (.c0 to .c9); further series start again."""


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    colour: int
    points: Sequence[tuple[float, float]]
    faint: bool = False
    """A single seed behind the mean of its arm."""
    spans: Sequence[tuple[float, float]] = ()
    """The interval of each point; empty: not drawn."""


def line_chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    zero: bool = False,
    x_places: Sequence[float] | None = None,
) -> Markup:
    """A chart of `series`; empty where no series has a point.

    The y axis is logarithmic where values are positive and span more than a factor of ten.
    `zero`: the y axis starts at zero (shares, accuracies). `x_places`: the values on a logarithmic
    x axis; None: it starts at zero."""
    xs = [x for s in series for x, _ in s.points]
    ys = [y for s in series for _, y in s.points] + [
        y for s in series for span in s.spans for y in span
    ]
    if not xs:
        return Markup("")
    log = not zero and min(ys) > 0 and max(ys) / min(ys) > 10
    x_ticks = x_places or [x for x in ticks(0, max(xs)) if x <= max(xs)]
    y_ticks = log_ticks(min(ys), max(ys)) if log else ticks(0 if zero else min(ys), max(ys))
    if x_places:
        x_at = scale(x_places[0], x_places[-1], LEFT + 14, WIDTH - RIGHT - 14, log=True)
    else:
        x_at = scale(0, max(xs), LEFT, WIDTH - RIGHT)
    y_at = scale(min(y_ticks[0], *ys), max(y_ticks[-1], *ys), HEIGHT - BOTTOM, TOP, log=log)
    summary = f"{y_label} over {x_label}. " + "; ".join(
        f"{s.name} ends at {number(s.points[-1][1], 2)}" for s in series if s.points and not s.faint
    )
    out = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(summary)}">'
    ]
    for y in y_ticks:
        out.append(_horizontal("grid", y_at(y)))
        out.append(_text("tick", LEFT - 7, y_at(y) + 3.5, "end", _tick(y)))
    for x in x_ticks:
        out.append(_text("tick", x_at(x), HEIGHT - BOTTOM + 17, "middle", _tick(x)))
    out.append(_horizontal("axis", HEIGHT - BOTTOM))
    label = y_label + (" (log scale)" if log else "")
    out.append(_text("label", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, "middle", x_label))
    for s in sorted(series, key=lambda s: not s.faint):
        if s.points:
            out.append(_line(s, x_at, y_at))
    out.append("</svg>")
    return Markup('<figure class="chart-box"><figcaption>{}</figcaption>{}</figure>').format(
        label, Markup("".join(out))
    )


def _horizontal(kind: str, y: float) -> str:
    """A line across the chart."""
    return f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _text(kind: str, x: float, y: float, anchor: str, text: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'


def _line(s: Series, x_at: Callable[[float], float], y_at: Callable[[float], float]) -> str:
    path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in s.points)
    colour = s.colour % COLOURS
    if s.faint:
        return f'<polyline class="faint c{colour}" points="{path}"/>'
    dash = dashes(s.colour)
    every = max(1, -(-len(s.points) // MOST_MARKS))
    marks = [
        f'<line class="span" x1="{x_at(x):.1f}" x2="{x_at(x):.1f}" '
        f'y1="{y_at(low):.1f}" y2="{y_at(high):.1f}"/>'
        for (x, _), (low, high) in zip(s.points, s.spans, strict=False)
    ]
    for x, y in s.points[::-every]:  # from the last point, which always has a mark
        title = f"{escape(s.name)}: {number(y, 3)} at {amount(x)}"
        marks.append(f"<g><title>{title}</title>{mark(colour, x_at(x), y_at(y))}</g>")
    line = f'<polyline points="{path}"{dash}/>'
    return f'<g class="series c{colour}">{line}{"".join(marks)}</g>'


def mark(colour: int, x: float, y: float, r: float = 3.2) -> Markup:
    """The mark of a series: disc, square, diamond, triangle in turn."""
    kind = colour % 4
    if kind == 0:
        return Markup(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>')
    corners = {
        1: ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        2: ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        3: ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
    }[kind]
    points = " ".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in corners)
    return Markup(f'<polygon points="{points}"/>')


def dashes(colour: int) -> Markup:
    """The attribute that gives a series its dashes; series that share a colour have others."""
    dash = DASHES[(colour + colour // COLOURS) % COLOURS]
    return Markup(f' stroke-dasharray="{dash}"' if dash else "")


def swatch(colour: int) -> Markup:
    """A short piece of a series' line with its mark, for legends and table rows."""
    dash = dashes(colour)
    colour %= COLOURS
    return Markup(
        f'<svg class="swatch series c{colour}" viewBox="0 0 26 12" aria-hidden="true">'
        f'<polyline points="1,6 25,6"{dash}/>{mark(colour, 13, 6, 3.6)}</svg>'
    )


def interval_bar(
    value: float,
    low: float,
    high: float,
    domain: tuple[float, float],
    *,
    colour: int,
    zero: bool = False,
) -> Markup:
    """An interval as a bar with a mark at its value.

    `domain`: the scale that all rows of a table share. `zero`: with a line at zero."""
    at = scale(*domain, 4, 156)
    line = f'<line class="zero" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="1" y2="21"/>' if zero else ""
    return Markup(
        f'<svg class="interval series c{colour % COLOURS}" viewBox="0 0 160 22" '
        f'aria-hidden="true">{line}'
        f'<line class="rule" x1="4" x2="156" y1="11" y2="11"/>'
        f'<line class="range" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="11" y2="11"/>'
        f"{mark(colour, at(value), 11, 4.4)}</svg>"
    )


def endings_bar(stopped: Mapping[Stopped, int]) -> Markup:
    """How chains ended, as one stacked bar in the order of ENDINGS; empty where no chain is
    counted."""
    total = sum(stopped.values())
    if not total:
        return Markup("")
    x, parts = 0.0, []
    for kind in ENDINGS:
        width = 120 * stopped.get(kind, 0) / total
        if width:
            parts.append(
                f'<rect class="ended-{kind}" x="{x:.2f}" width="{width:.2f}" y="0" height="8"/>'
            )
        x += width
    return Markup(
        '<svg class="endings" viewBox="0 0 120 8" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers from at or below `low` to at or above `high`.

    >>> ticks(0, 1_480_000)
    [0.0, 500000.0, 1000000.0, 1500000.0]
    >>> ticks(3.0, 3.0)
    [3.0, 3.25]
    """
    span = (high - low) or 1.0
    size = 10.0 ** math.floor(math.log10(span / count))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if span / (size * m) <= count)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers that enclose `low` to `high`: 1, 2 and 5 times a power of ten, or fewer of them
    over a wide range."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        marks = [round(m * 10.0**e, 12) for e in exponents for m in steps]
        below = max((m for m in marks if m <= low), default=marks[0])
        above = min((m for m in marks if m >= high), default=marks[-1])
        enclosing = [m for m in marks if below <= m <= above]
        if len(enclosing) <= 7:
            break
    return enclosing


def _tick(value: float) -> str:
    return amount(value) if abs(value) >= 1000 else f"{value:g}".replace("-", "−")


def scale(
    low: float, high: float, start: float, end: float, *, log: bool = False
) -> Callable[[float], float]:
    """A function from values of an axis to places on the page."""
    change = math.log if log else float
    a, b = change(low), change(high)
    span = (b - a) or 1.0
    return lambda value: start + (end - start) * (change(value) - a) / span
