"""Right chains beside gold, BLEU apart for right and wrong ones, different chains over seeds."""

from __future__ import annotations

import pytest

from smallsteps.evaluation.diversity import GradedChain, diversity, same_text
from smallsteps.evaluation.metrics import bleu

GOLD = "Ann has 3 x 4 = 12 pens. The answer is 12."
OTHER = "She has 12 pens, since 4 x 3 = 12. The answer is 12."
WRONG = "Ann has 3 x 4 = 13 pens. The answer is 13."


def chain(text: str, right: bool, gold: str | None = GOLD) -> GradedChain:
    return GradedChain(text, gold, right)


def test_case_and_white_space_make_no_difference_and_signs_do() -> None:
    assert same_text("ann has  3x4 = 12 pens. The answer is 12.") == same_text(GOLD)
    assert same_text("3 + 4 = 7") != same_text("3 x 4 = 7")


def test_only_right_chains_that_are_not_gold_differ() -> None:
    found = diversity([[chain(GOLD.upper(), True), chain(OTHER, True), chain(WRONG, False)]])
    assert found.right == 2 and found.differing is not None
    assert found.differing.value == 50.0 and found.differing.n == 2
    assert found.distinct is None, "one seed"


def test_bleu_is_measured_apart_on_right_and_on_wrong_chains() -> None:
    chains = [chain(OTHER, True), chain(GOLD, True), chain(WRONG, False)]
    found = diversity([chains])
    assert found.bleu_right is not None and found.bleu_wrong is not None
    assert found.bleu_right.value == pytest.approx(bleu([OTHER, GOLD], [GOLD, GOLD]))
    assert found.bleu_wrong.value == pytest.approx(bleu([WRONG], [GOLD]))
    assert (found.bleu_right.n, found.bleu_wrong.n) == (2, 1)


def test_problems_without_gold_chains_are_left_out() -> None:
    found = diversity([[chain(OTHER, True, gold=None), chain(WRONG, False)]])
    assert (found.right, found.differing, found.bleu_right) == (0, None, None)
    assert found.bleu_wrong is not None and found.bleu_wrong.n == 1


def test_different_chains_of_a_problem_are_counted_over_the_seeds() -> None:
    seeds = [
        [chain(GOLD, True), chain(OTHER, True)],
        [chain(GOLD, True), chain(WRONG, False)],
        [chain(GOLD.lower(), True), chain(GOLD, True)],
    ]
    assert diversity(seeds).distinct == pytest.approx((1 + 3) / 2)
