"""Feedback as data: what is learnt from, what is left out and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.experiment.feedback_data import (
    HELD_OUT,
    INCOMPLETE,
    NOTHING_RIGHT,
    UNCLEAR,
    feedback_chains,
    feedback_line,
    new_problems,
    read_feedback_files,
    with_positives,
)
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks import get_task
from smallsteps.teaching.feedback import Feedback, append_feedback

TASK = get_task("numbers")
PENS = Problem("pens", "Ann has 3 pens and buys 4. How many pens?", "7")
CUPS = Problem("cups", "Bo has 5 cups and buys 1. How many cups?", "6")
TESTED = Problem("tested", "Cy has 1 hat and buys 1. How many hats?", "2")


def judged(question=PENS.question, *, id="pens", rationale="3 + 4 = 8. The answer is 8.", **more):
    fields = {"answer": "8", "verdict": "wrong", "edited": None, **more}
    return Feedback(
        id, question, rationale, student="bundled", time="2026-01-31T12:00:00+00:00", **fields
    )


def used(*judgements, train=(PENS, CUPS), task=TASK):
    return feedback_chains(judgements, task, train, [TESTED])


def test_an_edited_chain_is_a_positive_and_what_it_replaces_a_negative() -> None:
    feedback = used(judged(edited="3 + 4 = 7. The answer is 7."))
    (positive,), (negative,) = feedback.positives, feedback.rejected
    assert positive.problem == negative.problem == PENS
    assert positive.rationale.text == "3 + 4 = 7. The answer is 7."
    assert (positive.rationale.author, positive.rationale.correct) == ("feedback", True)
    assert negative.rationale.text == "3 + 4 = 8. The answer is 8."
    assert (negative.rationale.author, negative.rationale.correct) == ("bundled", False)


def test_a_chain_that_was_judged_right_is_a_positive_alone() -> None:
    feedback = used(judged(rationale="4 + 3 = 7. The answer is 7.", verdict="right"))
    assert [chain.rationale.text for chain in feedback.positives] == ["4 + 3 = 7. The answer is 7."]
    assert not feedback.rejected and feedback.counts["right"] == 1


def test_a_right_answer_may_have_a_rejected_chain() -> None:
    feedback = used(judged(rationale="3 x 4 = 7. The answer is 7.", answer="7"))
    assert [chain.rationale.text for chain in feedback.rejected] == ["3 x 4 = 7. The answer is 7."]


@pytest.mark.parametrize(
    ("edited", "reason"),
    [
        ("3 + 4 = 9. The answer is 9.", "wrong answer"),
        ("As the correct answer is given as 7. The answer is 7.", "mentions the prompt"),
        ("3 + 4 = \ufffd. The answer is 7.", "contains damaged characters"),
    ],
)
def test_an_edited_chain_that_no_teacher_may_write_is_counted_and_not_learnt_from(
    edited, reason
) -> None:
    feedback = used(judged(edited=edited))
    assert not feedback.positives and feedback.counts["left_out"] == {reason: 1}
    assert len(feedback.rejected) == 1, "what was judged wrong is a negative all the same"


def test_a_right_verdict_against_the_gold_answer_is_not_learnt_from() -> None:
    feedback = used(judged(verdict="right"))
    assert not feedback.positives and not feedback.rejected
    assert feedback.counts["left_out"] == {"wrong answer": 1}


@pytest.mark.parametrize(
    "edited", ["3 + 4 = 7", "3 + 4 = 7\n#### 7", r"3 + 4 = \boxed{7}", "So she has 7 pens."]
)
def test_other_closings_become_the_one_that_students_learn(edited) -> None:
    (positive,) = used(judged(edited=edited)).positives
    assert positive.rationale.text.endswith("The answer is 7.")


def test_the_question_counts_and_not_the_id_white_space_or_case() -> None:
    feedback = used(
        judged(f"  {PENS.question.upper()}\n", id="cups", edited="3 + 4 = 7. The answer is 7.")
    )
    assert feedback.positives[0].problem == PENS


def test_held_out_questions_are_counted_and_give_neither_positives_nor_negatives() -> None:
    feedback = used(
        judged(TESTED.question.lower(), id="pens", edited="1 + 1 = 2. The answer is 2."),
        judged(TESTED.question, rationale="1 + 1 = 3. The answer is 3."),
    )
    assert not feedback.positives and not feedback.rejected
    assert feedback.counts["held_out"] == 2 and not feedback.counts["left_out"]


def test_a_new_question_joins_with_the_answer_of_its_edited_chain() -> None:
    question = "Di has 2 keys and finds 3. How many keys?"
    feedback = used(
        judged(question, id="pens", rationale="Six. The answer is 6."),
        judged(question, id="pens", edited="2 + 3 = 5. The answer is 5."),
        judged(question, id="other", rationale="3 + 2 = 5. The answer is 5.", verdict="right"),
        judged(question, id="other", rationale="2 x 3 = 6. The answer is 6.", verdict="right"),
    )
    (problem,) = new_problems([PENS, CUPS], feedback)
    assert (problem.id, problem.question, problem.answer) == ("pens-feedback", question, "5")
    assert all(chain.problem == problem for chain in feedback.positives)
    assert len(feedback.positives) == 2 and len(feedback.rejected) == 2
    assert feedback.counts["new_questions"] == 1
    assert feedback.counts["left_out"] == {"wrong answer": 1}, "against the answer it joined with"


def test_new_questions_with_one_id_stay_apart() -> None:
    feedback = used(
        judged("What is 1 + 1?", id="q", edited="1 + 1 = 2. The answer is 2."),
        judged("What is 1 + 2?", id="q", edited="1 + 2 = 3. The answer is 3."),
    )
    assert [problem.id for problem in new_problems([PENS], feedback)] == ["q", "q-feedback"]


def test_a_new_question_without_a_right_chain_teaches_nothing() -> None:
    feedback = used(judged("What is 1 + 1?", id="q"))
    assert not feedback.rejected and feedback.counts["left_out"] == {NOTHING_RIGHT: 1}


def test_a_new_question_cannot_join_where_questions_have_contexts() -> None:
    hop = Problem("hop", "Who pays?", "Ann", context=(("", ("Ann pays.",)),))
    other = Problem("other", "Who pays?", "Bo", context=(("", ("Bo pays.",)),))
    task = get_task("hotpotqa")
    right = {"edited": "Ann pays. The answer is Ann."}
    feedback = used(
        judged("Who sings?", id="q", **right),
        judged("Who pays?", id="q", rationale="No. The answer is No.", **right),
        judged("Who pays?", id="hop", rationale="Nobody. The answer is nobody.", **right),
        train=(hop, other),
        task=task,
    )
    assert feedback.counts["left_out"] == {INCOMPLETE: 1, UNCLEAR: 1}
    assert [chain.problem for chain in feedback.positives] == [hop]


def chain(problem, text, id="data"):
    return Chain(problem, Rationale(f"{problem.id}/{id}", problem.id, text))


def test_positives_join_the_chains_once_and_rejected_ones_leave_them() -> None:
    train = [chain(PENS, "3 + 4 = 7. The answer is 7."), chain(CUPS, "5 + 1 = 6. The answer is 6.")]
    feedback = used(
        judged(edited="3 + 4 = 7. The answer is 7."),
        # a chain of the data, shown without the closing that reading it adds
        judged(CUPS.question, id="cups", rationale="5 + 1 = 6", edited="One more: 6."),
    )
    chains, removed = with_positives(train, feedback, TASK)
    assert [chain.rationale.text for chain in chains] == [
        "3 + 4 = 7. The answer is 7.",
        "One more: 6. The answer is 6.",
    ]
    assert removed == 1


def test_an_edit_that_changes_nothing_rejects_nothing() -> None:
    text = "3 + 4 = 7. The answer is 7."
    feedback = used(judged(rationale=text, edited=text))
    chains, removed = with_positives([chain(PENS, text)], feedback, TASK)
    assert len(chains) == 1 and not removed and not feedback.rejected


def test_the_last_judgement_of_a_chain_counts_over_all_files(tmp_path) -> None:
    first, second = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    append_feedback(first, judged(rationale="4 + 3 = 7. The answer is 7."))
    append_feedback(second, judged(rationale="4 + 3 = 7. The answer is 7.", verdict="right"))
    names = [str(first), str(second)]
    feedback = read_feedback_files(names, TASK, [PENS], [])
    assert feedback.counts["judgements"] == 1 and len(feedback.positives) == 1


def test_a_file_from_another_task_is_one_clear_line(tmp_path) -> None:
    file = tmp_path / "hops.jsonl"
    append_feedback(file, judged("Who sings?", id="h", edited="Ann sings, I think."))
    append_feedback(file, judged(TESTED.question, id="t"))
    message = (
        r"data\.feedback: hops\.jsonl: of 2 judgements none can be used for the task 'numbers' "
        rf"with these data \({HELD_OUT} \(1\), no answer can be read from its end \(1\)\)\. Name the task"
    )
    with pytest.raises(DataError, match=message):
        read_feedback_files([str(file)], TASK, [PENS], [TESTED])


def test_reports_take_no_feedback() -> None:
    with pytest.raises(RecipeError, match="the task 'pet' makes several questions of a row"):
        read_feedback_files(["x.jsonl"], get_task("pet"), [], [])


def test_the_line_says_what_was_used_and_what_was_not() -> None:
    feedback = used(
        judged(edited="3 + 4 = 7. The answer is 7."),
        judged(TESTED.question, id="t"),
        judged("What is 1 + 1?", id="q", edited="1 + 1 = 2. The answer is 2."),
        judged(CUPS.question, verdict="right"),
    )
    counts = {**feedback.counts, "removed": 3}
    assert feedback_line(counts) == (
        "feedback: 4 judgements: 2 edited chains and 0 judged right to learn from, 2 rejected "
        "(negatives of tailored arms), 1 new question, 3 training chains judged wrong left out; "
        "not used: question of validation or test (1), wrong answer (1)"
    )
    assert replace(feedback, counts=counts).wrong_texts()["pens"] == ["3 + 4 = 8. The answer is 8."]
