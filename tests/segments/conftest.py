"""One worked chain (method page, Section 3) and a plain task for the tests of this room."""

from __future__ import annotations

import pytest

from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks.base import Task, same_text

QUESTION = "Ann has 3 boxes with 4 pens each. She gives away 5 pens. How many pens are left?"
PIECES = [
    "Ann has 3 boxes with 4 pens each, ",
    "so she has 3 x 4 = 12 pens. ",
    "She gives away 5 pens, ",
    "so 12 - 5 = 7 pens are left. ",
    "The answer is 7.",
]


@pytest.fixture
def chain() -> Chain:
    return Chain(Problem("ann", QUESTION, "7"), Rationale("ann/0", "ann", "".join(PIECES)))


@pytest.fixture
def task() -> Task:
    return Task(
        "plain",
        render=lambda problem: problem.question,
        extract=lambda text, lenient, problem: None,
        same=same_text,
    )
