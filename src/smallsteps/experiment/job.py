"""One training within the lab: a base student, trained within the arm's budget and measured on the
way.

How much an arm trains, with what settings and by which measures is the same for all and stands
here, so that arms differ in one thing. Sec. 4.2 of Xi et al. 2024; budgets in tokens and the choice
of checkpoints are ours (section 5 of the method page)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from smallsteps import team
from smallsteps.errors import InternalError
from smallsteps.evaluation.grade import grade
from smallsteps.experiment.forecast import Forecast
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.reporter import Reporter, Silent
from smallsteps.experiment.search import (
    best_rate,
    rate_lines,
    read_rates,
    search_rates,
    starting_weights,
    trial_note,
)
from smallsteps.experiment.segment_bleu import segment_bleu_of
from smallsteps.experiment.trained import Part, Trained
from smallsteps.generation.draft import GivenPrefix
from smallsteps.generation.generator import NO_CAP, Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import solve
from smallsteps.generation.stopwatch import Stopwatch
from smallsteps.records import Chain, Example, Prediction, Problem
from smallsteps.segments.examples import build_examples, segment_limit
from smallsteps.students.dropout import set_dropout
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load_student
from smallsteps.students.lora import LoraSettings, add_lora, has_lora
from smallsteps.students.pretrained import ModelFiles
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task
from smallsteps.training.contrast import Contrast
from smallsteps.training.encode import iter_encoded
from smallsteps.training.fit import Training
from smallsteps.training.preflight import Preflight
from smallsteps.training.settings import NO_PROMPT_LOSS, ContrastSettings, TrainSettings


@dataclass
class TrainingJob:
    """Everything a training needs besides its examples."""

    recipe: Recipe
    task: Task
    seed: int
    out: Path
    """Where checkpoints go."""
    base_folder: Path | str
    """Where the untrained student lies."""
    texts: Sequence[str]
    """All training text: what the student's tokenizer must be able to write."""
    validation_problems: Sequence[Problem]
    budget: int | None
    """Training tokens of the arm, or (`until: plateau`) the most it may take; None: each arm makes
    the recipe's passes (`until: passes`)."""
    reporter: Reporter = field(default_factory=Silent)
    label: str = "arm"
    untrained: bool = False
    """Whether the student that answers was never trained for the task: its answers are read off
    leniently, a chain that repeats itself is ended, and its prompts have no limit but its own."""
    forecast: Forecast | None = None
    """Of the whole run; it learns from each training how long the others will take."""
    search_stage: Callable[[Callable[[Path], None]], Path] | None = None
    """Makes the stage of this arm's search of a learning rate where it is not there yet, and
    returns its folder; None: this training searches none."""
    announces: bool = True
    """Whether it tells what will be trained on."""
    check_student: Student | None = None
    """What `base` copies instead of loading: for checks, which read text and change no weights."""

    def base(self) -> Student:
        """The untrained student, freshly loaded."""
        if self.check_student is not None:
            return copy(self.check_student)
        settings = self.recipe.student
        student = load_student(
            self.base_folder,
            device=settings.device,
            dtype="float32" if settings.dtype == "auto" else settings.dtype,
        )
        if settings.dropout is not None:
            set_dropout(student.model, settings.dropout)
        return student

    def segment_limit(self, examples: Iterable[Example]) -> int:
        """Segments a student trained on `examples` may write: what the recipe says, else what they
        need, with room."""
        return self.recipe.segmentation.max_segments or segment_limit(examples)

    @cached_property
    def causal(self) -> bool:
        """Whether the student is a causal model."""
        return not ModelFiles.locate(self.base_folder).config().is_encoder_decoder

    # ---- training ----

    def settings(self, share: float = 1.0) -> TrainSettings:
        """The recipe's settings of training; `share` of the budget for one half of a pair."""
        if self.budget is None:
            return self.recipe.train.changed(budget=None)
        return self.recipe.train.changed(budget=max(1, round(self.budget * share)))

    def train_one(
        self,
        student: Student,
        examples: Collection[Example],
        validation: Collection[Example],
        *,
        share: float = 1.0,
        measured: bool = True,
        metric: Callable[[Student], float] | None = None,
        contrasts: Mapping[str, Contrast] | None = None,
        contrast_settings: ContrastSettings = NO_PROMPT_LOSS,
    ) -> Trained:
        """Trains one model within its share of the budget. `measured`: also by the task's figure on
        validation; `metric`: by another figure, higher is better. `contrasts`,
        `contrast_settings`: of `fit`."""

        def train(job: TrainingJob, parts: Sequence[Part]) -> Trained:
            measure = (metric or job.validation_metric) if measured else None
            training = job.training(parts[0], measure, contrasts, contrast_settings)
            training.go_on()
            return Trained.of(training.finish())

        part = Part(student, examples, validation, share)
        return self.at_best_rate([part], train)

    def at_best_rate(
        self, parts: Sequence[Part], train: Callable[[TrainingJob, Sequence[Part]], Trained]
    ) -> Trained:
        """What `train` leaves of the models `parts`, at the recipe's learning rate; where it names
        several, at the one that the search of this arm finds best (`search.py`)."""
        rates = self.recipe.train.rates
        if len(rates) <= 1:
            return train(self, parts)
        if self.search_stage is None:
            raise InternalError(f"{self.label}: no place to search a learning rate in")
        students = [part.student for part in parts]
        for student in students:
            self.add_adapters(student)

        def search(folder: Path) -> None:
            with starting_weights(students) as restore:

                def attempt(rate: float, place: Path) -> Trained:
                    trial = self.trial(rate, place)
                    try:
                        return train(trial, parts)
                    finally:
                        restore()
                        if self.forecast is not None:
                            self.forecast.finished(trial.label)

                search_rates(rates, attempt, folder)

        tried = read_rates(self.search_stage(search), self.label)
        rate = best_rate(tried)
        self.reporter.say(f"{self.label}: learning rate {rate:g}, of {rate_lines(tried)}")
        trained = train(self.at_rate(rate), parts)
        # the search is made once for all seeds, and so its cost counts once
        return replace(trained, search=tried if self.seed == self.recipe.seeds[0] else [])

    def at_rate(self, rate: float) -> TrainingJob:
        """The same training at one learning rate."""
        if self.recipe.train.learning_rate == rate:
            return self
        train = self.recipe.train.changed(learning_rate=rate)
        return replace(self, recipe=self.recipe.changed(train=train))

    def trial(self, rate: float, folder: Path) -> TrainingJob:
        """A short training at `rate`, in `folder`: measured once, at its end."""
        train = self.recipe.train
        short = train.changed(
            learning_rate=rate,
            until="tokens",
            evaluations=1,
            passes=train.passes * train.search_share,
        )
        return replace(
            self,
            recipe=self.recipe.changed(train=short),
            out=folder,
            budget=None if self.budget is None else max(1, round(self.budget * train.search_share)),
            label=f"{self.label}, {trial_note(rate)}",
            announces=False,
        )

    def add_adapters(self, student: Student) -> None:
        """Gives the student LoRA adapters where the recipe says so and it has none."""
        rank = self.recipe.student.lora
        if rank and not has_lora(student):
            add_lora(student, LoraSettings(rank=rank, alpha=2 * rank), seed=self.seed)

    def training(
        self,
        part: Part,
        metric: Callable[[Student], float] | None = None,
        contrasts: Mapping[str, Contrast] | None = None,
        contrast_settings: ContrastSettings = NO_PROMPT_LOSS,
    ) -> Training:
        """The training of one model, announced and not begun; half a pair has a folder of its
        own."""
        student = part.student
        self.add_adapters(student)
        label = part.label(self.label)
        evaluation = self.recipe.evaluation
        return Training(
            student,
            part.train,
            part.validation,
            self.settings(part.share),
            self.out / part.kind.lower() if part.kind else self.out,
            task=self.task,
            metric=metric,
            bleu=segment_bleu_of(part.validation, self.task, evaluation.batch_size)
            if evaluation.segment_bleu
            else None,
            progress=lambda done, total, row: self.advance(label, done, total, row),
            announce=lambda report: self.announce(label, report),
            contrasts=contrasts,
            contrast_settings=contrast_settings,
            seed=self.seed,
            say=self.reporter.say,
            # a pair ends its halves; without any figure on validation the budget ends it
            ends_at_plateau=part.kind is None and bool(metric or part.validation),
        )

    def advance(
        self, label: str, done: int, total: int, row: Mapping[str, float | int | None]
    ) -> None:
        """Shows how far a training is and, where the run has a forecast, how long all of it will
        take."""
        left = ""
        if self.forecast is not None:
            line = self.forecast.heard(label, row, time.monotonic())
            if line:
                self.reporter.say(line)
            left = self.forecast.brief()
        info = ", ".join(part for part in (_brief(row), self._patience_left(row), left) if part)
        self.reporter.advance(f"training {label}", done, total, info)

    def _patience_left(self, row: Mapping[str, float | int | None]) -> str:
        """How near a training is to its plateau; "" between evaluations."""
        waited = row.get("without_gain")
        if not waited:
            return ""
        return f"no gain in {waited} of {self.recipe.train.patience} evaluations"

    def announce(self, label: str, report: Preflight) -> None:
        """Tells what will be trained on, before the first step."""
        if not self.announces:
            return
        self.reporter.say(f"{label}:")
        for line in report.lines():
            self.reporter.say(f"  {line}")

    def tokens(self, student: Student, examples: Collection[Example]) -> int:
        """Training tokens of one pass over `examples`: source + target, no padding."""
        return sum(row.tokens for row in iter_encoded(student, self.task, examples))

    def pass_tokens(self, chains: Iterable[Chain]) -> int:
        """Training tokens of one pass of `direct` over whole chains: the measure of a budget given
        in passes."""
        student = prepare(self.base(), self.task, path="direct", texts=self.texts, seed=self.seed)
        return sum(
            self.tokens(student, build_examples([chain], [], self.task, "direct"))
            for chain in chains
        )

    # ---- measuring ----

    def validation_metric(self, student: Student | DualStudent) -> float:
        """The task's main figure on the validation problems, greedy, generated the way the
        student's path generates."""
        predictions = self.with_local_engine().answers(student, self.validation_problems)
        return grade(predictions, self.validation_problems, self.task).value

    def answers(
        self,
        student: Student | DualStudent,
        problems: Sequence[Problem],
        label: str | None = None,
        given: Mapping[str, GivenPrefix] | None = None,
        enough: Callable[[str, str], bool] | None = None,
    ) -> list[Prediction]:
        """Greedy predictions for `problems`, in their order; with `label` under a progress bar of
        that name. `given`, `enough`: of `solve`. The processes of a launch share the problems."""

        def solved(share: Sequence[Problem]) -> list[Prediction]:
            predictions: dict[str, Prediction] = {}
            for prediction in solve(
                student,
                share,
                self.task,
                self.solving(),
                Decoding(max_new_tokens=NO_CAP),
                given=given,
                enough=enough,
            ):
                predictions[prediction.problem_id] = prediction
                if label is not None:
                    self.reporter.advance(f"answering {label}", len(predictions), len(share))
            # each has its share of all seconds, which the last one to end knows
            seconds = next((p.seconds for p in reversed(predictions.values())), 0.0)
            return [replace(predictions[problem.id], seconds=seconds) for problem in share]

        return team.share_out(problems, solved)

    def timed_answers(
        self, student: Student | DualStudent, problems: Sequence[Problem], label: str
    ) -> list[Prediction]:
        """`answers`, each with its share of the seconds that all processes took together
        (`Stopwatch`); the start of a server does not count."""
        stopwatch = Stopwatch(student.device)
        predictions = self.answers(student, problems, label)
        if self.recipe.evaluation.engine != "local":
            return [replace(p, seconds=p.seconds / team.size()) for p in predictions]
        seconds = stopwatch.share(len(problems))
        return [replace(prediction, seconds=seconds) for prediction in predictions]

    def with_local_engine(self) -> TrainingJob:
        """The same without a server: for weights that are still in training, and for short texts,
        which are written before a server has started."""
        evaluation = self.recipe.evaluation.changed(engine="local")
        return replace(self, recipe=self.recipe.changed(evaluation=evaluation))

    def solving(self) -> SolveSettings:
        """How answers are generated. Where long examples are not refused, long questions are read
        whole instead: no question may be left out of a figure."""
        train = self.recipe.train
        limit = train.source_limit if train.overlong in ("few", "error") else None
        evaluation = self.recipe.evaluation
        return SolveSettings(
            **dict(evaluation.writing(evaluation.batch_size)),
            source_limit=None if self.untrained else limit,
            lenient=self.untrained,
            stop_repetition=self.untrained or evaluation.stop_repetition,
        )


def _brief(row: Mapping[str, float | int | None]) -> str:
    """The newest figures of a curve, for the progress bar."""
    figures = {"loss": row.get("train_loss"), "validation": row.get("metric")}
    return ", ".join(f"{name} {value:.3g}" for name, value in figures.items() if value is not None)
