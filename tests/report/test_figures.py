"""Charts keep names as text, survive flat and single-point curves, and put an interval where it
belongs."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from smallsteps.report.figures import (
    Series,
    endings_bar,
    interval_bar,
    line_chart,
    log_ticks,
    ticks,
)


def test_a_name_with_markup_stays_text_in_the_chart() -> None:
    chart = line_chart([Series("<img onerror=x>&", 1, [(1, 2.0), (2, 1.0)])], "x", "<y>")
    ElementTree.fromstring(str(chart))
    assert "<img" not in chart and "<y>" not in chart


@pytest.mark.parametrize(
    "points", [[(5, 1.0)], [(0, 0.0), (10, 0.0)], [(1, 1e-6), (2, 1e3)], [(0, -3.0), (1, 2.0)]]
)
def test_any_points_lie_inside_the_chart(points: list[tuple[float, float]]) -> None:
    chart = str(line_chart([Series("a", 0, points)], "x", "y"))
    xy = [
        tuple(map(float, p.split(",")))
        for p in re.search(r'<polyline points="([^"]+)"', chart)[1].split()
    ]  # type: ignore[index]
    assert all(0 <= x <= 380 and 0 <= y <= 250 for x, y in xy)


def test_no_points_give_no_chart() -> None:
    assert line_chart([Series("a", 0, [])], "x", "y") == ""


def test_ticks_enclose_the_values() -> None:
    for low, high in ((0, 1), (0.13, 0.17), (-5, 5), (0, 68.3), (97, 98), (7, 7)):
        marks = ticks(low, high)
        assert marks[0] <= low and marks[-1] >= high and 2 <= len(marks) <= 7
    assert log_ticks(0.13, 2.4) == [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]


def test_an_interval_bar_puts_low_and_high_in_proportion() -> None:
    bar = str(interval_bar(50, 25, 75, (0, 100), colour=0))
    assert 'class="range" x1="42.0" x2="118.0"' in bar and 'cx="80.0"' in bar


def test_the_stacked_bar_fills_its_width_whatever_the_counts() -> None:
    widths = [
        float(w)
        for w in re.findall(
            r' width="([\d.]+)"', endings_bar({"stop_sign": 1, "limit": 2, "empty": 4})
        )
    ]
    assert sum(widths) == pytest.approx(120, abs=0.05)
    assert endings_bar({"stop_sign": 0}) == ""
