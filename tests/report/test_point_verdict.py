"""The verdict on arms trained until their plateau: every rule, and never more than the intervals
say."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.experiment.results import ArmResult, Results
from smallsteps.experiment.run_facts import BestStudent
from smallsteps.experiment.score_results import Point, PointComparison
from smallsteps.report.verdict import Verdict, verdict

from .conftest import (
    comparison,
    plateau_results,
    point,
    point_comparison,
    pooled_result,
    trained,
    untrained,
)

POINTS: tuple[Point, ...] = ("budget", "plateau", "passes")


def run(
    *tests: PointComparison,
    arms: list[ArmResult] | None = None,
    best: str = "uni",
    **more: Any,
) -> Results:
    """Whole chains and segments with these tests; answers take equally long."""
    if arms is None:
        arms = [trained("direct", 40.0, 30.0, 38.0), trained("uni", 41.0, 20.0, 42.0)]
    names = [arm.name for arm in arms if arm.train_tokens]
    return plateau_results(
        arms=arms,
        points=[point(where, name, 40.0) for where in POINTS for name in dict.fromkeys(names)],
        point_comparisons=list(tests),
        best=BestStudent(name=best, seed=0, folder="f", validation=42.0),
        **{"comparisons": [], **more},
    )


def said(*tests: PointComparison, **more: Any) -> Verdict:
    return verdict(run(*tests, **more))


TESTED = "accuracy on 500 test problems, one seed, 95 % intervals in brackets."
BUDGET = "Small budget (200 k training tokens): "
PLATEAU = "Trained to the plateau: "
PASSES = "Equal passes (8.0): "


@pytest.mark.parametrize(
    ("where", "start"), [("budget", BUDGET), ("plateau", PLATEAU), ("passes", PASSES)]
)
@pytest.mark.parametrize(
    ("difference", "reach", "outcome"),
    [
        (5.2, 3.5, "uni leads by 5.2 points [1.7, 8.7]."),
        (-5.2, 3.5, "direct leads by 5.2 points [1.7, 8.7]."),
        (2.2, 3.1, "no clear difference, +2.2 points [−0.9, +5.3]."),
        (-2.2, 3.1, "no clear difference, −2.2 points [−5.3, +0.9]."),
        (2.0, 2.0, "no clear difference, +2.0 points [+0.0, +4.0]."),
    ],
)
def test_each_point_names_a_winner_only_where_its_interval_excludes_zero(
    where: Point, start: str, difference: float, reach: float, outcome: str
) -> None:
    found = said(point_comparison(where, "uni", difference, reach))
    assert found.text == f"uni, best on validation, compared with direct: {TESTED} {start}{outcome}"
    if where == "plateau":
        assert found.clear is (abs(difference) > reach)
    else:
        assert found.clear is None, "nothing was tested at the plateau"


def test_the_points_are_told_in_their_order_whatever_that_of_the_tests() -> None:
    tests = [point_comparison(where, "uni", 5.0, 1.0) for where in reversed(POINTS)]
    text = said(*tests).text
    assert text.index(BUDGET) < text.index(PLATEAU) < text.index(PASSES)


@pytest.mark.parametrize(
    ("small", "end", "crosses"),
    [
        ((-5.0, 2.0), (5.0, 2.0), True),
        ((5.0, 2.0), (-5.0, 2.0), True),
        ((5.0, 2.0), (5.0, 2.0), False),
        ((-5.0, 2.0), (5.0, 6.0), False),
        ((-5.0, 6.0), (5.0, 2.0), False),
        ((-5.0, 6.0), (5.0, 6.0), False),
    ],
)
def test_a_crossing_is_claimed_only_where_both_points_have_clear_and_different_winners(
    small: tuple[float, float], end: tuple[float, float], crosses: bool
) -> None:
    text = said(
        point_comparison("budget", "uni", *small), point_comparison("plateau", "uni", *end)
    ).text
    assert ("So it depends on the budget which of the two is better." in text) is crosses


def test_where_the_baseline_was_chosen_it_is_compared_with_the_next_best_on_validation() -> None:
    arms = [
        trained("direct", 40.0, 30.0, 45.0),
        trained("worse-on-validation", 44.0, 20.0, 30.0),
        trained("uni", 39.0, 20.0, 42.0),
    ]
    tests = [
        point_comparison("plateau", "worse-on-validation", 4.0, 1.0),
        point_comparison("plateau", "uni", -3.0, 1.0),
    ]
    assert said(*tests, arms=arms, best="direct").text == (
        f"direct, best on validation, compared with uni: {TESTED} "
        f"{PLATEAU}direct leads by 3.0 points [2.0, 4.0]."
    )


def test_of_a_sweep_over_chains_the_two_ways_are_compared_at_each_number_of_chains() -> None:
    names = [f"{way}-limit={n}" for way in ("direct", "uni") for n in (1000, 250, 500)]
    arms = [trained(name, 40.0, 20.0, 30.0) for name in names]
    tests = [
        point_comparison("plateau", f"uni-limit={n}", 6.0 - n / 100, 2.0, f"direct-limit={n}")
        for n in (250, 500, 1000)
    ]
    found = said(*tests, arms=arms, best="uni-limit=1000")
    assert found.text == (
        f"uni-limit=1000, best on validation, compared with direct-limit=1000: {TESTED} "
        "250 chains: uni leads by 3.5 points [1.5, 5.5]. "
        "500 chains: no clear difference, +1.0 points [−1.0, +3.0]. "
        "1,000 chains: direct leads by 4.0 points [2.0, 6.0]."
    )
    assert found.clear is True, "at the number of chains of the chosen arm"


def test_controls_are_never_one_of_the_two() -> None:
    arms = [
        trained("direct", 40.0, 30.0, 38.0),
        trained("gold", 90.0, 50.0, 90.0, control=True),
        trained("uni", 41.0, 20.0, 42.0),
    ]
    tests = [point_comparison("plateau", name, 9.0, 1.0) for name in ("gold", "uni")]
    for best in ("direct", "gold"):
        text = said(*tests, arms=arms, best=best).text
        assert "gold" not in text and "uni" in text


def test_an_arm_cut_by_labels_of_the_data_is_called_a_ceiling() -> None:
    def text(*names: str) -> str:
        arms = [trained(name, 40.0, 20.0, 40.0 + n) for n, name in enumerate(names)]
        test = point_comparison("plateau", names[1], 6.0, 2.0, names[0])
        return said(test, arms=arms, best=names[1]).text

    one = " ases-uni-gold is cut by labels of the data: a ceiling for data without them."
    assert text("direct", "ases-uni-gold").endswith(one)
    both = " ases-dual-gold and ases-uni-gold are cut by labels of the data: a ceiling for"
    assert both in text("ases-uni-gold", "ases-dual-gold")
    assert "ceiling" in text("direct-limit=250", "ases-uni-gold-limit=250")
    for name in ("ases-uni-rouge", "ases-uni-goldfish", "guided-distilled-gold"):
        assert "ceiling" not in text("direct", name)


def test_answers_that_take_clearly_longer_or_shorter_are_named() -> None:
    def text(seconds: float) -> str:
        arms = [
            trained("direct", 40.0, 30.0, 38.0, seconds_per_answer=0.1),
            trained("uni", 41.0, 20.0, 42.0, seconds_per_answer=seconds),
        ]
        return said(point_comparison("plateau", "uni", 1.0, 2.0), arms=arms).text

    assert text(0.28).endswith(" An answer of uni takes 2.8 times as long.")
    assert text(0.05).endswith(" An answer of direct takes 2.0 times as long.")
    assert "times as long" not in text(0.145) and "times as long" not in text(0.0)


def test_an_arm_of_the_two_that_came_to_the_cap_is_named() -> None:
    def text(direct: bool, uni: bool) -> str:
        arms = [
            trained("direct", 40.0, 30.0, 38.0, plateau=direct),
            trained("uni", 41.0, 20.0, 42.0, plateau=uni),
            trained("other", 1.0, 1.0, 2.0, plateau=False),
        ]
        return said(point_comparison("plateau", "uni", 1.0, 2.0), arms=arms).text

    end = "came to the cap of 500 k tokens before a plateau: more training may change this."
    assert f" uni {end}" in text(True, False)
    assert f" uni and direct {end}" in text(False, False)
    assert "cap" not in text(True, True)


@pytest.mark.parametrize(
    ("tests", "end"),
    [
        ([], "Without training, base reaches 50.0 %."),
        ([(-4.0, -6.0, -2.0)], "Without training, base reaches 50.0 %, clearly worse than direct."),
        ([(4.0, 2.0, 6.0)], "Without training, base reaches 50.0 %, clearly better than direct."),
        (
            [(4.0, -1.0, 9.0)],
            "Without training, base reaches 50.0 %, not clearly different from direct.",
        ),
    ],
)
def test_the_untrained_student_is_named_and_judged_by_its_paired_test_alone(
    tests: list[tuple[float, float, float]], end: str
) -> None:
    """Even where its figure is the highest, nothing but its test says that training did not help."""
    arms = [
        untrained("base", 50.0),
        untrained("base-worse", 10.0),
        trained("direct", 40.0, 30.0, 38.0),
        trained("uni", 41.0, 20.0, 42.0),
    ]
    comparisons = [comparison("base", "direct", *test) for test in tests]
    text = said(
        point_comparison("plateau", "uni", 1.0, 2.0), arms=arms, comparisons=comparisons
    ).text
    assert text.endswith(f" {end}")


def test_an_untrained_student_that_is_best_on_validation_is_named_as_such() -> None:
    arms = [
        untrained("base", 50.0),
        untrained("base-fewshot", 60.0),
        trained("direct", 40.0, 30.0, 38.0),
        trained("uni", 41.0, 20.0, 42.0),
    ]
    tests = [comparison("base", "direct", 10.0, -1.0, 21.0)]
    found = said(
        point_comparison("plateau", "uni", 1.0, 2.0), arms=arms, best="base", comparisons=tests
    )
    assert found.text.startswith("uni compared with direct: "), "validation did not choose it"
    assert found.text.endswith(
        " No trained arm is better on validation than base, which reaches 50.0 % without training, "
        "not clearly different from direct."
    )


def test_several_seeds_are_named_and_their_pooled_tests_count() -> None:
    arms = [
        trained(name, 40.0, 30.0, 38.0, seed=seed) for name in ("direct", "uni") for seed in (0, 1)
    ]
    pooled = [pooled_result(name, 40.0) for name in ("direct", "uni")]
    text = said(
        point_comparison("plateau", "uni", 1.0, 2.0, seed=None), arms=arms, pooled=pooled
    ).text
    start = (
        "uni, best on validation, compared with direct: accuracy on 500 test problems, 2 seeds, "
    )
    assert text.startswith(start)


def test_one_arm_is_reported_with_its_interval_and_cost() -> None:
    assert said(arms=[trained("direct", 40.0, 30.0, 38.0)], best="direct").text == (
        "direct, trained to the plateau (100 k tokens), reaches 40.0 % [35.9, 44.3] "
        "on 500 test problems."
    )


def test_few_test_problems_are_warned_of() -> None:
    arms = [trained(name, 40.0, 30.0, 38.0, n=40) for name in ("direct", "uni")]
    test = point_comparison("plateau", "uni", 30.0, 10.0)
    end = " Only 40 test problems: the intervals are wide."
    assert said(test, arms=arms).text.endswith(end)
    assert end not in said(test).text


def test_where_lower_is_better_the_winner_is_the_lower() -> None:
    arms = [trained(name, 40.0, 30.0, 38.0, metric="missing_ratio") for name in ("direct", "uni")]
    found = said(point_comparison("plateau", "uni", -5.0, 1.0), arms=arms)
    assert f"{PLATEAU}uni leads by 5.0 points [4.0, 6.0]." in found.text


def test_without_points_the_verdict_is_that_of_the_whole_run() -> None:
    found = verdict(plateau_results(points=[], point_comparisons=[]))
    assert found.text.startswith(
        "ases-uni-rouge, best on validation, reaches 41.4 % on the test set, 2.2 points above"
    )
