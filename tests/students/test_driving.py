"""The program on a model card writes what our engine writes, where smallsteps is not installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plain_transformers import run_programs
from smallsteps.generation.solve import solve
from smallsteps.records import Problem
from smallsteps.students.drive import Drive
from smallsteps.students.driving import PLACEHOLDER, asked, driving_code, prompt_frame
from smallsteps.students.dual import DualStudent
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task

Tiny = Callable[..., Student]
EXAMPLE = Problem("q", "Ann has 3 boxes. Each box holds 4 pens. How many pens does Ann have?")
TASK = replace(get_task("svamp"), max_segment_tokens=12, max_chain_tokens=40, max_segments=6)


def written(student: Student | DualStudent, task: Task) -> list[str]:
    """The segments that our engine writes for the question of the program. Random weights also write
    the opening of a turn, which only our engine shows."""
    (prediction,) = solve(student, [EXAMPLE], task)
    return [text.replace("<|im_start|>", "") for _, text in prediction.segments]


def ready(student: Student, path: str, **more: object) -> Student:
    return prepare(student, TASK, path=path, texts=["Ann has 3 boxes."], seed=1, **more)


def pair_of(tiny: Tiny, style: str) -> DualStudent:
    halves = [ready(tiny(style, seed), "dual", role=kind) for seed, kind in ((3, "ES"), (4, "AS"))]
    return DualStudent(*halves, Drive(task=TASK.name, path="dual", max_segments=5))


def students(tiny: Tiny) -> dict[str, Student | DualStudent]:
    return {
        "direct-qwen": ready(tiny("qwen"), "direct"),
        "direct-llama": ready(tiny("llama"), "direct"),
        "shots-qwen": ready(tiny("qwen", 2), "direct", demonstrations=[("2 + 2?", "It's 4.")]),
        "direct-t5": ready(tiny("t5"), "direct"),
        "direct-bart": ready(tiny("bart", 1, 3.5), "direct"),
        "uni-qwen": ready(tiny("qwen", 1), "uni", max_segments=5),
        "uni-llama": ready(tiny("llama", 7), "uni", max_segments=5),
        "uni-t5": ready(tiny("t5", 1), "uni", max_segments=5),
        "cue-t5": ready(tiny("t5", 2), "uni", cue=True, max_segments=5),
        "dual-t5": pair_of(tiny, "t5"),
        "dual-qwen": pair_of(tiny, "qwen"),
    }


def test_each_program_prints_the_chain_that_our_engine_writes(tiny: Tiny, tmp_path: Path) -> None:
    kinds = students(tiny)
    programs = [
        (str(student.save(tmp_path / name)), driving_code(student, TASK, EXAMPLE))
        for name, student in kinds.items()
    ]
    texts = dict(zip(kinds, run_programs(programs), strict=True))
    wrong = []
    for name, student in kinds.items():
        lines = [line.strip() for line in texts[name].split("\n") if line.strip()]
        ours = [line.strip() for text in written(student, TASK) for line in text.split("\n")]
        if lines != [line for line in ours if line]:
            wrong.append((name, lines, ours))
        assert lines, f"{name} wrote nothing: the test compares nothing"
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("name", ["uni-qwen", "dual-qwen", "uni-t5", "dual-t5"])
def test_a_loop_has_about_fifteen_lines_and_fits_the_card(tiny: Tiny, name: str) -> None:
    code = driving_code(students(tiny)[name], TASK).splitlines()
    loop = code[next(n for n, line in enumerate(code) if line.startswith("while")) :]
    assert len(loop) <= 15 and max(map(len, code)) <= 100, code


def test_a_chain_ends_at_its_closing_sentence_and_not_at_the_limit(tiny: Tiny) -> None:
    code = driving_code(students(tiny)["uni-t5"], TASK)
    assert repr(TASK.closing_pattern) in code
    stop = driving_code(ready(tiny("t5"), "uni"), get_task("pet"))
    assert "<STOP>" in stop and "import re" not in stop


def test_the_frame_of_a_prompt_holds_template_and_first_marker(tiny: Tiny) -> None:
    kinds = students(tiny)
    assert prompt_frame(kinds["direct-llama"], TASK) == ("", "\n")
    before, after = prompt_frame(kinds["uni-qwen"], TASK)
    assert before == "<|im_start|>user\n" and after.endswith("<|im_start|>assistant\n<es>")
    assert "It's 4." in prompt_frame(kinds["shots-qwen"], TASK)[0]


@pytest.mark.parametrize(
    ("task", "question"),
    [
        ("svamp", "YOUR QUESTION"),
        ("commonsenseqa", "YOUR QUESTION (a) FIRST CHOICE (b) SECOND CHOICE"),
        ("hotpotqa", "YOUR QUESTION Context: TITLE: SENTENCE."),
        ("hotpotqa-gold", "YOUR QUESTION Context: TITLE: SENTENCE."),
    ],
)
def test_without_a_question_of_the_data_the_program_shows_where_one_goes(
    tiny: Tiny, task: str, question: str
) -> None:
    """The trap: an invented question, which looks like one of the user's data."""
    assert asked(get_task(task), PLACEHOLDER) == question
    student = prepare(tiny("llama"), task, path="direct")
    assert f"question = {question!r}" in driving_code(student, get_task(task))
