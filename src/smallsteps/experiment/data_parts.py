"""The three parts of a comparison's data: chains or questions, made or read, split by question.

`data.py` checks the parts and writes them to the run folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError, RecipeError
from smallsteps.experiment.settings import DataSettings
from smallsteps.experiment.stored_rows import row_of_chain
from smallsteps.outputs import writing
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.students.settings import BUNDLED
from smallsteps.tasks import TASKS, Task, get_task
from smallsteps.tasks.base import Difficulty
from smallsteps.tasks.files import (
    RowCounts,
    identified,
    iter_chains,
    read_chains,
    read_problems,
    read_rationales,
    read_rows,
    write_rows,
)
from smallsteps.tasks.first_lines import FirstLines
from smallsteps.tasks.notes import Say
from smallsteps.tasks.splits import Grouping, split_problems, without_overlap
from smallsteps.tasks.spoken import task_for


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
    return task_for(data.task, file_names(data), data.columns, data.language, say)


SHARES = {
    (False, False): (0.8, 0.1, 0.1),
    (False, True): (0.9, 0.1, 0.0),
    (True, False): (0.9, 0.0, 0.1),
}
"""(validation, test) have files of their own → shares of the training, validation and test part."""


PARTS = ("train", "validation", "test")
"""Within the stage `data`: `NAME.jsonl` holds the chains of a part."""


def store_parts(
    data: DataSettings, task: Task, folder: Path, say: Say | None = None
) -> dict[str, Any]:
    """Makes or reads the chains of the three parts and writes them to `folder`; returns facts about
    them. In memory are one chain of a file, and an index of ids and questions."""
    if data.chains == BUNDLED:
        *parts, facts = bundled_parts(data)
        for name, part in zip(PARTS, parts, strict=True):
            store_chains(folder / f"{name}.jsonl", part)
        return facts
    return _store_files(data, task, folder, say)


def store_chains(path: Path, chains: Iterable[Chain]) -> int:
    """Writes chains, which `chain_in_row` reads again; returns their number."""
    return write_rows(path, map(row_of_chain, chains))


def file_names(data: DataSettings) -> list[str]:
    """The files of chains."""
    return [data.chains] if isinstance(data.chains, str) else data.chains


def feedback_names(data: DataSettings) -> list[str]:
    """The files of feedback."""
    if data.feedback is None:
        return []
    return [data.feedback] if isinstance(data.feedback, str) else data.feedback


def bundled_parts(
    data: DataSettings,
) -> tuple[list[Chain], list[Chain], list[Chain], dict[str, Any]]:
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


def _store_files(data: DataSettings, task: Task, folder: Path, say: Say | None) -> dict[str, Any]:
    paths = file_names(data)
    counts, grouping = RowCounts(), Grouping()

    def chains() -> Iterator[Chain]:
        first_lines = FirstLines()
        stored = 0
        for path in paths:
            for chain in iter_chains(path, task, data.columns, say=say, counts=counts):
                if data.limit is not None and stored == data.limit:
                    continue  # the rows beyond the limit are checked all the same
                stored += 1
                twice = len(paths) > 1 and first_lines.add(chain.problem.id, stored)
                if twice:
                    raise _id_in_two_files(chain.problem.id, data)
                grouping.add(chain.problem)
                yield chain

    everything = folder / "all.jsonl"
    facts = {
        "source": ", ".join(Path(path).name for path in paths),
        "chains": store_chains(everything, chains()),
        "wrong": len(counts.wrong_ids),
        "closed": counts.closed,
    }
    if counts.contradicting_ids:
        facts["contradicting"] = len(counts.contradicting_ids)
    if say is not None and (line := counts.contradiction_line()):
        say(line)
    given = {}
    if data.validation is not None:
        given["validation"] = iter_chains(data.validation, task, data.columns, say=say)
    if data.test is not None:
        given["test"] = iter(_gold_chains(data, task))
    for name, part in given.items():
        store_chains(folder / f"{name}.jsonl", part)
    split = [name for name in PARTS if name not in given]
    if split == ["train"]:
        everything.rename(folder / "train.jsonl")
    else:
        shares = SHARES[data.validation is not None, data.test is not None]
        homes, _ = grouping.homes(data.split_seed, shares)
        _distribute(everything, folder, split, homes)
        everything.unlink()
    return facts


def _distribute(everything: Path, folder: Path, names: Sequence[str], homes: Sequence[int]) -> None:
    """Copies each row to the file of its part, those of `names`."""
    with ExitStack() as stack:
        stack.enter_context(writing(folder))
        files = {
            PARTS.index(name): stack.enter_context((folder / f"{name}.jsonl").open("wb"))
            for name in names
        }
        source = stack.enter_context(everything.open("rb"))
        for line, home in zip(source, homes, strict=True):
            files[home].write(line)


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


def read_question_parts(
    data: DataSettings, task: Task, say: Say | None
) -> tuple[list[Problem], list[Problem], list[Problem]]:
    problems = [
        problem
        for path in file_names(data)
        for problem in read_problems(path, task, data.columns, say)
    ]
    problems = problems[: data.limit]
    validation, test = (
        None if path is None else read_problems(path, task, data.columns, say)
        for path in (data.validation, data.test)
    )
    if validation is not None and test is not None:
        return problems, validation, test
    shares = SHARES[validation is not None, test is not None]
    split = split_problems(problems, data.split_seed, shares)
    return (
        split.train,
        split.validation if validation is None else validation,
        split.test if test is None else test,
    )


def rationales_of_parts(
    data: DataSettings, task: Task
) -> tuple[dict[str, Rationale], dict[str, Rationale]]:
    """(problem id → rationale of the training questions and perhaps more, the same of the
    validation questions): of the bundled chains, or of the rows that have one."""
    if data.chains == BUNDLED:
        train, validation, *_ = bundled_parts(data)
        of_train, of_validation = (
            {chain.problem.id: chain.rationale for chain in part} for part in (train, validation)
        )
        return of_train, of_validation
    read = [read_rationales(path, task, data.columns) for path in file_names(data)]
    _check_ids([identifier for by_id in read for identifier in by_id], data)
    merged = {identifier: value for by_id in read for identifier, value in by_id.items()}
    if data.validation is None:
        return merged, merged
    return merged, read_rationales(data.validation, task, data.columns)


def _check_ids(ids: Sequence[str], data: DataSettings) -> None:
    """Raises DataError where an id stands in two files of chains."""
    twice = next((identifier for identifier, count in Counter(ids).items() if count > 1), None)
    if twice is not None:
        raise _id_in_two_files(twice, data)


def _id_in_two_files(identifier: str, data: DataSettings) -> DataError:
    return DataError(
        f"{identifier}: this id stands in two of the files {', '.join(file_names(data))}. Give "
        "every problem its own."
    )
