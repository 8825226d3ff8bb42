"""Further test sets (`data.also_test`): their names, their questions and the answers to them.

    further/<set>/problems.jsonl            records.Problem, as they were read the first time
    further/<set>/set.json                  the task, in the language of the set
    arms/<arm>-seed<k>/further/<set>.jsonl  records.Prediction of an arm

Questions and answers stay with the run, so that its arms can be tested in pairs later: the files
that the recipe names may be gone then. `<set>` is the name of the set as a file's name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from smallsteps.disk import read_object, write_json
from smallsteps.errors import DataError, RecipeError, RunFolderError, UserError
from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.stored_rows import StoredRows
from smallsteps.records import Chain, Prediction, Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import read_problems, write_rows
from smallsteps.tasks.notes import Say
from smallsteps.tasks.splits import shared_questions, without_overlap
from smallsteps.tasks.spoken import task_for

TestSet = tuple[Task, list[Problem]]
TestSets = Mapping[str, TestSet]
"""Name of a further test set → its task and its questions."""
FOLDER = "further"
PROBLEMS, SET = "problems.jsonl", "set.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


# ---- names ----


def task_name(test_set: str) -> str:
    """The task of a set: the name itself, or what stands before the slash.

    >>> task_name("svamp"), task_name("gsm8k/hard")
    ('svamp', 'gsm8k')
    """
    return test_set.partition("/")[0]


def dataset_name(test_set: str) -> str:
    """What the signature calls the set beside its task.

    >>> dataset_name("svamp"), dataset_name("gsm8k/hard")
    ('test', 'hard')
    """
    return test_set.partition("/")[2] or "test"


def file_name(test_set: str) -> str:
    """The name of a set as a file's or a stage's name.

    >>> file_name("svamp"), file_name("gsm8k/hard")
    ('svamp', 'gsm8k+hard')
    """
    return test_set.replace("/", "+")


def check_name(test_set: str) -> None:
    """Raises RecipeError where a set is named neither TASK nor TASK/NAME."""
    task, slash, name = test_set.partition("/")
    if slash and not _NAME.fullmatch(name):
        raise RecipeError(
            f"data.also_test: {test_set!r} is no name of a test set. Type the task, such as "
            f"{task or 'svamp'}; or the task and a name of letters, digits, dots and dashes, such "
            f"as {task or 'svamp'}/hard."
        )
    try:
        get_task(task)
    except RecipeError as error:
        raise RecipeError(f"data.also_test: {error}") from None


# ---- questions ----


def store_test_sets(
    also_test: Mapping[str, str], run: RunFolder, learnt: Iterable[Chain | Problem], say: Say | None
) -> TestSets:
    """Makes the stages of the sets that are not there yet, and reads all. `learnt`: what is trained
    on; `say` receives how many questions of a set stand there too, and what was guessed. Raises
    DataError, which names the key, where a file cannot be read."""
    return {name: _stored(name, path, run, learnt, say) for name, path in also_test.items()}


def _stored(
    name: str, path: str, run: RunFolder, learnt: Iterable[Chain | Problem], say: Say | None
) -> tuple[Task, list[Problem]]:
    def make(folder: Path) -> None:
        try:
            task = task_for(task_name(name), [path], say=say)
            problems = read_problems(path, task, say=say)
        except DataError as error:
            raise DataError(f"data.also_test.{name}: {error}") from None
        if not problems:
            raise DataError(f"data.also_test.{name}: {path} holds no question.")
        known = len(shared_questions(problems, learnt))
        if known and say is not None:
            say(
                f"data.also_test.{name}: {known:,} of {len(problems):,} questions stand in the "
                "training part too, so that its figure is too high"
            )
        write_rows(folder / PROBLEMS, (problem.to_row() for problem in problems))
        write_json(folder / SET, {"task": task.name})

    return _read(run.stage(f"{FOLDER}/{file_name(name)}", make, fixed=True, alone=True))


def _read(folder: Path) -> tuple[Task, list[Problem]]:
    task = get_task(read_object(folder / SET)["task"])
    return task, list(StoredRows(folder / PROBLEMS, Problem.from_row))


def read_test_sets(run_folder: Path, names: Iterable[str]) -> TestSets:
    """The sets of these names that the run folder holds; runs of older versions hold none.

    Raises RunFolderError where one is damaged."""
    sets = {}
    for name in names:
        folder = run_folder / FOLDER / file_name(name)
        if not (folder / SET).is_file():
            continue
        try:
            sets[name] = _read(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
            raise RunFolderError(
                f"{folder}: damaged ({error}). Type the run's command again."
            ) from None
    return sets


def same_questions(first: TestSet, other: TestSet) -> bool:
    """Whether two sets have one task and the same questions, in any order."""
    by_id = [{problem.id: problem for problem in problems} for _, problems in (first, other)]
    return first[0].name == other[0].name and by_id[0] == by_id[1]


def counted_once(sets: TestSets) -> dict[str, frozenset[str]]:
    """Set → the ids of its questions that stand in no set before it, each question once."""
    kept: dict[str, frozenset[str]] = {}
    earlier: list[Problem] = []
    for name, (_, problems) in sets.items():
        new = without_overlap(problems, earlier)
        kept[name] = frozenset(problem.id for problem in new)
        earlier += new
    return kept


# ---- answers ----


def store_answers(run: RunFolder, place: str, answers: Mapping[str, Sequence[Prediction]]) -> None:
    """Keeps the answers of an arm to each set. `place`: its folder below `arms/`."""

    def make(folder: Path) -> None:
        for name, predictions in answers.items():
            rows = (prediction.to_row() for prediction in predictions)
            write_rows(folder / f"{file_name(name)}.jsonl", rows)

    if answers:
        run.stage(f"arms/{place}/{FOLDER}", make, alone=True)


def read_answers(run_folder: Path, place: str, test_set: str) -> list[Prediction]:
    """The kept answers of an arm to a set. Raises RunFolderError where they are missing or
    damaged."""
    path = run_folder / "arms" / place / FOLDER / f"{file_name(test_set)}.jsonl"
    try:
        return list(StoredRows(path, Prediction.from_row))
    except (OSError, ValueError, UserError) as error:
        raise RunFolderError(
            f"{path}: missing or damaged ({error}). Type the run's command again."
        ) from None


def grade_answers(
    answers: Mapping[str, Sequence[Prediction]],
    sets: TestSets,
    *,
    decode: str,
    seed: int,
    resamples: int,
) -> dict[str, Score]:
    """The score of an arm's answers to each set, by the metric of the set's task."""
    return {
        name: grade(
            answers[name],
            problems,
            task,
            dataset=dataset_name(name),
            decode=decode,
            seed=seed,
            resamples=resamples,
        )
        for name, (task, problems) in sets.items()
    }
