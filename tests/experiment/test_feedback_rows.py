"""What became of the rows of feedback: which are used depends on the arms."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError
from smallsteps.experiment.feedback_rows import (
    AGAIN,
    DUPLICATE,
    EDITED,
    INCOMPLETE,
    KNOWN,
    NEW,
    NOTHING_RIGHT,
    WRONG,
    WRONG_IN_DATA,
    FeedbackRows,
    FeedbackUse,
    with_reason,
)
from smallsteps.experiment.recipe import load_recipe, make_recipe
from smallsteps.experiment.run_facts import FeedbackFacts
from tiny_runs import tiny_content

CHAINS, TAILORED, NONE = FeedbackUse(), FeedbackUse(wrong=True), FeedbackUse(right=False)


def rows(files, use=CHAINS, **counts):
    numbers = {"learnt": 0, "rejected": 0, "new_questions": 0, "removed": 0, **counts}
    return FeedbackRows(files=files, use=use, **numbers)


@pytest.mark.parametrize(
    ("use", "used"),
    [
        (CHAINS, {EDITED, NEW, WRONG_IN_DATA}),
        (TAILORED, {EDITED, NEW, WRONG_IN_DATA, KNOWN, WRONG}),
        (NONE, {NEW}),
    ],
)
def test_which_rows_are_used_depends_on_what_the_arms_learn_from(use, used) -> None:
    fates = {EDITED, NEW, WRONG_IN_DATA, KNOWN, WRONG, AGAIN, "wrong answer"}
    assert {fate for fate in fates if fate in use} == used
    assert (with_reason(WRONG, "wrong answer") in use) == (WRONG in used)


def test_what_the_arms_of_a_recipe_learn_from() -> None:
    recipe = load_recipe("tailored/demo")
    assert FeedbackUse.of(recipe) == TAILORED
    assert FeedbackUse.of(make_recipe(tiny_content())) == CHAINS
    assert FeedbackUse.of(make_recipe({**tiny_content(), "arms": ["base"]})) == NONE


def test_the_counts_of_a_line_add_up_to_the_rows_of_its_file() -> None:
    files = {
        "a.jsonl": {EDITED: 3, WRONG: 2, AGAIN: 1},
        "b.jsonl": {with_reason(WRONG, "wrong answer"): 1},
    }
    assert rows(files, TAILORED, learnt=3, rejected=5, new_questions=1, removed=1).lines() == [
        "feedback a.jsonl: 6 rows; used: edited chain (3), judged wrong (2); not used: judged "
        "again in a later row (1)",
        "feedback b.jsonl: 1 row; used: judged wrong, its edit not used: wrong answer (1)",
        "feedback gives: 3 chains to learn from, 5 rejected (negatives of tailored arms), 1 new "
        "question, 1 training chain judged wrong left out",
    ]


def test_a_file_of_which_nothing_is_used_is_warned_of_beside_one_that_is_used() -> None:
    feedback = rows({"a.jsonl": {EDITED: 3}, "b.jsonl": {WRONG: 2}}, learnt=3)
    feedback.check_used("numbers")
    assert feedback.lines()[1:3] == [
        "feedback b.jsonl: 2 rows; used: none; not used: judged wrong (2)",
        "warning: nothing of b.jsonl is used. Only tailored arms learn from what was judged wrong: "
        "edit chains on the page of smallsteps review or serve, name tailored arms, or take the "
        "file out.",
    ]


@pytest.mark.parametrize(
    ("fates", "said"),
    [
        ({NEW: 3, NOTHING_RIGHT: 2, INCOMPLETE: 1, EDITED: 5, AGAIN: 9}, "6 of its 11"),
        ({NEW: 1, DUPLICATE: 4}, "1 of its 1"),
        ({NEW: 2, NOTHING_RIGHT: 1, EDITED: 3}, None),
    ],
)
def test_a_file_about_other_questions_than_those_of_the_data_is_named(fates, said) -> None:
    """The trap: another task with answers of the same type, whose chains are all learnt from."""
    lines = [line for line in rows({"f.jsonl": fates}).lines() if line.startswith("f.jsonl: ")]
    note = (
        f"f.jsonl: {said} judged chains: question not in the data. If the questions come from "
        "another task, take the file out."
    )
    assert lines == ([] if said is None else [note])


@pytest.mark.parametrize(
    ("fates", "use", "message"),
    [
        (
            {WRONG: 2},
            CHAINS,
            r"data\.feedback: f\.jsonl: 2 rows, and nothing is used for the task 'numbers' with "
            r"these data and arms: judged wrong \(2\)\. Only tailored arms learn from",
        ),
        ({EDITED: 1}, NONE, "No arm of the recipe learns from chains: name one that does"),
        ({"wrong answer": 1}, TAILORED, "Name the task and the data that the judged questions"),
    ],
)
def test_feedback_of_which_nothing_is_used_is_one_clear_line(fates, use, message) -> None:
    with pytest.raises(DataError, match=message):
        rows({"f.jsonl": fates}, use).check_used("numbers")


def test_the_facts_are_those_of_the_arms_of_the_recipe() -> None:
    counts = {"positives": 3, "rejected": 4, "known": 1, "new_questions": 0, "removed": 0}
    stored = {"files": {"f": {EDITED: 2, KNOWN: 1}}, **counts}
    of_chains = FeedbackRows.of(stored, make_recipe(tiny_content())).facts()
    assert FeedbackFacts(**of_chains) == FeedbackFacts(
        used={EDITED: 2}, unused={KNOWN: 1}, learnt=2, rejected=0, new_questions=0, removed=0
    )
    of_tailored = FeedbackRows.of(stored, load_recipe("tailored/demo")).facts()
    assert (of_tailored["used"], of_tailored["learnt"], of_tailored["rejected"]) == (
        {EDITED: 2, KNOWN: 1},
        3,
        4,
    )
