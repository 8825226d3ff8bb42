"""A comparison small enough for tests: a student from scratch, a few bundled problems, a few thousand tokens."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.recipe import Recipe, make_recipe

TINY_STUDENT = {"vocabulary": 400, "d_model": 32, "d_kv": 8, "heads": 4, "d_ff": 32, "layers": 1, "dropout": 0.1}


def tiny_content(**sections: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "arms": ["direct"],
        "data": {"task": "stories", "count": 24, "validation_count": 4, "test_count": 6, "difficulty": "easy"},
        "student": {"scratch": TINY_STUDENT},
        "train": {"budget": 6000, "evaluations": 2, "update_examples": 8, "learning_rate": 1e-3},
        "evaluation": {"batch_size": 8},
    }
    for name, value in sections.items():
        content[name] = {**content.get(name, {}), **value} if isinstance(value, dict) else value
    return content


@pytest.fixture
def tiny():
    def make(**sections: Any) -> Recipe:
        return make_recipe(tiny_content(**sections))

    return make
