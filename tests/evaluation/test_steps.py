"""Which steps are right, by hand and on bundled chains; pooling; gold prefixes."""

from __future__ import annotations

import pytest

from smallsteps.evaluation import steps
from smallsteps.evaluation.steps import GoldSteps, NextStep, pooled, step_accuracies
from smallsteps.tasks.equations import find_equations
from smallsteps.tasks.stories import make_chains, story_of

GOLD = "Ann has 3 x 4 = 12 pens, 12 - 5 = 7 are left, and 7 + 1 = 8."


def steps_of(text: str, exact: bool = False) -> GoldSteps:
    return GoldSteps(tuple(find_equations(text)), exact)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (GOLD, [1, 1, 1]),
        ("", [0, 0, 0]),
        ("3 x 4 = 12. 12 - 5 = 7.", [1, 1, 0]),
        ("12 - 5 = 7. 7 + 1 = 8.", [0, 1, 1]),
        ("3 x 4 = 11. 12 - 5 = 7. 7 + 1 = 8.", [0, 1, 1]),
        ("3 x 4 = 13. 13 - 5 = 8. 8 + 1 = 9.", [0, 0, 1]),
        ("4 + 4 = 8. 8 + 4 = 12. 12 - 2 = 10. 10 - 3 = 7. 8 x 1 = 8", [1, 1, 1]),
        ("7 + 1 = 8. 12 - 5 = 7. 3 x 4 = 12.", [1, 0, 0]),
        ("3 x 4 = 12, but 15 - 5 = 7 and 7 + 1 = 8", [1, 0, 1]),
    ],
)
def test_steps_are_right_where_the_chain_has_their_results_in_order(
    text: str, right: list[int]
) -> None:
    assert steps_of(GOLD).right(text) == [bool(value) for value in right]


def test_exact_steps_need_the_same_numbers_too() -> None:
    gold = steps_of(GOLD, exact=True)
    assert gold.right("4 x 3 = 12. 12 - 5 = 7. 9 - 1 = 8.") == [True, True, False]
    assert gold.right("6 + 6 = 12. 12 - 5 = 7. 7 + 1 = 8.") == [False, True, True]


def test_equal_results_are_aligned_so_that_as_many_steps_as_possible_are_right() -> None:
    """A greedy search takes the first 5 for the first step and finds nothing after it."""
    gold = steps_of("2 + 3 = 5, 5 - 2 = 3, 3 + 2 = 5")
    assert gold.right("5 - 2 = 3, 3 + 2 = 5") == [False, True, True]
    assert gold.align(find_equations("5 - 2 = 3, 3 + 2 = 5")) == [None, 0, 1]


def test_gold_chains_are_right_at_every_step_and_a_damaged_one_fails_there_alone() -> None:
    for chain in make_chains(40, 7, "hard"):
        story, text = story_of(chain.problem), chain.rationale.text
        assert story is not None
        told = GoldSteps(
            tuple(find_equations(step.equation)[0] for step in story.steps), exact=True
        )
        read = steps_of(text)
        equations = find_equations(text)
        assert told.right(text) == read.right(text) == [True] * len(story.steps)
        for place, equation in enumerate(equations):
            digits = len(str(equation.result))
            damaged = f"{text[: equation.end - digits]}{equation.result + 1}{text[equation.end :]}"
            expected = [n != place for n in range(len(equations))]
            assert told.right(damaged) == read.right(damaged) == expected


def test_the_next_step_may_come_after_smaller_ones_but_not_after_many() -> None:
    prefix = "Ann has 3 x 4 = 12 pens,"
    step = NextStep(steps_of(GOLD), 1, prefix)
    assert step.right(f"{prefix} 12 - 5 = 7.") and step.right(f"{prefix} 12 - 2 = 10, 10 - 3 = 7.")
    assert not step.right(f"{prefix} 12 + 5 = 17.") and not step.right(prefix)
    long = f"{prefix} 12 - 1 = 11, 11 - 1 = 10, 10 - 1 = 9, 9 - 1 = 8, "
    assert not step.right(f"{long} 8 - 1 = 7.") and step.decided(long + "and")
    assert not step.right("3 x 4 = 12, 7 + 1 = 8. 15 - 8 = 8")


def test_a_step_in_the_prefix_itself_is_not_the_next_one() -> None:
    prefix = "1 + 6 = 7, 7 + 5 = 12,"
    step = NextStep(steps_of("1 + 6 = 7, 7 + 5 = 12, 12 - 5 = 7"), 2, prefix)
    assert not step.right(prefix) and step.right(f"{prefix} 12 - 5 = 7")


def test_a_continuation_goes_on_while_its_last_number_may_go_on() -> None:
    step = NextStep(steps_of("3 x 4 = 12. 12 x 10 = 120."), 1, "3 x 4 = 12.")
    assert not step.decided("3 x 4 = 12.") and not step.decided("3 x 4 = 12. So 12 x 10 = 120.")
    assert step.decided("3 x 4 = 12. So 12 x 10 = 120 pens.")
    assert not step.decided("3 x 4 = 12. So 12 x 10 = 130 pens.")


def test_late_and_rare_steps_are_pooled() -> None:
    assert pooled([3] * 30) == [(1, 1), (2, 2), (3, 3)]
    assert pooled([3] * 29) == [(1, 3)]
    assert pooled([8] * 100) == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 8)]
    assert pooled([5] * 100) == [(n, n) for n in range(1, 6)]
    assert pooled([2] * 40 + [6] * 5) == [(1, 1), (2, 2), (3, 6)]
    assert pooled([]) == []


def test_accuracies_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LEAST_CHAINS", 2)
    gold_prefix = [[[True, True, False, True], [True, False], [True]]]
    free_running = [[[True, False, False, False], [False, False], [True]]]
    rows = step_accuracies(free_running, gold_prefix)
    assert [(row.first, row.last, row.n) for row in rows] == [(1, 1, 3), (2, 2, 2), (3, 4, 1)]
    assert [row.gold_prefix and round(row.gold_prefix.value) for row in rows] == [100, 50, 50]
    assert [round(row.free_running.value) for row in rows] == [67, 0, 0]
    assert [row.lost and round(row.lost.value) for row in rows] == [33, 50, 50]
    assert [(row.gold_prefix, row.lost) for row in step_accuracies(free_running)] == [
        (None,) * 2
    ] * 3
    two = step_accuracies([*free_running, *gold_prefix], [*gold_prefix, *gold_prefix])
    assert [(row.n, round(row.free_running.value)) for row in two] == [(6, 83), (4, 25), (2, 25)]
