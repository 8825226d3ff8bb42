"""What a comparison works on: chains read or made, split by question, and the student before
training.

The stage `data` of a run folder: train, validation and test chains as JSON lines, and `data.json`
with the sizes, what was left out and the overlap (which is zero, or the run is refused)."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from smallsteps.disk import read_object, write_json
from smallsteps.errors import DataError, RecipeError, RunFolderError, UserError
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.settings import DataSettings
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.students.settings import BUNDLED
from smallsteps.tasks import TASKS, Task, get_task
from smallsteps.tasks.base import Difficulty
from smallsteps.tasks.files import (
    identified,
    read_chains,
    read_problems,
    read_rationales,
    read_rows,
    write_rows,
)
from smallsteps.tasks.notes import Say
from smallsteps.tasks.splits import check_overlap, split_problems, without_overlap
from smallsteps.tasks.spoken import task_for


@dataclass(frozen=True)
class RunData:
    """The data of a run: questions in three parts, and chains of thought where its arms learn from
    them."""

    task: Task
    train: list[Problem]
    validation: list[Problem]
    test: list[Problem]
    train_chains: list[Chain]
    """Empty where no arm needs chains."""
    validation_chains: list[Chain]
    train_rationales: dict[str, Rationale]
    """Problem id → the rationale that the data has for a training question, right or wrong. Empty
    where no arm reads it."""
    validation_rationales: dict[str, Rationale]
    """The same for the validation questions."""
    gold: list[Chain]
    """Test problems that have a chain of their own, for the page."""
    further: dict[str, tuple[Task, list[Problem]]]
    """Further test sets: name → task and problems."""
    facts: dict[str, Any]
    """Sizes, overlap, rows left out."""

    @property
    def texts(self) -> list[str]:
        """Questions, and chains where there are any, of the training part, as the student meets
        them."""
        if not self.train_chains:
            return [self.task.render(problem) for problem in self.train]
        return [
            text
            for chain in self.train_chains
            for text in (self.task.render(chain.problem), chain.rationale.text)
        ]

    def check_answers(self) -> None:
        """Raises DataError where a question has no gold answer."""
        check_answers([*self.train, *self.validation, *self.test])


def data_task(data: DataSettings, say: Say | None = None) -> Task:
    """The task of a recipe in the language of its data. `say` receives the language where it was
    guessed."""
    if data.chains == BUNDLED:
        if data.language not in (None, "en"):
            raise RecipeError(
                f"data.language: the bundled chains are English, not {data.language!r}. Take it "
                "out, or name your own "
                "file: data.chains=PATH"
            )
        return get_task(data.task)
    return task_for(data.task, _paths(data), data.columns, data.language, say)


def load_data(
    recipe: Recipe,
    run: RunFolder,
    chains: bool,
    rationales: bool = False,
    say: Say | None = None,
) -> RunData:
    """Makes the stage `data` where it is not there yet, and reads it. `chains`: whether arms learn
    from chains of thought; else the questions are enough. `rationales`: whether those that the
    files have beside their questions are kept. `say` receives what was guessed."""

    def make(place: Path) -> None:
        if chains:
            _make_chains(recipe.data, place, say)
        else:
            _make_questions(recipe.data, place, say, rationales)

    folder = run.stage("data", make, fixed=True)
    facts = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    task = get_task(facts.get("task", recipe.data.task))
    test = _read_problems(folder / "problems.jsonl")
    gold = _read_chains(folder / "test.jsonl")
    further = {}
    for name, path in recipe.data.also_test.items():
        further_task = task_for(name, [path], say=say)
        further[name] = (further_task, read_problems(path, further_task, say=say))
    if chains:
        train_chains, validation_chains = (
            _read_chains(folder / f"{name}.jsonl") for name in ("train", "validation")
        )
        train, validation = _problems_of(train_chains), _problems_of(validation_chains)
        of_train, of_validation = (
            {chain.problem.id: chain.rationale for chain in part}
            for part in (train_chains, validation_chains)
        )
    else:
        train_chains, validation_chains = [], []
        train, validation = (
            _read_problems(folder / f"{name}.jsonl") for name in ("train", "validation")
        )
        of_train, of_validation = (
            _read_rationales(folder / file) if rationales else {} for file in RATIONALES
        )
    return RunData(
        task=task,
        train=train,
        validation=validation,
        test=test,
        train_chains=train_chains,
        validation_chains=validation_chains,
        train_rationales=of_train,
        validation_rationales=of_validation,
        gold=gold,
        further=further,
        facts=facts,
    )


RATIONALES = ("train-rationales.jsonl", "validation-rationales.jsonl")
"""Within the stage `data`: rationales beside the questions, where arms read them."""


def _problems_of(chains: Sequence[Chain]) -> list[Problem]:
    """The problems of chains, each once."""
    return list({chain.problem.id: chain.problem for chain in chains}.values())


def check_answers(problems: Sequence[Problem]) -> None:
    """Raises DataError where a question has no gold answer."""
    bare = next((problem for problem in problems if problem.answer is None), None)
    if bare is not None:
        raise DataError(
            f"{bare.id}: an exam needs gold answers. Add an `answer` to every row, or leave out "
            "those without one. (`smallsteps teach` explains questions without answers.)"
        )


def _make_questions(data: DataSettings, folder: Path, say: Say | None, rationales: bool) -> None:
    task = data_task(data, say)
    gold: list[Chain] = []
    if data.chains == BUNDLED:
        *chains, gold, facts = _bundled(data)
        train, validation, test = ([chain.problem for chain in part] for part in (*chains, gold))
    else:
        train, validation, test = _question_files(data, task, say)
        facts = {"source": ", ".join(Path(path).name for path in _paths(data))}
    check_answers([*train, *validation, *test])
    parts = {"training": train, "validation": validation, "test": test}
    _check_parts(parts, len(train) + len(validation) + len(test))
    for name, problems in zip(("train", "validation", "problems"), parts.values(), strict=True):
        write_rows(folder / f"{name}.jsonl", (problem.to_row() for problem in problems))
    _write_chains(folder / "test.jsonl", gold)
    if rationales:
        for file, part, by_id in zip(
            RATIONALES, (train, validation), _rationales(data, task), strict=True
        ):
            rows = (by_id[problem.id].to_row() for problem in part if problem.id in by_id)
            write_rows(folder / file, rows)
    sizes = {"train": len(train), "validation": len(validation), "test": len(test), "overlap": 0}
    write_json(folder / "data.json", {**facts, **sizes, "task": task.name})


def _question_files(
    data: DataSettings, task: Task, say: Say | None
) -> tuple[list[Problem], list[Problem], list[Problem]]:
    problems = [
        problem for path in _paths(data) for problem in read_problems(path, task, data.columns, say)
    ]
    problems = problems[: data.limit]
    validation, test = (
        None if path is None else read_problems(path, task, data.columns, say)
        for path in (data.validation, data.test)
    )
    return _in_parts(problems, validation, test, data.split_seed)


def _rationales(
    data: DataSettings, task: Task
) -> tuple[dict[str, Rationale], dict[str, Rationale]]:
    """(problem id → rationale of the training questions and perhaps more, the same of the
    validation questions): of the bundled chains, or of the rows that have one."""
    if data.chains == BUNDLED:
        train, validation, *_ = _bundled(data)
        of_train, of_validation = (
            {chain.problem.id: chain.rationale for chain in part} for part in (train, validation)
        )
        return of_train, of_validation
    read = [read_rationales(path, task, data.columns) for path in _paths(data)]
    _check_ids([identifier for by_id in read for identifier in by_id], data)
    merged = {identifier: value for by_id in read for identifier, value in by_id.items()}
    if data.validation is None:
        return merged, merged
    return merged, read_rationales(data.validation, task, data.columns)


def _check_ids(ids: Sequence[str], data: DataSettings) -> None:
    """Raises DataError where an id stands in two files of chains."""
    twice = next((identifier for identifier, count in Counter(ids).items() if count > 1), None)
    if twice is not None:
        raise DataError(
            f"{twice}: this id stands in two of the files {', '.join(_paths(data))}. Give every "
            "problem its own."
        )


SHARES = {
    (False, False): (0.8, 0.1, 0.1),
    (False, True): (0.9, 0.1, 0.0),
    (True, False): (0.9, 0.0, 0.1),
}
"""(validation, test) have files of their own → shares of the training, validation and test part."""
Item = TypeVar("Item", Chain, Problem)


def _in_parts(
    items: list[Item], validation: list[Item] | None, test: list[Item] | None, seed: int
) -> tuple[list[Item], list[Item], list[Item]]:
    """Training, validation and test part. A part without a file is a tenth of `items`."""
    if validation is not None and test is not None:
        return items, validation, test
    split = split_problems(items, seed, SHARES[validation is not None, test is not None])
    return (
        split.train,
        split.validation if validation is None else validation,
        split.test if test is None else test,
    )


def read_parts(
    data: DataSettings, task: Task, say: Say | None = None
) -> tuple[list[Chain], list[Chain], list[Chain], dict[str, Any]]:
    """Training, validation and test chains, made or read, and facts about them."""
    return _bundled(data) if data.chains == BUNDLED else _from_files(data, task, say)


def _make_chains(data: DataSettings, folder: Path, say: Say | None) -> None:
    task = data_task(data, say)
    train, validation, test, facts = read_parts(data, task, say)
    problems = (
        [chain.problem for chain in test]
        if not data.test
        else read_problems(data.test, task, data.columns, say)
    )
    _check_parts({"training": train, "validation": validation, "test": problems}, facts["chains"])
    for name, chains in (("train", train), ("validation", validation), ("test", test)):
        _write_chains(folder / f"{name}.jsonl", chains)
    write_rows(folder / "problems.jsonl", (problem.to_row() for problem in problems))
    sizes = {
        "train": len(train),
        "validation": len(validation),
        "test": len(problems),
        "overlap": 0,
    }
    write_json(folder / "data.json", {**facts, **sizes, "task": task.name})


def _check_parts(parts: Mapping[str, Sequence[Chain | Problem]], rows: int) -> None:
    """Raises DataError where a part is empty, or a question stands in two."""
    for name, part in parts.items():
        if not part:
            raise DataError(
                f"the {name} part is empty ({rows} rows in all). Give at least 10 different "
                "questions."
            )
    train, validation, test = parts.values()
    check_overlap(train, validation)
    check_overlap([*train, *validation], test)


def _write_chains(path: Path, chains: Sequence[Chain]) -> None:
    write_rows(
        path, ({"problem": c.problem.to_row(), "rationale": c.rationale.to_row()} for c in chains)
    )


def _paths(data: DataSettings) -> list[str]:
    return [data.chains] if isinstance(data.chains, str) else data.chains


def _bundled(data: DataSettings) -> tuple[list[Chain], list[Chain], list[Chain], dict[str, Any]]:
    """Training, validation and test problems of three different seeds; a question that comes twice
    counts once."""
    generate = _generator(data)
    train = generate(data.count, 100 + data.split_seed, data.difficulty)
    seen = list(train)
    parts = []
    for seed, count in ((200, data.validation_count), (300, data.test_count)):
        drawn = generate(2 * count + 200, seed + data.split_seed, data.difficulty)
        fresh = without_overlap(drawn, seen)
        parts.append(fresh[:count])
        seen += parts[-1]
    source = f"bundled {data.task}, {data.difficulty}"
    return train, parts[0], parts[1], {"source": source, "chains": data.count, "wrong": 0}


def check_bundled(data: DataSettings) -> None:
    """Raises RecipeError where nothing bundled belongs to the task."""
    _generator(data)


def _generator(data: DataSettings) -> Callable[[int, int, Difficulty], list[Chain]]:
    task = TASKS.get(data.task)
    if task is None or task.generate is None:
        names = " and ".join(f"`{name}`" for name, known in TASKS.items() if known.generate)
        raise RecipeError(
            f"the bundled chains belong to the tasks {names}, not {data.task!r}: "
            "set data.task, or name a file"
        )
    return task.generate


def _from_files(
    data: DataSettings, task: Task, say: Say | None
) -> tuple[list[Chain], list[Chain], list[Chain], dict[str, Any]]:
    paths = _paths(data)
    chains: list[Chain] = []
    wrong = closed = 0
    for path in paths:
        read = read_chains(path, task, data.columns, say=say)
        chains += read.chains
        wrong += read.wrong
        closed += read.closed
    if data.limit is not None:
        chains = chains[: data.limit]
    if len(paths) > 1:
        _check_ids([chain.problem.id for chain in chains], data)
    facts = {
        "source": ", ".join(Path(path).name for path in paths),
        "chains": len(chains),
        "wrong": wrong,
        "closed": closed,
    }
    validation = test = None
    if data.validation is not None:
        validation = read_chains(data.validation, task, data.columns, say=say).chains
    if data.test is not None:
        test = _gold_chains(data, task)
    return *_in_parts(chains, validation, test, data.split_seed), facts


def _gold_chains(data: DataSettings, task: Task) -> list[Chain]:
    """The chains of a test file where it has them; the problems alone otherwise."""
    assert data.test is not None
    if task.prepare is None:
        _, raw = next(read_rows(data.test))
        named = data.columns.get("rationale")
        if named is not None and named not in raw:
            return []
        _, _, first = next(identified(data.test, task, data.columns))
        if "rationale" not in first:
            return []
    return read_chains(data.test, task, data.columns, allow_wrong=True).chains


def read_test_part(run_folder: Path) -> tuple[Task, list[Problem], list[Chain]]:
    """The task of a run, its test problems, and the gold chains that some of them have, as the
    stage `data` holds them. Raises RunFolderError where it is missing or damaged."""
    folder = run_folder / "data"
    with _damage_named(folder):
        task = get_task(read_object(folder / "data.json")["task"])
        return task, _read_problems(folder / "problems.jsonl"), _read_chains(folder / "test.jsonl")


def read_validation_questions(run_folder: Path) -> list[str]:
    """The questions of a run's validation part. Raises RunFolderError as `read_test_part`."""
    folder = run_folder / "data"
    with _damage_named(folder):
        rows = read_json_lines(folder / "validation.jsonl")
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


def _read_problems(path: Path) -> list[Problem]:
    return [Problem.from_row(row) for row in read_json_lines(path)]


def _read_rationales(path: Path) -> dict[str, Rationale]:
    """Problem id → rationale."""
    rationales = map(Rationale.from_row, read_json_lines(path))
    return {rationale.problem_id: rationale for rationale in rationales}


def _read_chains(path: Path) -> list[Chain]:
    rows = read_json_lines(path)
    return [
        Chain(Problem.from_row(row["problem"]), Rationale.from_row(row["rationale"]))
        for row in rows
    ]


def read_json_lines(path: Path) -> list[Any]:
    """Rows of a file that a stage wrote. Lines end in LF alone: real chains hold U+2028, which
    `splitlines` would cut."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]
