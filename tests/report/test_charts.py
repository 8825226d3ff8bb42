"""The curves of a run: best loss against time with every arm, losses and metric over tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from smallsteps.report import charts
from smallsteps.report.run import ShownArm, ShownRun

from .conftest import arm_result, results_of


def arm(name: str, rows: list[dict[str, Any]], seed: int = 0) -> ShownArm:
    return ShownArm(arm_result(name, 50.0, seed=seed), rows, {}, {}, {}, 0)


def run_of(*arms: ShownArm) -> ShownRun:
    return ShownRun(Path("run"), results_of(), (), {}, arms)


def ys_of(chart: str, name: str) -> list[float]:
    """The figures that the marks of a line name, from left to right."""
    found = re.findall(rf"<title>{re.escape(name)}: ([0-9.,]+) at", chart)
    return [float(value.replace(",", "")) for value in found][::-1]


def test_best_loss_never_rises_and_every_half_of_a_pair_is_a_line_of_the_same_picture() -> None:
    losses = [3.0, 2.0, 2.5, 1.0, 4.0]
    direct = [{"seconds": s, "train_loss": y} for s, y in enumerate(losses)]
    halves = [{"seconds": 1.0, "train_loss": y, "half": h} for h, y in (("ES", 2.0), ("AS", 1.5))]
    run = run_of(
        arm("direct", direct), arm("ases-dual-ent", [*halves, {"metric": 4.0, "half": "pair"}])
    )
    chart = str(charts.best_loss(run, {"direct": 0, "ases-dual-ent": 1}))
    assert "training time (s)" in chart and "Best training loss so far" in chart
    assert ys_of(chart, "direct") == [3.0, 2.0, 2.0, 1.0, 1.0]
    assert ys_of(chart, "ases-dual-ent ES") == [2.0] and ys_of(chart, "ases-dual-ent AS") == [1.5]
    assert [f'class="series c{colour}"' in chart for colour in range(4)] == [
        True,
        True,
        True,
        False,
    ]
    names = list(charts.legend(run, {"direct": 0, "ases-dual-ent": 1}))
    assert names == ["direct", "ases-dual-ent (pair, ES half)", "ases-dual-ent AS"]


def test_best_loss_of_many_updates_is_that_of_their_means_and_needs_times() -> None:
    rows = [{"seconds": s, "train_loss": 1.0 + s % 2} for s in range(120)]
    chart = str(charts.best_loss(run_of(arm("direct", rows)), {"direct": 0}))
    assert "means of 2 updates" in chart and set(ys_of(chart, "direct")) == {1.5}
    assert (
        charts.best_loss(run_of(arm("direct", [{"tokens": 5, "train_loss": 1.0}])), {"direct": 0})
        == ""
    )


def test_a_pair_measured_as_a_whole_is_drawn_under_the_name_of_its_arm() -> None:
    rows = [{"tokens": 10 * n, "metric": 5.0 * n, "half": "pair"} for n in (1, 2)]
    drawn = charts.curves(run_of(arm("ases-dual-ent", rows)), {"ases-dual-ent": 0}, "accuracy")
    assert len(drawn) == 1 and ys_of(str(drawn[0]), "ases-dual-ent") == [5.0, 10.0]
