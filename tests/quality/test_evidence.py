"""Pairs that aspects ask about are judged beforehand, in two calls."""

from __future__ import annotations

from smallsteps.quality.evidence import Evidence, within_reach
from smallsteps.quality.judges import Judgement
from smallsteps.quality.lexical_judge import LexicalJudge
from smallsteps.quality.rated import Rated

from .conftest import GOOD, PROBLEM


class Counting:
    """Counts calls and pairs."""

    nearest = 1

    def __init__(self):
        self.calls, self.pairs = 0, []

    def verdicts(self, pairs):
        self.calls, self.pairs = self.calls + 1, [*self.pairs, *pairs]
        return [Judgement(0.5, 0.25) for _ in pairs]

    def similarities(self, pairs):
        self.calls, self.pairs = self.calls + 1, [*self.pairs, *pairs]
        return LexicalJudge().similarities(pairs)


def test_what_names_link_to_the_question_is_within_reach():
    rated = Rated.of(PROBLEM, GOOD)
    assert within_reach(rated) == [rated.question, *rated.context], (
        "the question names Ann, Ann's sentence names Rome"
    )


def test_each_judge_is_called_once_for_all_rationales():
    judge, similarity = Counting(), Counting()
    items = [Rated.of(PROBLEM, GOOD), Rated.of(PROBLEM, "Rome is a town. So it is Italy.")]
    evidence = Evidence(judge, similarity, items)
    assert (judge.calls, similarity.calls) == (1, 1)
    assert len(set(judge.pairs)) == len(judge.pairs), "no pair is judged twice"
    premise = evidence.premise_of_last(items[0])
    assert premise.endswith("Ann lives in Rome. Rome is a town in Italy.")
    assert evidence.verdict(premise, "So Ann lives in Italy.") == Judgement(0.5, 0.25)


def test_the_context_judges_a_step_by_its_nearest_sentence_and_by_two_that_belong_together():
    judge = Counting()
    item = Rated.of(PROBLEM, "Ann lives in Italy.")
    Evidence(judge, LexicalJudge(), [item])
    premises = [premise for premise, _ in judge.pairs]
    assert premises[0] == "Ann lives in Rome."
    assert premises[1] == "Ann lives in Rome. Rome: It is a town in Italy."
