"""Charts keep names as text, survive flat and single-point curves, and put an interval where it
belongs."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

from smallsteps.base_style import base_style
from smallsteps.report.figures import (
    COLOURS,
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


# Machado, Oliveira and Fernandes 2009: what a reader without one kind of cone sees, in linear RGB.
COLOUR_BLIND = {
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB in the space of Ottosson 2020, where distances are those that people see."""
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ np.clip(rgb, 0, 1))


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_of_series_stay_apart_for_colour_blind_readers_and_on_the_paper(mode: int) -> None:
    style = files("smallsteps.report").joinpath("page.css").read_text(encoding="utf-8")
    paper = linear(re.findall(r"--paper: (#[0-9a-f]{6})", base_style())[mode])
    colours = [
        linear(re.findall(rf"--c{place}: (#[0-9a-f]{{6}})", style)[mode])
        for place in range(COLOURS)
    ]
    for matrix in (np.eye(3), *map(np.array, COLOUR_BLIND.values())):
        seen = [oklab(matrix @ colour) for colour in colours]
        assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 0.07
    luminances = [float(colour @ [0.2126, 0.7152, 0.0722]) for colour in (paper, *colours)]
    for luminance in luminances[1:]:
        dark, light = sorted((luminances[0], luminance))
        assert (light + 0.05) / (dark + 0.05) >= 3, "WCAG 2.1, 1.4.11"
