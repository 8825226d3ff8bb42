"""The figures of the paper, drawn from any run: best loss against time with every arm, the metric
against a knob."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from smallsteps.experiment.results import Figure, Results
from smallsteps.report import charts
from smallsteps.report.page import write_page
from smallsteps.report.run import ShownArm, ShownRun

from .conftest import arm_result, results, results_of, write_rows


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


def figure(value: float) -> Figure:
    return Figure(value=value, low=1.0, high=99.0)


def swept_results() -> Results:
    arms = [arm_result("direct", 50.0, metrics={"bleu": figure(31.0)})]
    for beta, value in ((1.4, 53.0), (0.6, 52.0), (1.0, 55.0)):
        name = f"ases-uni-ent-beta={beta:g}"
        arms.append(arm_result(name, value, metrics={"bleu": figure(value / 2)}))
    return results_of(*arms)


def test_a_sweep_is_drawn_as_the_metric_against_its_knob_with_arms_without_it_as_level_lines() -> (
    None
):
    drawn = charts.sweeps(swept_results())
    assert list(drawn["legend"]) == ["direct", "ases-uni-ent"] and len(drawn["charts"]) == 2
    accuracy, bleu = map(str, drawn["charts"])
    assert "Accuracy (%) against beta" in accuracy and "BLEU against beta" in bleu
    assert ys_of(accuracy, "ases-uni-ent") == [52.0, 55.0, 53.0], "in the order of beta"
    assert ys_of(accuracy, "direct") == [50.0, 50.0] and ys_of(bleu, "ases-uni-ent") == [
        26.0,
        27.5,
        26.5,
    ]


def test_two_knobs_give_a_chart_each_and_the_other_one_names_the_line() -> None:
    arms = [
        arm_result(f"ases-uni-bleu-beta={beta:g}-gamma={gamma:g}", 10 * beta + gamma)
        for beta in (1, 2)
        for gamma in (0, 1)
    ]
    direct = [arm_result(f"direct-gamma={gamma}", 5.0 + gamma) for gamma in (0, 1)]
    drawn = charts.sweeps(results_of(*arms, *direct))
    by_beta, by_gamma = map(str, drawn["charts"])
    assert ys_of(by_beta, "ases-uni-bleu, gamma 1") == [11.0, 21.0]
    assert ys_of(by_gamma, "ases-uni-bleu, beta 2") == [20.0, 21.0] and ys_of(
        by_gamma, "direct"
    ) == [5.0, 6.0]


def test_without_a_sweep_there_is_no_section(make_run) -> None:
    assert charts.sweeps(results()) == {}
    assert 'id="sweep"' not in write_page(make_run()).read_text(encoding="utf-8")


def test_the_page_of_a_sweep_holds_both_figures(make_run) -> None:
    folder = make_run(swept_results())
    for arm in swept_results().arms:
        rows = [{"update": u, "tokens": u, "seconds": 2.0 * u, "train_loss": 3 / u} for u in (1, 2)]
        write_rows(folder / arm.folder / "curves.jsonl", rows)
    page = write_page(folder).read_text(encoding="utf-8")
    assert 'id="sweep"' in page and "Accuracy (%) against beta" in page
    assert "Best training loss so far" in page and "training time (s)" in page
