"""Which of several rationales is chosen, and that all of them are paid for."""

from __future__ import annotations

import pytest

from fake_readers import GOLD, PROBLEMS, TASK, LastWordModel
from smallsteps.methods.guided.choices import (
    by_confidence,
    by_gold,
    by_quality,
    choose_rationales,
)
from smallsteps.methods.guided.rationales import WrittenRationale
from smallsteps.methods.guided.reader import Reader
from smallsteps.quality.scorer import Scorer

NOISE = WrittenRationale("So it is Atlantis.", 10)
SAMPLES = [[NOISE, gold] for gold in GOLD]
READER = Reader("m", LastWordModel(), TASK)


@pytest.mark.parametrize("rate", [by_gold(READER), by_quality(Scorer())], ids=["gold", "quality"])
def test_the_right_rationale_is_chosen_and_all_are_paid_for(rate):
    chosen = choose_rationales(PROBLEMS, SAMPLES, rate)
    assert [rationale.text for rationale in chosen] == [gold.text for gold in GOLD]
    assert {rationale.tokens for rationale in chosen} == {40}


def test_of_equal_rationales_the_first_is_chosen():
    chosen = choose_rationales(PROBLEMS, SAMPLES, lambda problems, rationales: [1.0] * 16)
    assert {rationale.text for rationale in chosen} == {NOISE.text}


class SureOfGold:
    """Log-probabilities that are high for all answers but Atlantis."""

    def log_probs(self, conversations):
        assert all("Reasoning: " in messages[-1][1] for messages, _ in conversations)
        return [-9.0 if answer == "Atlantis" else -1.0 for _, answer in conversations]


def test_confidence_is_the_likelihood_of_the_readers_own_answer():
    chosen = choose_rationales(PROBLEMS, SAMPLES, by_confidence(READER, SureOfGold()))
    assert [rationale.text for rationale in chosen] == [gold.text for gold in GOLD]
