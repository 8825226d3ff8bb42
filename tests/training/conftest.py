"""Small problems with chains, in words that the tiny students' tokenizers know (numbers are octal:
no 8, no 9)."""

from __future__ import annotations

import random

import pytest

from smallsteps.records import Example
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task


@pytest.fixture(scope="session")
def task() -> Task:
    return get_task("numbers")


def direct_examples(count: int, seed: int = 0, name: str = "p") -> list[Example]:
    """Whole chains of differing length."""
    draw = random.Random(seed)
    out = []
    for i in range(count):
        a, b = draw.randint(2, 20), draw.randint(2, 20)
        body = "She has 3 pens, " * draw.randint(0, 3)
        out.append(
            Example(
                id=f"{name}{i}/whole",
                problem_id=f"{name}{i}",
                question=f"Ann has {a:o} boxes with {b:o} pens each. How many pens are left?",
                prefix=(),
                target=f"{body}so {a:o} x {b:o} = {a * b:o} pens. The answer is {a * b:o}.",
                last=True,
            )
        )
    return out


def chain_examples(count: int, opens: str = "ES", name: str = "c") -> list[Example]:
    """Every (prefix -> segment) example of chains with an empty ES where they open with AS, as
    causal students need."""
    out = []
    for i in range(count):
        texts = [
            ("ES", f"Ann has {i + 2:o} boxes,"),
            ("AS", f"so {i + 2:o} x 4 = {4 * i + 8:o} pens."),
            ("ES", "She sold 5."),
        ]
        texts += [("AS", f"The answer is {4 * i + 3:o}.")]
        if opens == "AS":
            texts = [("ES", ""), *texts[1:]]
        for k, (kind, text) in enumerate(texts):
            out.append(
                Example(
                    id=f"{name}{i}/{k}",
                    problem_id=f"{name}{i}",
                    question=f"Ann has {i + 2:o} boxes with 4 pens each. How many pens?",
                    prefix=tuple(texts[:k]),  # type: ignore[arg-type]
                    target=text,
                    kind=kind,  # type: ignore[arg-type]
                    last=k == len(texts) - 1,
                )
            )
    return out


@pytest.fixture(scope="session")
def direct():
    return direct_examples


@pytest.fixture(scope="session")
def chains():
    return chain_examples
