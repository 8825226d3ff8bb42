"""What a comparison works on: chains read or made, split by question, and the student before training.

The stage `data` of a run folder: train, validation and test chains as JSON lines, and `data.json` with the sizes, what was
left out and the overlap (which is zero, or the run is refused).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError, RecipeError
from smallsteps.recipe import BUNDLED, Data, Recipe
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.runs import RunFolder, write_json
from smallsteps.tasks import Task, get_task
from smallsteps.tasks.files import read_chains, read_problems, read_rows, write_rows
from smallsteps.tasks.splits import check_overlap, split_problems


@dataclass(frozen=True)
class Material:
    """The data of a run."""

    task: Task
    train: list[Chain]
    validation: list[Chain]
    test: list[Problem]
    gold: list[Chain]
    """Test problems that have a chain of their own, for the page."""
    also: dict[str, tuple[Task, list[Problem]]]
    """Further test sets."""
    facts: dict[str, Any]
    """Sizes, overlap, rows left out."""

    @property
    def texts(self) -> list[str]:
        """Questions and chains of the training part, as the student meets them."""
        return [text for c in self.train for text in (self.task.render(c.problem), c.rationale.text)]


def load_material(recipe: Recipe, run: RunFolder) -> Material:
    """Makes the stage `data` where it is not there yet, and reads it."""
    task = get_task(recipe.data.task)
    folder = run.stage("data", lambda place: _make(recipe.data, task, place))
    also = {}
    for name, path in recipe.data.also_test.items():
        other = get_task(name)
        also[name] = (other, read_problems(path, other))
    gold = _read(folder / "test.jsonl")
    test = [Problem.from_row(row) for row in read_json_lines(folder / "problems.jsonl")]
    facts = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    return Material(task, _read(folder / "train.jsonl"), _read(folder / "validation.jsonl"), test, gold, also, facts)


def _make(data: Data, task: Task, folder: Path) -> None:
    if data.chains == BUNDLED:
        train, validation, test, facts = _bundled(data)
    else:
        train, validation, test, facts = _from_files(data, task)
    problems = [chain.problem for chain in test] if not data.test else read_problems(data.test, task)
    for name, part in (("training", train), ("validation", validation), ("test", problems)):
        if not part:
            raise DataError(
                f"the {name} part is empty ({facts['chains']} chains in all). Give at least 10 chains of different questions."
            )
    check_overlap(train, validation)
    check_overlap([*train, *validation], problems)
    for name, chains in (("train", train), ("validation", validation), ("test", test)):
        write_rows(
            folder / f"{name}.jsonl",
            ({"problem": c.problem.to_row(), "rationale": c.rationale.to_row()} for c in chains),
        )
    write_rows(folder / "problems.jsonl", (problem.to_row() for problem in problems))
    sizes = {"train": len(train), "validation": len(validation), "test": len(problems), "overlap": 0}
    write_json(folder / "data.json", {**facts, **sizes})


def _bundled(data: Data) -> tuple[list[Chain], list[Chain], list[Chain], dict[str, Any]]:
    """Training, validation and test stories of three different seeds; a question that comes twice counts once."""
    from smallsteps.tasks.stories import make_chains

    if data.task != "stories":
        raise RecipeError(
            f"the bundled chains belong to the task `stories`, not {data.task!r}: set data.task=stories, or name a file"
        )
    train = make_chains(data.count, 100 + data.split_seed, data.difficulty)
    seen = {chain.problem.question for chain in train}
    parts = []
    for seed, count in ((200, data.validation_count), (300, data.test_count)):
        fresh = [
            c
            for c in make_chains(count + 200, seed + data.split_seed, data.difficulty)
            if c.problem.question not in seen
        ]
        parts.append(fresh[:count])
        seen |= {chain.problem.question for chain in parts[-1]}
    return (
        train,
        parts[0],
        parts[1],
        {"source": f"bundled stories, {data.difficulty}", "chains": data.count, "wrong": 0},
    )


def _from_files(data: Data, task: Task) -> tuple[list[Chain], list[Chain], list[Chain], dict[str, Any]]:
    paths = [data.chains] if isinstance(data.chains, str) else data.chains
    chains: list[Chain] = []
    wrong = closed = 0
    for path in paths:
        found = read_chains(path, task, data.columns)
        chains += found.chains
        wrong += found.wrong
        closed += found.closed
    if data.limit is not None:
        chains = chains[: data.limit]
    twice = next((i for i, count in Counter(c.problem.id for c in chains).items() if count > 1), None)
    if twice is not None and len(paths) > 1:
        raise DataError(f"{twice}: this id stands in two of the files {', '.join(paths)}. Give every problem its own.")
    facts = {
        "source": ", ".join(Path(path).name for path in paths),
        "chains": len(chains),
        "wrong": wrong,
        "closed": closed,
    }
    if data.validation is None and data.test is None:
        parts = split_problems(chains, data.split_seed)
        return parts.train, parts.validation, parts.test, facts
    if data.validation is None:
        parts = split_problems(chains, data.split_seed, (0.9, 0.1, 0.0))
        return parts.train, parts.validation, _gold_chains(data, task), facts
    validation = read_chains(data.validation, task, data.columns).chains
    if data.test is None:
        parts = split_problems(chains, data.split_seed, (0.9, 0.0, 0.1))
        return parts.train, validation, parts.test, facts
    return chains, validation, _gold_chains(data, task), facts


def _gold_chains(data: Data, task: Task) -> list[Chain]:
    """The chains of a test file where it has them; the problems alone otherwise."""
    assert data.test is not None
    if task.prepare is None and not any("rationale" in row for _, row in _first(read_rows(data.test))):
        return []
    return read_chains(data.test, task, data.columns, allow_wrong=True).chains


def _first(rows: Iterable[tuple[int, Any]]) -> list[tuple[int, Any]]:
    return [next(iter(rows))]


def _read(path: Path) -> list[Chain]:
    rows = read_json_lines(path)
    return [Chain(Problem.from_row(row["problem"]), Rationale.from_row(row["rationale"])) for row in rows]


def read_json_lines(path: Path) -> list[Any]:
    """Rows of a file that a stage wrote. Lines end in LF alone: real chains hold U+2028, which `splitlines` would cut."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]
