"""Sweeps: the metric against a setting or against the number of chains, all by one function."""

from __future__ import annotations

import re

from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import Results
from smallsteps.report.page import write_page
from smallsteps.report.sweeps import arm_colours, sweeps, with_most_chains

from .conftest import arm_result, results, results_of, write_rows
from .test_charts import ys_of


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
    drawn = sweeps(swept_results())
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
    drawn = sweeps(results_of(*arms, *direct))
    by_beta, by_gamma = map(str, drawn["charts"])
    assert ys_of(by_beta, "ases-uni-bleu, gamma 1") == [11.0, 21.0]
    assert ys_of(by_gamma, "ases-uni-bleu, beta 2") == [20.0, 21.0] and ys_of(
        by_gamma, "direct"
    ) == [5.0, 6.0]


def test_without_a_sweep_there_is_no_section(make_run) -> None:
    assert sweeps(results()) == {}
    assert 'id="sweep"' not in write_page(make_run()).read_text(encoding="utf-8")


def test_the_page_of_a_sweep_holds_both_figures(make_run) -> None:
    folder = make_run(swept_results())
    for arm in swept_results().arms:
        rows = [{"update": u, "tokens": u, "seconds": 2.0 * u, "train_loss": 3 / u} for u in (1, 2)]
        write_rows(folder / arm.folder / "curves.jsonl", rows)
    page = write_page(folder).read_text(encoding="utf-8")
    assert 'id="sweep"' in page and "Accuracy (%) against beta" in page
    assert "Best training loss so far" in page and "training time (s)" in page


def limited_results() -> Results:
    arms = [
        arm_result(f"{name}-limit={limit}", value + limit / 1000)
        for name, value in (("direct", 40.0), ("ases-uni-rouge", 44.0))
        for limit in (4000, 250, 1000)
    ]
    return results_of(arm_result("base", 12.0, train_tokens=None), *arms)


def test_data_efficiency_is_drawn_against_the_number_of_chains_on_a_logarithmic_axis() -> None:
    drawn = sweeps(limited_results())
    assert list(drawn["legend"]) == ["base", "direct", "ases-uni-rouge"]
    (chart,) = map(str, drawn["charts"])
    assert "Accuracy (%) against training chains" in chart
    assert ys_of(chart, "direct") == [40.25, 41.0, 44.0] and ys_of(chart, "base") == [12.0, 12.0]
    places = [float(x) for x in re.findall(r'text class="tick" x="([0-9.]+)" y="227', chart)]
    assert len(places) == 3 and abs(places[2] - 2 * places[1] + places[0]) < 0.2, "250, 1000, 4000"
    assert chart.count('class="span"') == 6, "the interval of each point"


def test_arms_that_differ_only_in_the_number_of_chains_share_a_colour() -> None:
    colours = arm_colours(limited_results())
    assert colours["base"] == 0
    assert {colours[f"direct-limit={n}"] for n in (250, 1000, 4000)} == {1}
    assert colours["ases-uni-rouge-limit=250"] == 2


def test_of_each_way_of_teaching_the_arm_with_most_chains_stays() -> None:
    names = [arm.name for arm in limited_results().arms]
    assert with_most_chains(names) == ["base", "direct-limit=4000", "ases-uni-rouge-limit=4000"]
    assert with_most_chains(["a-beta=1", "a-beta=2"]) == ["a-beta=1", "a-beta=2"]
