"""The files of the stage `data`, and what others read of them: pages, cards, joined tables.

What makes the stage, and reads the whole of it for a run, is `data.py`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallsteps.disk import read_object
from smallsteps.errors import RunFolderError, UserError
from smallsteps.experiment.data_parts import PARTS
from smallsteps.experiment.stored_rows import StoredRows, chain_in_row
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks import Task, get_task

PROBLEMS = "problems.jsonl"
"""Within the stage `data`: the test problems."""
RATIONALES = ("train-rationales.jsonl", "validation-rationales.jsonl")
"""Within the stage `data`: rationales beside the questions, where arms read them."""
FEEDBACK = "feedback.jsonl"
"""Within the stage `data`, where the recipe names feedback: chains that people judged or edited."""


def stored_chains(folder: Path) -> list[StoredRows[Chain]]:
    """The chains of the three parts as they lie in `folder`."""
    return [StoredRows(folder / f"{name}.jsonl", chain_in_row) for name in PARTS]


def read_test_part(run_folder: Path) -> tuple[Task, list[Problem], list[Chain]]:
    """The task of a run, its test problems, and the gold chains that some of them have, as the
    stage `data` holds them. Raises RunFolderError where it is missing or damaged."""
    folder = run_folder / "data"
    with _damage_named(folder):
        task = get_task(read_object(folder / "data.json")["task"])
        return (
            task,
            read_stored_problems(folder / PROBLEMS),
            read_stored_chains(folder / "test.jsonl"),
        )


def read_questions(run_folder: Path, part: str) -> list[str]:
    """The questions of a run's part `train` or `validation`. Raises RunFolderError as
    `read_test_part`."""
    folder = run_folder / "data"
    with _damage_named(folder):
        rows = read_json_lines(folder / f"{part}.jsonl")
        return list(dict.fromkeys(row.get("problem", row)["question"] for row in rows))


@contextlib.contextmanager
def _damage_named(folder: Path) -> Iterator[None]:
    """Turns a failure to read the stage `data` into a RunFolderError."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise RunFolderError(
            f"{folder}: missing or damaged ({error}). Type the run's command again."
        ) from None


def read_stored_problems(path: Path) -> list[Problem]:
    """The problems in a file of the stage."""
    return list(StoredRows(path, Problem.from_row))


def read_stored_rationales(path: Path) -> dict[str, Rationale]:
    """Problem id → rationale, in a file of the stage."""
    rationales = map(Rationale.from_row, read_json_lines(path))
    return {rationale.problem_id: rationale for rationale in rationales}


def read_stored_chains(path: Path) -> list[Chain]:
    """The chains in a file of the stage."""
    return list(StoredRows(path, chain_in_row))


def read_json_lines(path: Path) -> list[Any]:
    """Rows of a file that a stage wrote. Lines end in LF alone: real chains hold U+2028, which
    `splitlines` would cut."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]
