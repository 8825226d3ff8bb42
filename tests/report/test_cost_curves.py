"""The data of the main figure: best so far, means of seeds, plateaus, leads, and arms that have no
ordinary curve."""

from __future__ import annotations

from typing import Any

from smallsteps.experiment.results import ArmResult, Results
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.report import cost_curves
from smallsteps.report.cost_curves import CostFigure, cost_figures

from .conftest import (
    FIGURE,
    arm_result,
    comparison,
    curve,
    plateau_results,
    results,
    results_of,
    round_result,
    trained,
    untrained,
)


def over_tokens(found: Results) -> CostFigure:
    return next(figure for figure in cost_figures(found) if figure.cost == "tokens")


def lines(found: Results) -> dict[str, Any]:
    return {line.name: line for line in over_tokens(found).lines}


def test_a_line_is_the_best_evaluation_so_far_and_is_level_from_the_chosen_checkpoint_on() -> None:
    line = lines(results_of(trained("direct", 40.0, 10.0, 30.0, 25.0, 30.0)))["direct"]
    assert line.best == [(50_000, 10.0), (100_000, 30.0), (150_000, 30.0), (200_000, 30.0)]
    assert line.chosen == (100_000, 30.0), "of equals the earlier"
    assert line.end == (200_000, 30.0) and line.plateau is True
    assert [y for _, y in line.measured[0]] == [10.0, 30.0, 25.0, 30.0]


def test_cost_is_counted_in_tokens_seconds_and_passes() -> None:
    figures = cost_figures(results_of(trained("direct", 40.0, 10.0, 30.0)))
    ends = {figure.cost: figure.lines[0].end[0] for figure in figures}
    assert ends == {"tokens": 100_000, "seconds": 20.0, "passes": 4.0}


def test_the_mean_of_seeds_goes_on_with_the_plateau_of_a_seed_that_ended_earlier() -> None:
    """The trap: a mean over the seeds that still train jumps where one of them ends."""
    short = trained("direct", 40.0, 10.0, 20.0, seed=0)
    long = trained("direct", 40.0, 20.0, 30.0, 25.0, 50.0, seed=1)
    line = lines(results_of(short, long))["direct"]
    assert [y for _, y in line.best] == [15.0, 25.0, 25.0, 35.0]
    assert [y for _, y in line.lowest] == [10.0, 20.0, 20.0, 20.0]
    assert [y for _, y in line.highest] == [20.0, 30.0, 30.0, 50.0]
    assert line.chosen == (200_000, 35.0) and over_tokens(results_of(short, long)).seeds == 2


def test_evaluations_without_a_figure_are_passed_over_and_one_alone_makes_no_figure() -> None:
    pair = arm_result("ases-dual-ent", 40.0, curve=curve(None, 12.0, None, 30.0))
    assert [y for _, y in lines(results_of(pair))["ases-dual-ent"].best] == [12.0, 30.0]
    assert cost_figures(results_of(arm_result("direct", 40.0, curve=curve(None, 12.0)))) == []
    assert cost_figures(results()) == [] and cost_figures(results_of()) == []


def test_an_arm_that_trains_nothing_is_a_level_and_one_without_validation_is_named() -> None:
    arms = [
        untrained("base", 12.0),
        untrained("base-fewshot", 12.0, validation=None),
        trained("direct", 40.0, 10.0, 30.0),
        arm_result("answer-only", 20.0, validation=18.0),
    ]
    figure = over_tokens(results_of(*arms))
    assert [(level.name, level.value) for level in figure.levels] == [("base", 13.0)]
    assert figure.unmeasured == ["base-fewshot"]
    answer_only = next(line for line in figure.lines if line.name == "answer-only")
    assert answer_only.best == [(1_530_000, 18.0)], "a point at its whole cost"


def test_a_seed_that_came_to_the_cap_makes_its_arm_one_without_plateau() -> None:
    arms = [
        trained("direct", 40.0, 1.0, 2.0, seed=s, plateau=p) for s, p in ((0, True), (1, False))
    ]
    assert lines(results_of(*arms))["direct"].plateau is False
    assert (
        lines(results_of(trained("direct", 4.0, 1.0, 2.0, plateau=None)))["direct"].plateau is None
    )


def test_rounds_of_tailored_learning_are_points_at_their_tokens_so_far() -> None:
    figures = [FIGURE.model_copy(update={"value": value}) for value in (40.0, 35.0, 38.0)]
    rounds = [
        round_result(arm="tailored-full", round=n, validation=figure, train_tokens=1_000 * (n > 0))
        for n, figure in enumerate(figures)
    ]
    part = TailoredResults(teacher="solver", equal="anchors", rounds=rounds)
    found = results_of(
        arm_result("tailored-full", 40.0, method="tailored"), methods={"tailored": part}
    )
    line = lines(found)["tailored-full"]
    assert line.best == [(0, 40.0), (1_000, 35.0), (2_000, 38.0)], "the untrained student first"
    assert line.chosen == (2_000, 38.0)
    assert [figure.cost for figure in cost_figures(found)] == ["tokens"]


def test_the_lead_changes_where_lines_cross_and_an_untrained_arm_can_lead_at_first() -> None:
    leads = over_tokens(plateau_results()).leads()
    assert [lead.name for lead in leads] == ["base", "direct", "ases-uni-rouge"]
    # between 200,000 and 250,000 tokens segments rise from 37 to 40, whole chains stay at 38
    assert round(leads[2].cost) == 216_667 and round(leads[2].value, 6) == 38.0


def test_a_short_lead_and_that_of_a_control_are_none() -> None:
    flicker = [30.0] * 40
    blip = [29.0] * 20 + [31.0] + [31.0] * 19
    arms = [trained("direct", 40.0, *flicker), trained("uni", 40.0, *blip)]
    names = [lead.name for lead in over_tokens(results_of(*arms)).leads()]
    assert names == ["direct", "uni"]
    late = [29.0] * 39 + [31.0]
    arms = [trained("direct", 40.0, *flicker[:-2], 33.0, 33.0), trained("uni", 40.0, *late)]
    assert [lead.name for lead in over_tokens(results_of(*arms)).leads()] == ["direct"]
    ceiling = trained("gold", 90.0, 80.0, 90.0, control=True)
    found = results_of(trained("direct", 40.0, 10.0, 30.0), ceiling)
    assert [lead.name for lead in over_tokens(found).leads()] == ["direct"]


def test_nobody_leads_as_long_as_all_arms_are_level() -> None:
    arms = [
        untrained("base", 0.0, validation=0.0),
        trained("direct", 40.0, 0.0, 0.0, 30.0),
        trained("uni", 40.0, 0.0, 0.0, 20.0),
    ]
    leads = over_tokens(results_of(*arms)).leads()
    assert [lead.name for lead in leads] == ["direct"]
    level = [untrained("base", 0.0, validation=0.0), trained("direct", 0.0, 0.0, 0.0)]
    assert over_tokens(results_of(*level)).leads() == []


def test_of_very_many_arms_the_best_are_drawn_and_always_the_baseline() -> None:
    arms: list[ArmResult] = [trained("direct", 1.0, 0.0, 1.0)]
    arms += [trained(f"uni-{n}", 40.0, 1.0, 2.0 + n) for n in range(20)]
    found = results_of(*arms, comparisons=[comparison("uni-3", "direct", 1.0, 0.0, 2.0)])
    figure = over_tokens(found)
    assert len(figure.lines) == cost_curves.MOST_LINES
    assert figure.lines[0].name == "direct" and "uni-19" in {line.name for line in figure.lines}
    assert figure.left_out == [f"uni-{n}" for n in range(9)]


def test_of_a_sweep_over_chains_the_largest_set_is_drawn() -> None:
    arms = [trained(f"direct-limit={n}", 40.0, 1.0, n / 100) for n in (250, 500, 1000)]
    figure = over_tokens(results_of(*arms))
    assert [line.name for line in figure.lines] == ["direct-limit=1000"]
    assert figure.fewer_chains == 2 and figure.left_out == []
