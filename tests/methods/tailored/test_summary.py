"""Rounds become figures: which student is reported, what was repaired and broken, one curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.arm import Trained
from smallsteps.methods.tailored.exam import Paper
from smallsteps.methods.tailored.method import Bought
from smallsteps.methods.tailored.rounds import Round
from smallsteps.methods.tailored.summary import ArmRounds, _curves, fates, round_results
from smallsteps.records import Prediction, Problem
from smallsteps.tasks import get_task

PROBLEMS = [Problem(f"p{n}", f"How many {n}?", str(n)) for n in range(4)]


def score(right: int) -> Score:
    """The first `right` of four problems answered right."""
    predictions = [
        Prediction(f"a{n}", p.id, "", (), p.answer if n < right else "99", "end")
        for n, p in enumerate(PROBLEMS)
    ]
    return grade(predictions, PROBLEMS, get_task("numbers"), resamples=100)


def paper(number: int, mistaken: bool) -> Paper:
    """Two samples for a problem; the second one is a mistake or is right."""
    wrong = ("The answer is 99.",) if mistaken else ()
    return Paper(f"p{number}", right=1 if mistaken else 2, wrong=wrong, samples=2)


def trained(curves: list[dict[str, Any]]) -> Trained:
    return Trained({}, 100, 1.0, 2.0, None, curves)


def round_of(
    number: int,
    mistaken: list[bool],
    validation: int,
    curves: list[dict[str, Any]] | None = None,
    bought: list[Bought] | None = None,
) -> Round:
    return Round(
        number,
        f"round-{number}",
        None if curves is None else trained(curves),
        [paper(n, m) for n, m in enumerate(mistaken)],
        score(validation),
        score(1),
        [],
        Path(f"student-{number}"),
        bought or [],
    )


def arm() -> ArmRounds:
    bought = [
        Bought("b0", "p0", 0, "So 0.", tokens=30),
        Bought("b1", "p1", 1, None, mistake="So 99.", dropped="no reply", tokens=0),
    ]
    return ArmRounds(
        "full",
        7,
        [
            round_of(0, [True, True, False, False], validation=4),
            round_of(
                1,
                [False, True, True, False],
                validation=2,
                curves=[
                    {"update": 1, "tokens": 50, "seconds": 1.0, "usable": 0.5},
                    {"update": 2, "tokens": 100, "seconds": 2.0, "usable": 1.0, "all_tokens": 180},
                ],
                bought=bought,
            ),
            round_of(
                2,
                [False, False, False, False],
                validation=2,
                curves=[{"update": 1, "tokens": 60, "seconds": 1.5}],
            ),
        ],
    )


def test_repaired_and_broken_are_counted_against_the_exam_before() -> None:
    rows = round_results(arm())
    assert [(row.repaired, row.broken, row.mistakes) for row in rows] == [
        (0, 0, 2),
        (1, 1, 2),
        (2, 0, 0),
    ]
    assert [row.exam for row in rows] == [75.0, 75.0, 100.0]
    assert {(row.arm, row.seed, row.questions) for row in rows} == {("full", 7, 4)}


def test_what_was_bought_and_trained_on_stands_at_the_student_that_it_made() -> None:
    untrained, first, second = round_results(arm())
    assert (untrained.calls, untrained.train_tokens, untrained.usable) == (0, 0, None)
    assert (first.calls, first.kept, first.teacher_tokens) == (2, 1, 30)
    assert (first.train_tokens, first.all_tokens, first.usable) == (100, 180, 75.0)
    assert second.usable is None, "nothing was contrasted"


def test_the_untrained_student_is_never_chosen_and_of_equals_the_earlier_one_is() -> None:
    assert arm().chosen.number == 1


def test_the_curve_of_all_rounds_goes_on_where_the_round_before_ended() -> None:
    rows = _curves(arm())
    assert [(row["round"], row["update"], row["tokens"], row["seconds"]) for row in rows] == [
        (1, 1, 50, 1.0),
        (1, 2, 100, 2.0),
        (2, 3, 160, 3.5),
    ]


def test_the_fate_of_a_question_holds_every_exam_and_every_reply() -> None:
    rows = fates(arm().rounds, PROBLEMS)
    assert [row["mistaken"] for row in rows] == [
        [True, False, False],
        [True, True, False],
        [False, True, False],
        [False, False, False],
    ]
    assert rows[0]["wrong"] == ["The answer is 99.", None, None]
    (failed,) = rows[1]["rationales"]
    assert failed == {
        "id": "b1",
        "round": 1,
        "text": None,
        "mistake": "So 99.",
        "dropped": "no reply",
    }
