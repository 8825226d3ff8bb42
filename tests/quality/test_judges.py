"""The interface of judges: what `aspects` may count on, whatever the judge."""

import pytest

from smallsteps.quality.judges import Judgement
from smallsteps.quality.lexical_judge import LexicalJudge
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Scorer

from .conftest import GOOD, PROBLEM


class Certain:
    """A judge of somebody else: it knows the interface alone."""

    nearest = 2

    def verdicts(self, pairs):
        return [Judgement(entailment=1.0, contradiction=0.0) for _ in pairs]

    def similarities(self, pairs):
        return [1.0 for _ in pairs]


def test_a_verdict_is_how_far_it_follows_and_how_far_it_contradicts():
    assert Judgement(0.9, 0.1) == (0.9, 0.1)


def test_any_class_with_the_two_methods_judges():
    quality = Scorer(Certain(), Certain()).score([Rated.of(PROBLEM, GOOD)])[0]
    assert quality["factuality"] == quality["logicality"] == quality["consistency"] == 1


@pytest.mark.parametrize("judge", [Certain(), LexicalJudge()])
def test_no_pairs_give_no_verdicts(judge):
    assert judge.verdicts([]) == judge.similarities([]) == []
