"""Tailored learning on the page: figures of the rounds, the fate of questions, what the teacher
wrote."""

from __future__ import annotations

from pathlib import Path

from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.report.run import read_run
from smallsteps.report.tailored_section import MOST_QUESTIONS, tailored_section

from .conftest import EVIL, MakeRun, add_part, assert_no_markup, read, round_result, write_rows


def tailored(folder: Path, said: str = "The answer is 7.") -> Path:
    """The run with two rounds and the fates of three questions."""
    costs = {"calls": 41, "kept": 39, "teacher_tokens": 12_300, "train_tokens": 5_000}
    trained = round_result(round=1, repaired=1, usable=61.8, **costs)
    part = TailoredResults(teacher="solver", equal="anchors", rounds=[round_result(), trained])
    add_part(folder, "tailored", part)
    first = {"round": 0, "text": "The answer is 12.", "tokens": 30}
    answer = {"round": 1, "text": said, "mistake": said, "dropped": "wrong answer", "tokens": 40}
    fates = [
        {"question": said, "mistaken": [True, True, False], "rationales": [first, answer]},
        *(
            {"question": "Why?", "mistaken": [True, False, False], "rationales": [first]}
            for _ in range(2)
        ),
    ]
    write_rows(folder / "arms/direct-seed0/fates.jsonl", fates)
    return folder


def test_rounds_show_their_figures_the_fate_of_questions_and_what_the_teacher_wrote(
    make_run: MakeRun,
) -> None:
    text = read(tailored(make_run())).text
    for shown in ("Rounds", "41, 39", "12.3 k", "61.8", "33.2", "the same number of anchor tokens"):
        assert shown in text
    assert "✗ mistake ✓ no mistake ✓ no mistake 2 questions" in text
    assert "1 of 1 questions about whose mistakes the teacher was asked" in text
    assert (
        "before round 2, 40 teacher tokens, dropped: wrong answer Mistake The answer is 7." in text
    )


def test_replies_that_never_came_are_listed_with_their_reason(make_run: MakeRun) -> None:
    """A row leaves out what is empty: a failed reply has neither text nor tokens."""
    folder = tailored(make_run())
    failed = {"round": 1, "mistake": "The answer is 8.", "dropped": "no reply: HTTP 500"}
    fates = [
        {
            "question": "Why?",
            "mistaken": [True, True],
            "rationales": [{"round": 0, "text": "So 7."}, failed],
        }
    ]
    write_rows(folder / "arms/direct-seed0/fates.jsonl", fates)
    text = read(folder).text
    assert (
        "before round 2, 0 teacher tokens, dropped: no reply: HTTP 500 Mistake The answer is 8."
        in text
    )


def test_what_students_and_teachers_wrote_in_rounds_stays_text(make_run: MakeRun) -> None:
    assert_no_markup(read(tailored(make_run(), said=EVIL)))


def test_a_course_of_mistakes_that_few_questions_took_is_shown_beside_frequent_ones(
    make_run: MakeRun,
) -> None:
    folder = tailored(make_run())
    reply = {"round": 1, "text": "So 7.", "mistake": "So 8."}
    courses = [[True, False]] * 100 + [[True, True]]
    fates = [{"question": "Why?", "mistaken": c, "rationales": [reply]} for c in courses]
    write_rows(folder / "arms/direct-seed0/fates.jsonl", fates)
    (arm,) = tailored_section(read_run(folder))["fates"]
    assert arm["patterns"] == [((True, False), 100), ((True, True), 1)]
    shown = [row["mistaken"] for row in arm["shown"]]
    assert [True, True] in shown and len(shown) <= MOST_QUESTIONS < arm["explained"] == 101


def test_a_run_without_rounds_has_no_such_section(make_run: MakeRun) -> None:
    assert tailored_section(read_run(make_run())) == {}
