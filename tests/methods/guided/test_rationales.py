"""Rationales of several samples become one list and groups again; answers become predictions."""

from __future__ import annotations

import pytest

from fake_readers import PROBLEMS, TASK
from smallsteps.evaluation.grade import grade
from smallsteps.methods.guided.rationales import (
    GuidedAnswer,
    WrittenRationale,
    flatten,
    predictions_of,
    regroup,
)


def test_each_rationale_keeps_its_problem_in_groups_of_any_size():
    samples = [[WrittenRationale("a"), WrittenRationale("b")], [], [WrittenRationale("c")]]
    problems, rationales = flatten(PROBLEMS[:3], samples)
    assert problems == [PROBLEMS[0], PROBLEMS[0], PROBLEMS[2]]
    assert [rationale.text for rationale in rationales] == ["a", "b", "c"]
    assert regroup(rationales, samples) == samples


def test_items_that_do_not_fill_the_groups_are_refused():
    with pytest.raises(ValueError, match=r"2 items do not fill groups of \[3\]"):
        regroup([1, 2], ["abc"])


def test_an_answer_is_graded_as_read_and_not_read_again_from_the_rationale():
    problem = PROBLEMS[0]
    rationale = f"The answer is {problem.answer}."
    wrong = GuidedAnswer(problem.id, "Atlantis", rationale, "direct", 30, 12, 0.5, 0.25)
    (prediction,) = predictions_of([wrong])
    assert (prediction.tokens, prediction.seconds) == (42, 0.75)
    assert grade([prediction], [problem], TASK).value == 0.0
