"""Questions, a task and tiny students that write chains of several segments: for tests of solving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from smallsteps.records import Problem
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task

WORDS = [
    "Ann",
    "Tom",
    "has",
    "had",
    "boxes",
    "pens",
    "apples",
    "3",
    "4",
    "12",
    "16",
    "so",
    "she",
    "then",
    "each",
    "away",
    "left",
    "sold",
    "ate",
    "How",
    "many",
]
Tiny = Callable[..., Student]


def problems(count: int) -> list[Problem]:
    """Questions of quite different lengths."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for n in range(count):
        length = int(torch.randint(2, 30, (), generator=generator))
        picks = torch.randint(0, len(WORDS), (length,), generator=generator).tolist()
        found.append(
            Problem(id=f"p{n}", question=" ".join(WORDS[i] for i in picks) + "?", answer="7")
        )
    return found


def a_task(**changes: Any) -> Task:
    """A chain ends where a segment's text holds a `7`, so that random students sometimes end
    one."""
    task = Task(
        name="tiny",
        render=lambda p: p.question,
        extract=lambda text, lenient, problem: "7" if "7" in text else None,
        same=lambda a, b: a is not None and a == b,
        closing_pattern=r"7",
        max_segments=6,
        max_segment_tokens=12,
        max_chain_tokens=20,
    )
    return replace(task, **changes)


def generated(
    student: Student, ids: list[int], limit: int, ends: set[int] | None = None
) -> tuple[list[int], bool]:
    """What `model.generate` writes after `ids`, and whether it ended by itself."""
    stops = sorted(student.end_ids | (ends or set()))
    prompt = torch.tensor([ids], device=student.device)
    with torch.no_grad():
        out = student.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=limit + len(student.target_head),
            eos_token_id=stops,
            pad_token_id=student.pad_id,
        )[0].tolist()
    given = len(ids) if student.architecture == "causal" else 1 + len(student.target_head)
    written = out[given:]
    return written, bool(written) and written[-1] in stops


def marked(student: Student, factor: float) -> Student:
    """Random students rarely write a marker; a larger row in the head makes them likely."""
    with torch.no_grad():
        for marker in student.markers.values():
            row = student.model.get_output_embeddings().weight[marker]
            row.copy_(
                torch.randn(row.shape, generator=torch.Generator().manual_seed(marker)) * factor
            )
    return student
