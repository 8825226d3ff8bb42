"""The main figure as SVG: labels apart, marks where they belong, and a file that stands alone."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from smallsteps.experiment.results import Results
from smallsteps.report.cost_curves import CostFigure, cost_figures
from smallsteps.report.cost_figure import (
    ROW,
    axis_ticks,
    cost_chart,
    described,
    spread_out,
    svg_file,
)

from .conftest import EVIL, plateau_results, results_of, trained, untrained


def figure_of(found: Results) -> CostFigure:
    return cost_figures(found)[0]


def label_places(chart: str) -> list[float]:
    return sorted(
        float(y) for y in re.findall(r'<text class="end" x="[0-9.]+" y="([0-9.]+)"', chart)
    )


def test_twelve_arms_that_end_alike_have_labels_that_do_not_overlap() -> None:
    arms = [trained(f"arm-{n}", 40.0, 10.0, 40.0 + n / 100) for n in range(12)]
    chart = str(cost_chart(figure_of(results_of(*arms, untrained("base", 39.0)))))
    places = label_places(chart)
    assert len(places) == 13
    assert min(b - a for a, b in pairwise(places)) > ROW - 0.2
    height = float(re.findall(r'viewBox="0 0 \d+ (\d+)"', chart)[0])
    assert places[0] > 0 and places[-1] < height


def test_labels_of_long_names_end_within_the_picture() -> None:
    chart = str(cost_chart(figure_of(results_of(trained("x" * 80, 4.0, 1.0, 2.0)))))
    start = float(re.findall(r'<text class="end" x="([0-9.]+)"', chart)[0])
    label = re.sub("<[^>]*>", "", re.findall(r'<text class="end".*?</text>', chart)[0])
    assert "…" in label and start + 7 * len(label) <= 1100


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], []),
        ([50.0], [50.0]),
        ([10.0, 10.0, 10.0], [0.0, 10.0, 20.0]),
        ([99.0, 98.0], [100.0, 90.0]),
        ([1.0, 0.0], [10.0, 0.0]),
    ],
)
def test_labels_stay_in_the_order_of_their_lines_and_inside(places, expected) -> None:
    assert spread_out(places, 10, 0, 100) == expected


def test_labels_that_do_not_fit_come_closer_together() -> None:
    assert spread_out([5.0] * 5, 10, 0, 20) == [0.0, 5.0, 10.0, 15.0, 20.0]


def test_plateau_cap_level_and_crossing_are_marked() -> None:
    chart = str(cost_chart(figure_of(plateau_results())))
    assert chart.count('class="chosen"') == 3 and chart.count('class="untrained"') == 1
    assert chart.count('class="crossing"') == 2 and 'class="cap"' not in chart
    assert "from 217 k tokens on, ases-uni-rouge is the highest line" in chart
    assert chart.count('class="ended"') == 2, "the longest training reaches the edge"
    capped = str(cost_chart(figure_of(results_of(trained("direct", 4.0, 1.0, 2.0, plateau=False)))))
    assert 'class="cap"' in capped and "2.0 (cap)" in capped


def test_many_lines_have_neither_dots_nor_bands() -> None:
    few = [trained("direct", 4.0, 1.0, 2.0, seed=seed) for seed in (0, 1)]
    assert 'class="band"' in str(cost_chart(figure_of(results_of(*few))))
    many = [trained(f"arm-{n}", 4.0, 1.0, 2.0, seed=seed) for n in range(7) for seed in (0, 1)]
    chart = str(cost_chart(figure_of(results_of(*many))))
    assert 'class="band"' not in chart and 'class="dot"' not in chart


def test_the_narrow_figure_leaves_the_names_to_the_list_below_it() -> None:
    assert 'class="end"' not in str(cost_chart(figure_of(plateau_results()), narrow=True))


def test_the_figure_can_be_read_without_seeing_it() -> None:
    text = described(figure_of(plateau_results()))
    assert text.startswith("Accuracy (%) on validation against training tokens. ")
    assert "direct reaches 38.0 after 200 k tokens" in text
    assert "base needs no training: 13.4" in text


def test_time_is_counted_in_the_unit_that_suits_it() -> None:
    assert [name for _, name in axis_ticks("seconds", 90, 3)] == ["0 s", "50 s"]
    assert axis_ticks("seconds", 7_200, 2)[-1] == (7_200, "2 h")
    assert axis_ticks("seconds", 600, 2)[-1] == (600, "10 min")
    assert [name for _, name in axis_ticks("tokens", 2_000_000, 2)] == ["0", "1 M", "2 M"]


def test_a_file_stands_alone_escapes_names_and_needs_no_variables() -> None:
    found = results_of(trained(EVIL, 4.0, 1.0, 2.0), untrained("base", 1.0))
    text = svg_file(figure_of(found), EVIL, [EVIL])
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not [node for node in root.iter() if node.tag.endswith(("script", "img"))]
    style = next(node for node in root.iter() if node.tag.endswith("style")).text or ""
    assert "var(" not in style and "@" not in style and "http" not in style
    assert ".cost-chart .c0 polyline { fill: none; stroke: #5d6670;" in style
