"""The lab: all that the arms of one run share. An arm is trained and answers in the lab.

    arms/<arm>-seed<k>/training/            checkpoints, curves, trained.json
    arms/<arm>-seed<k>/answers/parts.jsonl  predictions for the test problems (reports: regions)

Arms share work through named stages of the run folder: whoever asks first makes it, all others read
it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from smallsteps import team
from smallsteps.experiment.data import RunData
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.forecast import Forecast
from smallsteps.experiment.further import file_name
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.outcome import ChainSelection, Outcome, folder_name, label_of, place_of
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.reporter import Reporter
from smallsteps.experiment.stored_data import read_json_lines
from smallsteps.experiment.stored_rows import those
from smallsteps.experiment.sweeps import first_chains
from smallsteps.experiment.trained import PAPER_CRITERIA, Trained
from smallsteps.generation.access import Access
from smallsteps.records import Chain, Prediction, Problem
from smallsteps.students.loading import load
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import write_rows

BASE_STUDENT = Path("base/student")
"""Within the run folder: the untrained student, where the recipe makes it from scratch."""


@dataclass
class Lab:
    """The run folder and all that arms are made from."""

    recipe: Recipe
    run: RunFolder
    data: RunData
    base_folder: Path | str
    """Where the untrained student lies."""
    reporter: Reporter
    access: Access
    """Base URL and key of served models, which no recipe and no file names."""
    budget: int | None = None
    """Training tokens of an arm; None with `until: passes`."""
    budgets: dict[int | None, int] = field(default_factory=dict)
    """Number of chains in a sweep of `data.limit` → its budget, where `passes` decide it."""
    update_examples: int | None = None
    """Examples per update, the same in all arms (`update_size.py`); None: each training decides, as
    no arm learns from chains."""
    command: str = ""
    """The command that started the run, whose options messages name; empty: Python."""
    left_out: frozenset[str] = frozenset()
    """`names_of` odd chains, and of reports that hold one: no arm trains on them."""
    odd: int = 0
    """Number of chains that are left out because they are odd."""
    forecast: Forecast | None = None
    resources: ExitStack = field(default_factory=ExitStack)
    """Closed at the end of the run: stores of replies."""
    check_student: Student | None = None
    """The untrained student as the checks share it; freed before the first training."""
    adds_characters: bool = True
    """Whether students get tokens for characters of the training text that they cannot write; True
    until the checks have seen that there are none."""
    trained: dict[str, Trained] = field(default_factory=dict)
    """Stages of training that were read already: the digests of large weights take a while."""
    _selected: dict[tuple[ChainSelection, frozenset[str]], Sequence[Chain]] = field(
        default_factory=dict
    )
    """Training chains by selection and `left_out`: choosing among chains on the disk reads all."""

    @property
    def task(self) -> Task:
        return self.data.task

    # ---- the data, as arms read it ----

    def train_chains(self, selection: ChainSelection) -> Sequence[Chain]:
        """Training chains: whole reports, or regions of which normal ones may be left out (gamma);
        else all, or in a sweep so many."""
        key = (selection, self.left_out)
        if key not in self._selected:
            seed = self.recipe.data.split_seed
            chains = first_chains(self.data.train_chains, selection.limit, seed)
            self._selected[key] = self._select(selection, chains, thin=True)
        return self._selected[key]

    def validation_chains(self, selection: ChainSelection) -> Sequence[Chain]:
        """The first validation chains, groups (reports) whole."""
        chains, limit = self.data.validation_chains, self.recipe.train.validation_chains
        while 0 < limit < len(chains) and _same_group(chains[limit - 1], chains[limit]):
            limit += 1
        return self._select(selection, chains[:limit])

    def validation_problems(self) -> list[Problem]:
        """The first validation problems."""
        return list(self.data.validation[: self.recipe.train.validation_chains])

    def problems(self, selection: ChainSelection, problems: Sequence[Problem]) -> list[Problem]:
        """What an arm answers: regions, or whole reports."""
        if selection.whole_report and self.task.wholes:
            return self.task.wholes(problems)
        return list(problems)

    def _select(
        self, selection: ChainSelection, chains: Sequence[Chain], thin: bool = False
    ) -> Sequence[Chain]:
        chosen: Sequence[Chain]
        if selection.whole_report and self.task.whole_chains:
            chosen = self.task.whole_chains(chains)
        elif thin and self.task.select:
            chosen = self.task.select(chains, selection.gamma, self.recipe.data.split_seed)
        else:
            chosen = chains
        if not self.left_out:
            return chosen
        # after the choice, so that the others are the same whatever is left out
        return those(chosen, lambda chain: not self.left_out & set(names_of(chain)))

    # ---- training ----

    def job(
        self,
        seed: int,
        folder: Path,
        label: str = "arm",
        validation: Sequence[Problem] | None = None,
        searched_as: str | None = None,
    ) -> TrainingJob:
        """One training at `seed` in `folder`. `validation`: problems by which checkpoints are
        measured; None: the first of the validation part. `searched_as`: the name of its search of a
        learning rate; trainings of one name take one rate. None: its label without the seed."""
        search = folder_name(searched_as or label.replace(f", seed {seed}", ""))
        size = self.update_examples or self.recipe.train.update_examples
        train = self.recipe.train.changed(update_examples=size)
        return TrainingJob(
            recipe=self.recipe.changed(train=train),
            task=self.task,
            seed=seed,
            out=folder,
            base_folder=self.base_folder,
            texts=self.data.texts if self.adds_characters else (),
            budget=self.budget,
            reporter=self.reporter,
            forecast=self.forecast,
            label=label,
            validation_problems=self.validation_problems() if validation is None else validation,
            search_stage=lambda make: self.run.stage(f"search/{search}", make, keep=True),
        )

    def chain_job(
        self,
        selection: ChainSelection,
        seed: int,
        folder: Path,
        label: str,
        searched_as: str | None = None,
    ) -> TrainingJob:
        """One training on the selected chains, measured on the validation chains."""
        validation = [chain.problem for chain in self.validation_chains(selection)]
        job = self.job(seed, folder, label, validation, searched_as)
        return replace(job, budget=self.budgets.get(selection.limit, self.budget))

    def train_once(self, place: str, label: str, make: Callable[[Path], Trained]) -> Trained:
        """The training in the stage `place`, made where it is not there yet."""
        if place not in self.trained:
            folder = self.run.stage(place, lambda out: self._write(make(out), out), keep=True)
            self.trained[place] = Trained.read(folder)
            if self.forecast is not None:
                self.forecast.finished(label)
        return self.trained[place]

    @staticmethod
    def _write(trained: Trained, folder: Path) -> None:
        if team.is_first():
            trained.write(folder)

    def forget_training(self, checkpoint: Path) -> None:
        """Deletes the training that made a checkpoint, so that it is trained again."""
        for place in [name for name in self.trained if self.run.path / name in checkpoint.parents]:
            self.run.forget(place)
            del self.trained[place]

    def discard_checkpoints(self, answered: Collection[Path]) -> None:
        """Deletes the checkpoints that were best for a while, chosen by nothing, and not among
        those that `answered` at a point. A kill loses nothing: the next call does it again."""
        for place, trained in self.trained.items():
            needed = {*trained.folders.values(), *answered}
            folders = [best.folder for best in trained.trail if best.folder not in needed]
            if folders:
                self.run.discard_folders(place, folders)

    # ---- answers ----

    def answer(
        self,
        place: str,
        student: Path | str,
        problems: Sequence[Problem],
        job: Callable[[Path], TrainingJob],
        *,
        name: str,
        task: Task | None = None,
    ) -> list[Prediction]:
        """Greedy answers of the student `student`, a folder or a name, made once in the stage
        `arms/<place>/<name>`; each has its share of the seconds."""

        def make(folder: Path) -> None:
            evaluation = self.recipe.evaluation
            loaded = load(student, device=self.recipe.student.device, dtype=evaluation.dtype)
            answering = replace(job(folder), task=task or self.task)
            predictions = answering.timed_answers(loaded, problems, f"{answering.label}, {name}")
            # the author is named by its arm: a run folder may be moved
            signed = (replace(prediction, author=place) for prediction in predictions)
            write_rows(folder / "parts.jsonl", (prediction.to_row() for prediction in signed))

        folder = self.run.stage(f"arms/{place}/{name}", make)
        return [Prediction.from_row(row) for row in read_json_lines(folder / "parts.jsonl")]

    def further_answers(
        self, place: str, student: Path, job: Callable[[Path], TrainingJob]
    ) -> dict[str, list[Prediction]]:
        """Name of a further test set → greedy answers of a trained student."""
        return {
            test: self.answer(
                place, student, rows, job, name=f"answers-{file_name(test)}", task=task
            )
            for test, (task, rows) in self.data.further.items()
        }

    def outcome(
        self,
        name: str,
        seed: int,
        selection: ChainSelection,
        trained: Trained,
    ) -> Outcome:
        """The answers of an arm whose trained student writes chains by itself."""
        place, label = place_of(name, seed), label_of(name, seed)
        student = trained.folder(self.recipe.evaluation.checkpoint)
        problems = self.problems(selection, self.data.test)

        def job(folder: Path) -> TrainingJob:
            return self.chain_job(selection, seed, folder, label)

        def answers_of(checkpoint: Path) -> list[Prediction]:
            # points and criteria often agree on a checkpoint, which then answers once
            stage = "answers" if checkpoint == student else f"answers-{checkpoint.name}"
            return self.answer(place, checkpoint, problems, job, name=stage)

        predictions = answers_of(student)
        by_criterion = {
            criterion: answers_of(trained.folders[criterion])
            for criterion in (PAPER_CRITERIA if self.recipe.evaluation.paper_protocol else ())
            if criterion in trained.folders
        }
        assemble = self.task.assemble
        return Outcome(
            predictions,
            shown=assemble(problems, predictions) if assemble else predictions,
            student=student,
            validation=trained.validation,
            cost=trained.cost,
            further=self.further_answers(place, student, job),
            by_criterion=by_criterion,
            trail=trained.trail,
            answers_of=answers_of,
            curves=trained.curves,
        )


def names_of(chain: Chain) -> tuple[str, str]:
    """Names by which a chain can be left out: its own, and that of the report which it is or is
    part of."""
    report = chain.problem.group or chain.problem.id
    return f"chain {chain.rationale.id}", f"report {report}"


def _same_group(first: Chain, second: Chain) -> bool:
    return first.problem.group is not None and first.problem.group == second.problem.group
