"""From rounds to results: which round an arm is judged by, what the page shows of it, and what each
round's record counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.results import read_results
from smallsteps.experiment.trained import Trained
from smallsteps.methods.tailored.arms import best_round, fates, joined_curves, round_results
from smallsteps.methods.tailored.exam import Paper
from smallsteps.methods.tailored.method import RoundReply
from smallsteps.methods.tailored.rounds import Round
from smallsteps.records import Prediction, Problem
from smallsteps.tasks import get_task
from tiny_runs import rows_of
from tiny_tailored import rounds_of

PROBLEMS = [Problem(f"p{n}", f"How many {n}?", str(n)) for n in range(4)]
TASK = get_task("numbers")


# ---- a whole run ----


def test_the_rounds_lie_in_the_run_folder_as_they_were_returned(four_arms):
    results = four_arms.results
    assert read_results(four_arms.out) == results
    assert [arm.name for arm in results.arms] == four_arms.recipe.arms
    assert {arm.method for arm in results.arms} == {"tailored"}
    full = [row for row in results.methods["tailored"].rounds if row.arm == "tailored-full"]
    assert [row.round for row in full] == [0, 1, 2]
    assert full[0].calls == 0 and full[1].calls == 20 and full[1].kept == 20
    assert {row.against for row in results.comparisons} == {"tailored-full"}


def test_the_arm_is_its_best_round_and_pays_for_all_rounds(four_arms):
    rows = rounds_of(four_arms.results)
    for arm in four_arms.results.arms:
        chosen = rows[arm.name, arm.round]
        assert (arm.value, arm.validation) == (chosen.test.value, chosen.validation.value)
        assert arm.validation == max(rows[arm.name, number].validation.value for number in (1, 2))
        assert (four_arms.out / arm.student / "config.json").is_file()
        for name in ("train_tokens", "all_tokens", "teacher_tokens"):
            spent = sum(getattr(rows[arm.name, number], name) for number in (1, 2))
            assert getattr(arm, name) == spent
        assert arm.teacher_calls == sum(rows[arm.name, number].calls for number in (1, 2))


def test_the_curve_of_an_arm_goes_on_from_round_to_round(four_arms):
    for arm in four_arms.results.arms:
        for name in ("tokens", "passes", "seconds", "evaluation_seconds"):
            values = [getattr(point, name) for point in arm.curve]
            assert values == sorted(set(values)), f"{arm.name}: {name} counts on"
        assert arm.curve[-1].tokens == arm.train_tokens
        assert round(arm.curve[-1].passes, 2) == round(arm.passes, 2)
        assert arm.learning_rate is not None


def test_each_question_has_its_fate_and_each_rationale_its_lineage(four_arms):
    rows = rows_of(four_arms.out / "arms/tailored-full-seed0/page/fates.jsonl")
    assert len(rows) == 10 and all(len(row["mistaken"]) == 3 for row in rows)
    for row in rows:
        feedback = [reply for reply in row["rationales"] if reply["round"] == 1]
        assert len(feedback) == row["mistaken"][1]
        assert all(reply["mistake"] == row["wrong"][1] for reply in feedback)
    blind = rows_of(four_arms.out / "arms/tailored-blind-seed0/page/fates.jsonl")
    assert not any(reply.get("mistake") for row in blind for reply in row["rationales"])


# ---- by hand ----


def score(right: int) -> Score:
    """The first `right` of four problems answered right."""
    predictions = [
        Prediction(f"a{n}", p.id, "", (), p.answer if n < right else "99", "end")
        for n, p in enumerate(PROBLEMS)
    ]
    return grade(predictions, PROBLEMS, TASK, resamples=100)


def paper(number: int, mistaken: bool) -> Paper:
    """Two samples for a problem; the second one is a mistake or is right."""
    wrong = ("The answer is 99.",) if mistaken else ()
    return Paper(f"p{number}", right=1 if mistaken else 2, wrong=wrong, samples=2)


def round_of(
    number: int,
    mistaken: list[bool],
    validation: int,
    curves: list[dict[str, Any]] | None = None,
    replies: list[RoundReply] | None = None,
) -> Round:
    return Round(
        number=number,
        trained=None if curves is None else Trained({}, 100, 1.0, 2.0, None, curves, 1e-3),
        papers=[paper(n, m) for n, m in enumerate(mistaken)],
        validation=score(validation),
        test=score(1),
        predictions=[],
        student=Path(f"student-{number}"),
        replies=replies or [],
    )


def rounds() -> list[Round]:
    replies = [
        RoundReply("b0", "p0", 0, "So 0.", tokens=30),
        RoundReply("b1", "p1", 1, None, mistake="So 99.", dropped="no reply", tokens=0),
    ]
    return [
        round_of(0, [True, True, False, False], validation=4),
        round_of(
            1,
            [False, True, True, False],
            validation=2,
            curves=[
                {"update": 1, "tokens": 50, "seconds": 1.0, "usable": 0.5},
                {"update": 2, "tokens": 100, "seconds": 2.0, "usable": 1.0, "all_tokens": 180},
            ],
            replies=replies,
        ),
        round_of(
            2,
            [False, False, False, False],
            validation=2,
            curves=[{"update": 1, "tokens": 60, "seconds": 1.5}],
        ),
    ]


def test_repaired_and_broken_are_counted_against_the_exam_before() -> None:
    rows = round_results("tailored-full", 7, rounds())
    assert [(row.repaired, row.broken, row.mistakes) for row in rows] == [
        (0, 0, 2),
        (1, 1, 2),
        (2, 0, 0),
    ]
    assert [row.exam for row in rows] == [75.0, 75.0, 100.0]
    assert [row.round for row in rows] == [0, 1, 2]
    assert {(row.arm, row.seed, row.questions) for row in rows} == {("tailored-full", 7, 4)}


def test_what_was_asked_for_and_trained_on_stands_at_the_student_that_it_made() -> None:
    untrained, first, second = round_results("tailored-full", 7, rounds())
    assert (untrained.calls, untrained.train_tokens, untrained.usable) == (0, 0, None)
    assert (first.calls, first.kept, first.teacher_tokens) == (2, 1, 30)
    assert (first.train_tokens, first.all_tokens, first.usable) == (100, 180, 75.0)
    assert second.usable is None, "nothing was contrasted"


def test_the_untrained_student_is_never_chosen_and_of_equals_the_earlier_one_is() -> None:
    assert best_round(rounds()).number == 1
    assert best_round([*rounds(), round_of(3, [], validation=3)]).number == 3


def test_the_curve_of_all_rounds_goes_on_where_the_round_before_ended() -> None:
    rows = joined_curves(rounds())
    assert [(row["round"], row["update"], row["tokens"], row["seconds"]) for row in rows] == [
        (1, 1, 50, 1.0),
        (1, 2, 100, 2.0),
        (2, 3, 160, 3.5),
    ]


def test_the_fate_of_a_question_holds_every_exam_and_every_reply() -> None:
    rows = fates(rounds(), PROBLEMS)
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
