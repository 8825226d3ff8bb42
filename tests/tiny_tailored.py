"""A run of tailored learning small enough for tests: the bundled student and ten bundled word
problems."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loopback import Server, completion
from smallsteps.experiment.recipe import Recipe, make_recipe
from smallsteps.experiment.results import Results
from smallsteps.methods.tailored.results import RoundResult
from smallsteps.students.student import Student

KEY = "sk-never-to-be-seen-0123456789"


def tailored_content(**sections: Any) -> dict[str, Any]:
    """The tiny recipe with these sections changed."""
    content: dict[str, Any] = {
        "arms": ["tailored-full"],
        "data": {
            "task": "stories",
            "count": 10,
            "validation_count": 3,
            "test_count": 3,
            "difficulty": "easy",
        },
        "student": {"name": "bundled"},
        "tailored": {"rounds": 2, "rationales": 2, "samples": 2},
        "train": {"budget": 4000, "evaluations": 1, "update_examples": 8, "learning_rate": 1e-3},
        "evaluation": {"batch_size": 32, "bootstrap": 100},
    }
    for name, value in sections.items():
        content[name] = {**content.get(name, {}), **value} if isinstance(value, dict) else value
    return content


def rounds_of(results: Results) -> dict[tuple[str, int], RoundResult]:
    """(arm, round) → the record of that round."""
    return {(row.arm, row.round): row for row in results.methods["tailored"].rounds}


def causal_student(tiny: Callable[..., Student], folder: Path) -> str:
    """A tiny causal student with room for demonstrations, saved."""
    student = tiny("llama")
    student.model.config.max_position_embeddings = 2048
    student.save(folder)
    return str(folder)


def write_json_lines(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Writes the rows; returns the path as a recipe names it."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def sums_recipe(
    folder: Path, server: Server, arms: list[str], rounds: int = 3, **teacher: Any
) -> Recipe:
    """A recipe whose teacher is the server on loopback; it is right."""
    rows = [
        {"id": f"q{n}", "question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(20)
    ]

    def answer(body: dict[str, Any], times: int) -> tuple[int, Any, dict[str, str]]:
        asked = re.search(r"What is (\d+) \+ 1", body["messages"][-1]["content"])
        assert asked is not None
        number = int(asked[1])
        text = f"We add: {number} + 1 = {number + 1}. The answer is {number + 1}."
        return 200, completion(text), {}

    server.answer = answer
    data = {"chains": write_json_lines(folder / "q.jsonl", rows), "task": "numbers"}
    teacher = {"name": "m", "retries": 0, **teacher}
    tailored = {"rationales": 1, "rounds": rounds, "teacher": teacher}
    return make_recipe(tailored_content(arms=arms, data=data, tailored=tailored))
