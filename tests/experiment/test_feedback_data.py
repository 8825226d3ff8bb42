"""Feedback as data: what is learnt from, what is left out and why."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.experiment.feedback_data import (
    DISPUTED,
    HELD_OUT,
    INCOMPLETE,
    NOTHING_RIGHT,
    UNCLEAR,
    FeedbackChains,
    Material,
    judge,
    new_problems,
    read_feedback_files,
)
from smallsteps.experiment.feedback_rows import (
    AGAIN,
    DUPLICATE,
    EDITED,
    KNOWN,
    NEW,
    RIGHT,
    SPARE,
    WRONG,
    WRONG_IN_DATA,
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


def used(*judgements, train=(PENS, CUPS), task=TASK, chains=(), one_each=False):
    return judge(judgements, task, Material(train, [TESTED], chains, one_each))


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
    assert not feedback.rejected and feedback.fates == [RIGHT]


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
    assert not feedback.positives
    assert feedback.fates == [f"judged wrong, its edit not used: {reason}"]
    assert len(feedback.rejected) == 1, "what was judged wrong is a negative all the same"


def test_a_right_verdict_against_the_gold_answer_is_not_learnt_from() -> None:
    feedback = used(judged(verdict="right"))
    assert not feedback.positives and not feedback.rejected
    assert feedback.fates == ["wrong answer"]


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
    assert feedback.fates == [HELD_OUT, HELD_OUT]


def test_a_new_question_joins_with_the_answer_of_its_edited_chain() -> None:
    question = "Di has 2 keys and finds 3. How many keys?"
    feedback = used(
        judged(question, id="pens", rationale="Six. The answer is 6."),
        judged(question, id="pens", edited="2 + 3 = 5. The answer is 5."),
        judged(question, id="other", rationale="3 + 2 = 5. The answer is 5.", verdict="right"),
        judged(question, id="other", rationale="2 x 3 = 6. The answer is 6.", verdict="right"),
    )
    (problem,) = new_problems([PENS, CUPS], feedback.positives)
    assert (problem.id, problem.question, problem.answer) == ("pens-feedback", question, "5")
    assert all(chain.problem == problem for chain in feedback.positives)
    assert len(feedback.positives) == 2 and len(feedback.rejected) == 2
    assert feedback.new_questions == 1
    assert feedback.fates == [WRONG, NEW, NEW, "wrong answer"], "6 is not what it joined with"


def test_new_questions_with_one_id_stay_apart() -> None:
    feedback = used(
        judged("What is 1 + 1?", id="q", edited="1 + 1 = 2. The answer is 2."),
        judged("What is 1 + 2?", id="q", edited="1 + 2 = 3. The answer is 3."),
    )
    assert [problem.id for problem in new_problems([PENS], feedback.positives)] == [
        "q",
        "q-feedback",
    ]


def test_a_new_question_without_a_right_chain_teaches_nothing() -> None:
    feedback = used(judged("What is 1 + 1?", id="q"))
    assert not feedback.rejected and feedback.fates == [NOTHING_RIGHT]


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
    assert feedback.fates == [INCOMPLETE, UNCLEAR, EDITED]
    assert [chain.problem for chain in feedback.positives] == [hop]


def chain(problem, text, id="data"):
    return Chain(problem, Rationale(f"{problem.id}/{id}", problem.id, text))


def test_positives_join_the_chains_once_and_rejected_ones_leave_them() -> None:
    train = [chain(PENS, "3 + 4 = 7. The answer is 7."), chain(CUPS, "5 + 1 = 6. The answer is 6.")]
    feedback = used(
        judged(edited="3 + 4 = 7. The answer is 7."),
        # a chain of the data, shown without the closing that reading it adds
        judged(CUPS.question, id="cups", rationale="5 + 1 = 6", edited="One more: 6."),
        judged(CUPS.question, id="cups", rationale="5 + 1 = 6. The answer is 6."),
        chains=train,
    )
    assert [chain.rationale.text for chain in feedback.train] == [
        "3 + 4 = 7. The answer is 7.",
        "One more: 6. The answer is 6.",
    ]
    assert (feedback.removed, feedback.known) == (1, 1)
    known = f"judged wrong, its edit not used: {KNOWN}"
    assert feedback.fates == [known, EDITED, WRONG_IN_DATA]


def test_an_edit_that_changes_nothing_rejects_nothing() -> None:
    text = "3 + 4 = 7. The answer is 7."
    feedback = used(judged(rationale=text, edited=text), chains=[chain(PENS, text)])
    assert len(feedback.train) == 1 and not feedback.removed and not feedback.rejected
    assert feedback.fates == [KNOWN]


def test_where_only_the_first_chain_of_a_question_is_learnt_from_a_second_one_is_spare() -> None:
    right = "4 and 3 are 7. The answer is 7."
    data = [chain(PENS, "3 + 4 = 7. The answer is 7.")]
    taken = used(judged(rationale=right, verdict="right"), chains=data, one_each=True)
    assert taken.fates == [SPARE] and taken.known == 1
    freed = used(
        judged(rationale=right, verdict="right"),
        judged(rationale="3 + 4 = 7. The answer is 7."),
        chains=data,
        one_each=True,
    )
    assert freed.fates == [RIGHT, WRONG_IN_DATA] and not freed.known


def test_the_same_edit_of_two_chains_is_learnt_from_once_and_counted_in_both_rows() -> None:
    right = "3 + 4 = 7. The answer is 7."
    feedback = used(
        judged(edited=right),
        judged(rationale="It is 9. The answer is 9.", edited=right),
        judged(rationale=right),
        judged(rationale=right, id="other", verdict="right"),
    )
    assert len(feedback.positives) == 1 and len(feedback.rejected) == 2
    again = f"judged wrong, its edit not used: {DUPLICATE}"
    assert feedback.fates == [EDITED, again, DISPUTED, DUPLICATE]


def files_of(tmp_path, *files):
    """What files of judgements give: (judged, facts)."""
    paths = [str(tmp_path / f"{number}.jsonl") for number in range(len(files))]
    for path, judgements in zip(paths, files, strict=True):
        for judgement in judgements:
            append_feedback(path, judgement)
    return read_feedback_files(paths, TASK, Material([PENS, CUPS], [TESTED]))


def test_the_last_judgement_of_a_chain_counts_over_all_files(tmp_path) -> None:
    first = judged(rationale="4 + 3 = 7. The answer is 7.")
    second = judged(rationale="4 + 3 = 7. The answer is 7.", verdict="right")
    feedback, facts = files_of(tmp_path, [first], [second])
    assert len(feedback.positives) == 1 and not feedback.rejected
    assert facts["files"] == {"0.jsonl": {AGAIN: 1}, "1.jsonl": {RIGHT: 1}}


def test_every_row_of_a_file_stands_in_exactly_one_count(tmp_path) -> None:
    """The trap: duplicates, and rows that give a positive and a negative."""
    right = "3 + 4 = 7. The answer is 7."
    rows = [
        judged(edited=right),
        judged(edited=right),  # the very same line again
        judged(rationale="9. The answer is 9.", edited=right),
        judged(rationale="10. The answer is 10."),
        judged(CUPS.question, verdict="right"),
        judged(TESTED.question, id="t", edited="1 + 1 = 2. The answer is 2."),
        judged("What is 1 + 1?", id="q", edited="1 + 1 = 2. The answer is 2."),
        judged("What is 1 + 9?", id="q"),
    ]
    _, facts = files_of(tmp_path, rows)
    (fates,) = facts["files"].values()
    assert sum(fates.values()) == len(rows)
    assert fates == {
        AGAIN: 1,
        EDITED: 1,
        f"{WRONG}, its edit not used: {DUPLICATE}": 1,
        WRONG: 1,
        "wrong answer": 1,
        HELD_OUT: 1,
        NEW: 1,
        NOTHING_RIGHT: 1,
    }


def test_a_file_that_is_named_twice_is_refused(tmp_path) -> None:
    append_feedback(tmp_path / "x.jsonl", judged())
    path = str(tmp_path / "x.jsonl")
    with pytest.raises(RecipeError, match=r"data\.feedback: .*x\.jsonl is named twice"):
        read_feedback_files([path, path], TASK, Material([PENS]))


def test_reports_take_no_feedback() -> None:
    with pytest.raises(RecipeError, match="the task 'pet' makes several questions of a row"):
        read_feedback_files(["x.jsonl"], get_task("pet"), Material([]))


def test_wrong_texts_are_those_of_each_question_and_without_feedback_nothing_is_said() -> None:
    feedback = used(judged(), judged(rationale="9. The answer is 9."))
    chains = FeedbackChains(feedback.positives, feedback.rejected)
    texts = ["3 + 4 = 8. The answer is 8.", "9. The answer is 9."]
    assert chains.wrong_texts() == {"pens": texts} and chains.lines() == []
