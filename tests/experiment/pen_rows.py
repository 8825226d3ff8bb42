"""Rows of sums in words, and recipes that read them."""

from __future__ import annotations

from smallsteps.experiment.recipe import make_recipe
from tiny_runs import tiny_content


def chain_rows(count, first=1):
    numbers = range(first, first + count)
    return [
        {
            "id": f"q{n}",
            "question": f"Ann has {n} pens and buys 2. How many pens does she have?",
            "rationale": f"{n} + 2 = {n + 2}. The answer is {n + 2}.",
            "answer": str(n + 2),
        }
        for n in numbers
    ]


def recipe_of(data):
    return make_recipe({**tiny_content(), "data": {"task": "numbers", **data}})
