"""What a comparison works on: chains read or made, split by question, and the student before
training.

The stage `data` of a run folder: train, validation and test chains as JSON lines, and `data.json`
with the sizes, what was left out and the overlap (which is zero, or the run is refused)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain as chained
from pathlib import Path
from typing import Any, overload

from smallsteps.disk import read_object, write_json
from smallsteps.errors import DataError
from smallsteps.experiment.data_parts import (
    bundled_parts,
    data_task,
    feedback_names,
    file_names,
    rationales_of_parts,
    read_question_parts,
    store_chains,
    store_parts,
)
from smallsteps.experiment.feedback_data import (
    FeedbackChains,
    Judged,
    Material,
    new_problems,
    read_feedback_files,
)
from smallsteps.experiment.feedback_rows import FeedbackRows
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.further import TestSets, store_test_sets, task_name
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.settings import DataSettings
from smallsteps.experiment.stored_data import (
    FEEDBACK,
    PROBLEMS,
    RATIONALES,
    read_stored_chains,
    read_stored_problems,
    read_stored_rationales,
    stored_chains,
)
from smallsteps.experiment.stored_rows import (
    ProblemsOnDisk,
    StoredRows,
    on_disk_if_many,
    problem_in_row,
)
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.students.settings import BUNDLED
from smallsteps.tasks import Task, get_task
from smallsteps.tasks.fields import or_column
from smallsteps.tasks.files import read_problems, write_rows
from smallsteps.tasks.notes import Say
from smallsteps.tasks.splits import check_overlap
from smallsteps.tasks.spoken import task_for


@dataclass(frozen=True)
class RunData:
    """The data of a run: questions in three parts, and chains of thought where its arms learn from
    them."""

    task: Task
    train: Sequence[Problem]
    validation: Sequence[Problem]
    test: Sequence[Problem]
    train_chains: Sequence[Chain]
    """Empty where no arm needs chains."""
    validation_chains: Sequence[Chain]
    train_rationales: dict[str, Rationale]
    """Problem id → the rationale that the data has for a training question, right or wrong. Empty
    where no arm reads it."""
    validation_rationales: dict[str, Rationale]
    """The same for the validation questions."""
    gold: Sequence[Chain]
    """Test problems that have a chain of their own, for the page."""
    further: TestSets
    facts: dict[str, Any]
    """Sizes, overlap, rows left out."""
    feedback: FeedbackChains = field(default_factory=FeedbackChains)
    """What people said of chains of training questions. Its positives are among the training chains
    already."""

    @property
    def texts(self) -> Sequence[str]:
        """Questions, and chains where there are any, of the training part, as the student meets
        them."""
        if not self.train_chains:
            return [self.task.render(problem) for problem in self.train]
        texts = ChainTexts(self.train_chains, self.task)
        return texts if isinstance(self.train_chains, StoredRows) else list(texts)

    def check_answers(self) -> None:
        """Raises DataError where a question has no gold answer."""
        check_answers(chained(self.train, self.validation, self.test))


@dataclass(frozen=True)
class ChainTexts(Sequence[str]):
    """Question and rationale of each chain in turn, rendered when they are used."""

    chains: Sequence[Chain]
    task: Task

    def __len__(self) -> int:
        return 2 * len(self.chains)

    def __iter__(self) -> Iterator[str]:
        for chain in self.chains:
            yield self.task.render(chain.problem)
            yield chain.rationale.text

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[index] for index in range(len(self))[place]]
        chain = self.chains[range(len(self))[place] // 2]
        return chain.rationale.text if place % 2 else self.task.render(chain.problem)


def load_data(
    recipe: Recipe,
    run: RunFolder,
    chains: bool,
    rationales: bool = False,
    say: Say | None = None,
) -> RunData:
    """Makes the stage `data` where it is not there yet, and reads it. `chains`: whether arms learn
    from chains of thought; else the questions are enough. `rationales`: whether those that the
    files have beside their questions are kept. `say` receives what was guessed. The chains of a
    large part stay on the disk (`on_disk_if_many`), unless arms read rationales or feedback."""

    def make(place: Path) -> None:
        if chains:
            _make_chains(recipe.data, place, say)
        else:
            _make_questions(recipe.data, place, say, rationales)

    folder = run.stage("data", make, fixed=True, alone=True)
    feedback = _read_feedback(folder, recipe)
    facts = read_facts(folder, recipe)
    task = get_task(facts.get("task", recipe.data.task))
    if feedback.rows is not None:
        feedback.rows.check_used(task.name)
    of_train_chains, of_validation_chains, of_test = stored_chains(folder)
    gold, test = (
        on_disk_if_many(of_test),
        on_disk_if_many(StoredRows(folder / PROBLEMS, Problem.from_row)),
    )
    train_chains: Sequence[Chain] = []
    validation_chains: Sequence[Chain] = []
    train: Sequence[Problem]
    validation: Sequence[Problem]
    of_train: dict[str, Rationale] = {}
    of_validation: dict[str, Rationale] = {}
    if chains:
        train_chains = on_disk_if_many(of_train_chains)
        validation_chains = on_disk_if_many(of_validation_chains)
        if rationales or feedback.rows is not None:
            train_chains, validation_chains = list(train_chains), list(validation_chains)
        if not isinstance(train_chains, StoredRows):
            of_train, of_validation = map(_first_rationales, (train_chains, validation_chains))
        train, validation = _problems_of(train_chains), _problems_of(validation_chains)
    else:
        train, validation = (
            read_stored_problems(folder / f"{name}.jsonl") for name in ("train", "validation")
        )
        of_train, of_validation = (
            read_stored_rationales(folder / file) if rationales else {} for file in RATIONALES
        )
    further = store_test_sets(recipe.data.also_test, run, train_chains or train, say)
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
        feedback=feedback,
    )


def _first_rationales(chains: Sequence[Chain]) -> dict[str, Rationale]:
    """Problem id → its first rationale: that of the data, where feedback has another one."""
    first: dict[str, Rationale] = {}
    for chain in chains:
        first.setdefault(chain.problem.id, chain.rationale)
    return first


def _problems_of(chains: Sequence[Chain]) -> Sequence[Problem]:
    """The problems of chains, each once."""
    if isinstance(chains, StoredRows):
        return ProblemsOnDisk(chains)
    return list({chain.problem.id: chain.problem for chain in chains}.values())


def check_answers(problems: Iterable[Problem]) -> None:
    """Raises DataError where a question has no gold answer."""
    bare = next((problem for problem in problems if problem.answer is None), None)
    if bare is not None:
        raise DataError(
            f"{bare.id}: an exam needs gold answers. Add an `answer` to every row"
            f"{or_column(bare.meta, 'answer')}. Or leave out rows without one. (`smallsteps teach` "
            "explains questions without answers.)"
        )


def _make_questions(data: DataSettings, folder: Path, say: Say | None, rationales: bool) -> None:
    task = data_task(data, say)
    gold: list[Chain] = []
    if data.chains == BUNDLED:
        *chains, gold, facts = bundled_parts(data)
        train, validation, test = ([chain.problem for chain in part] for part in (*chains, gold))
    else:
        train, validation, test = read_question_parts(data, task, say)
        facts = {"source": ", ".join(Path(path).name for path in file_names(data))}
    check_answers(chained(train, validation, test))
    of_train, of_validation = rationales_of_parts(data, task) if rationales else ({}, {})
    if feedback_names(data):
        chains_of_train = [
            Chain(problem, of_train[problem.id]) for problem in train if problem.id in of_train
        ]
        material = Material(train, [*validation, *test], chains_of_train, one_each=rationales)
        feedback, of_feedback = _add_feedback(data, task, material, folder)
        facts |= of_feedback
        train = [*train, *new_problems(train, feedback.positives)]
        of_train = _first_rationales(feedback.train) if rationales else {}
    parts = {"training": train, "validation": validation, "test": test}
    _check_parts(parts, len(train) + len(validation) + len(test))
    for name, problems in zip(("train", "validation", "problems"), parts.values(), strict=True):
        write_rows(folder / f"{name}.jsonl", (problem.to_row() for problem in problems))
    store_chains(folder / "test.jsonl", gold)
    if rationales:
        for file, part, by_id in zip(
            RATIONALES, (train, validation), (of_train, of_validation), strict=True
        ):
            rows = (by_id[problem.id].to_row() for problem in part if problem.id in by_id)
            write_rows(folder / file, rows)
    sizes = {"train": len(train), "validation": len(validation), "test": len(test), "overlap": 0}
    write_json(folder / "data.json", {**facts, **sizes, "task": task.name})


def _add_feedback(
    data: DataSettings, task: Task, material: Material, folder: Path
) -> tuple[Judged, dict[str, Any]]:
    """(what the recipe's feedback gives, what `data.json` says of it); writes its chains. Questions
    of further test sets are held out too."""
    further = [
        problem
        for name, path in data.also_test.items()
        for problem in read_problems(path, task_for(task_name(name), [path]))
    ]
    material = replace(material, held_out=[*material.held_out, *further])
    judged, facts = read_feedback_files(feedback_names(data), task, material)
    store_chains(folder / FEEDBACK, [*judged.positives, *judged.rejected])
    return judged, {"feedback": facts}


def _read_feedback(folder: Path, recipe: Recipe) -> FeedbackChains:
    """The chains of feedback in the stage `data`, and what the arms of the recipe use of them."""
    facts = read_object(folder / "data.json")
    if facts.get("feedback") is None:
        return FeedbackChains()
    chains = read_stored_chains(folder / FEEDBACK)
    positives = [chain for chain in chains if chain.rationale.correct]
    rejected = [chain for chain in chains if not chain.rationale.correct]
    return FeedbackChains(positives, rejected, FeedbackRows.of(facts["feedback"], recipe))


def read_facts(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """The fields of `DataFacts` from the stage `data` in `folder`, for the arms of the recipe."""
    facts = read_object(folder / "data.json")
    if facts.get("feedback") is None:
        return facts
    return {**facts, "feedback": FeedbackRows.of(facts["feedback"], recipe).facts()}


def _make_chains(data: DataSettings, folder: Path, say: Say | None) -> None:
    task = data_task(data, say)
    facts = store_parts(data, task, folder, say)
    train, validation, test = stored_chains(folder)
    problems: Sequence[Problem] = (
        StoredRows(test.path, problem_in_row)
        if data.test is None
        else read_problems(data.test, task, data.columns, say)
    )
    if feedback_names(data):
        chains = list(train)
        held_out = [*_problems_of(list(validation)), *problems]
        material = Material(_problems_of(chains), held_out, chains)
        feedback, of_feedback = _add_feedback(data, task, material, folder)
        facts |= of_feedback
        store_chains(train.path, feedback.train)
        train, *_ = stored_chains(folder)
    _check_parts({"training": train, "validation": validation, "test": problems}, facts["chains"])
    write_rows(folder / PROBLEMS, (problem.to_row() for problem in problems))
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
    check_overlap(chained(train, validation), test)
