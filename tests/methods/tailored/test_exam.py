from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from smallsteps.errors import DataError
from smallsteps.generation.generator import Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.methods.tailored.exam import Paper, fate, mark, marks, sit
from smallsteps.records import Prediction, Problem
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task

TASK = get_task("numbers")
PROBLEMS = [Problem("a", "3 + 4?", "7"), Problem("b", "1 + 1?", "2")]


def chain(problem: str, sample: int, text: str, stopped: str = "stop_sign") -> Prediction:
    answer = TASK.extract(text, False, None)
    return Prediction(f"{problem}/{sample}", problem, text, ((None, text),), answer, stopped)  # type: ignore[arg-type]


def test_unfinished_chains_are_no_mistakes_and_equal_mistakes_count_once() -> None:
    predictions = [
        chain("b", 0, "The answer is 2."),
        chain("a", 0, "The answer is 8."),
        chain("a", 1, "The answer is 7."),
        chain("a", 2, "The answer is 8."),
        chain("a", 3, "3 + 4 and so on and", "limit"),
        chain("a", 4, "Who knows.", "end"),
        chain("a", 5, "", "empty"),
        chain("a", 6, "3 + 4 and again and again", "repetition"),
    ]
    papers = mark(predictions[::-1], PROBLEMS, TASK)
    assert papers == [
        Paper("a", 1, ("The answer is 8.",), unfinished=2, samples=7, unknown=2),
        Paper("b", 1, (), 0, 1),
    ]
    assert marks(papers).accuracy == pytest.approx(100 * 2 / 8)
    assert marks(papers).mistaken == 50.0
    assert marks(papers).unfinished == pytest.approx(100 * 2 / 8)
    assert marks(papers).unknown == pytest.approx(100 * 2 / 8)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("3 + 4 = 7. The answer is 7.", "right"),
        ("3 + 4 = 8. The answer is 8.", "wrong"),
        ("3 + 4 = 8, so she has 8 pens.", "wrong"),
        ("3 + 4 = 7, so she has 7 pens.", "unknown"),
        ("So it comes to 3 + 4 = 7", "unknown"),
        ("She adds them up.", "unknown"),
    ],
)
def test_a_chain_without_a_closing_is_a_mistake_only_if_its_last_number_is_wrong(
    text: str, verdict: str
) -> None:
    (paper,) = mark([chain("a", 0, text, "end")], PROBLEMS[:1], TASK)
    counted = {"right": paper.right, "wrong": len(paper.wrong), "unknown": paper.unknown}
    assert counted == {"right": 0, "wrong": 0, "unknown": 0} | {verdict: 1}


def test_an_answer_that_matches_an_alias_of_the_gold_one_is_no_mistake() -> None:
    task = get_task("hotpotqa")
    problem = Problem("a", "Who?", "Ann Lee", meta={"answer_aliases": ["It was A. Lee"]})
    prediction = Prediction("a/0", "a", "It was A. Lee", ((None, "It was A. Lee"),), None, "end")
    (paper,) = mark([prediction], [problem], task)
    assert (paper.wrong, paper.unknown) == ((), 1)


def test_a_paper_is_one_json_line() -> None:
    paper = Paper("a", 1, ("one", "two"), 1, 4)
    assert Paper.from_row(paper.to_row()) == paper


def test_an_exam_without_gold_answers_is_refused(tiny: Callable[..., Student]) -> None:
    with pytest.raises(DataError, match="c: an exam needs a gold answer"):
        sit(tiny("t5"), [Problem("c", "?")], TASK)


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_an_exam_depends_neither_on_batch_nor_on_order_and_its_samples_differ(
    tiny: Callable[..., Student], style: str
) -> None:
    student = prepare(tiny(style), TASK, path="direct")
    task = replace(TASK, max_chain_tokens=20)
    decoding = Decoding(max_new_tokens=20, temperature=1.0, top_k=50, seed=3)
    together = sit(student, PROBLEMS, task, samples=3, decoding=decoding)
    apart = sit(
        student,
        PROBLEMS[::-1],
        task,
        samples=3,
        decoding=decoding,
        solving=SolveSettings(batch_size=1),
    )
    assert together == apart[::-1]
    assert all(paper.samples == 3 for paper in together)
    assert any(paper.unknown + len(paper.wrong) + paper.unfinished > 1 for paper in together)
    assert together != sit(student, PROBLEMS, task, samples=3, decoding=decoding.changed(seed=4))


def test_mistakes_are_repaired_and_broken_again() -> None:
    def exam(*mistaken: bool) -> list[Paper]:
        return [Paper(str(n), 0, ("x",) if wrong else (), 0, 1) for n, wrong in enumerate(mistaken)]

    assert fate(exam(True, True, False, False), exam(True, False, False, True)) == (1, 1)
