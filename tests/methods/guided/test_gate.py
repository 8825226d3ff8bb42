"""The gate: which rationales are shown, and whose answer stands for those that are not."""

from __future__ import annotations

import pytest

from fake_readers import GOLD, PROBLEMS, TASK, LastWordModel
from smallsteps.errors import DataError
from smallsteps.methods.guided.gate import Gate, answers_through_gate, choose
from smallsteps.methods.guided.method import guided_answers, unguided_answers
from smallsteps.methods.guided.rationales import WrittenRationale
from smallsteps.methods.guided.reader import Reader
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Problem

FALSE = WrittenRationale("Ann lives in Atlantis. So it is Nirvana.", 9)


def gate(least: float) -> Gate:
    return Gate(least, Scorer(aspects=("factuality",)))


def test_a_rationale_that_the_context_supports_passes_and_a_false_or_empty_one_does_not():
    rationales = [GOLD[0], FALSE, WrittenRationale("", 1)]
    factualities = gate(0.5).factualities(PROBLEMS[:3], rationales)
    assert [gate(0.5).passes(value) for value in factualities] == [True, False, False]
    assert factualities[2] == 0 and gate(0.0).passes(0.0), "0 holds nothing back"


def test_what_the_judge_could_not_rate_is_not_shown():
    assert not gate(0.0).passes(None)


def test_each_question_is_asked_once_with_its_rationale_or_without():
    model = LastWordModel()
    passed = [True, False, True]
    rationales = [GOLD[0], FALSE, GOLD[2]]
    answers = answers_through_gate(PROBLEMS[:3], rationales, passed, Reader("m", model, TASK))
    assert len(model.requests) == 3 and not any("Atlantis" in text for text in model.requests)
    assert [answer.answer for answer in answers] == [
        PROBLEMS[0].answer,
        "Nowhere",
        PROBLEMS[2].answer,
    ]
    assert [answer.problem_id for answer in answers] == [problem.id for problem in PROBLEMS[:3]]


@pytest.mark.parametrize("passed", [[True, False, True], [False] * 3, [True] * 3])
def test_asking_once_gives_the_answers_that_are_chosen_from_both(passed):
    rationales = [GOLD[0], FALSE, GOLD[2]]
    reader = Reader("m", LastWordModel(), TASK)
    once = answers_through_gate(PROBLEMS[:3], rationales, passed, reader)
    both = choose(
        guided_answers(PROBLEMS[:3], rationales, reader),
        unguided_answers(PROBLEMS[:3], reader),
        passed,
        rationales,
    )
    assert [answer.answer for answer in once] == [answer.answer for answer in both]
    assert [answer.small_tokens for answer in once] == [30, 9, 30], "written before it was judged"


def test_a_question_without_context_is_refused_before_anything_is_asked():
    with pytest.raises(DataError, match="q: no context, against which factuality is measured"):
        gate(0.5).check([*PROBLEMS, Problem("q", "How many?", "12")])


def test_a_forecast_needs_a_chat_model():
    assert gate(0.5).forecast(PROBLEMS) is None
