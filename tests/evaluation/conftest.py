"""Problems with plain answers, and predictions that are right or wrong as a test wants them."""

from __future__ import annotations

from collections.abc import Sequence

from smallsteps.evaluation.grade import Score, grade
from smallsteps.records import Prediction, Problem
from smallsteps.tasks.base import Task, same_text

TASK = Task(
    "words", render=lambda problem: problem.question, extract=lambda *_: None, same=same_text
)


def problems(n: int) -> list[Problem]:
    return [Problem(f"q{i}", "How many?", str(i)) for i in range(n)]


def prediction(problem: Problem, answer: str | None, stopped: str = "stop_sign") -> Prediction:
    text = f"It is {answer}."
    return Prediction(f"{problem.id}/p", problem.id, text, ((None, text),), answer, stopped)  # type: ignore[arg-type]


def graded(right: Sequence[bool], seed: int = 0) -> Score:
    gold = problems(len(right))
    return grade(
        [prediction(p, p.answer if ok else "no") for p, ok in zip(gold, right, strict=True)],
        gold,
        TASK,
        seed=seed,
    )
