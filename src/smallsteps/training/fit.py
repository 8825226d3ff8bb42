"""Train a student on examples.

    examples → preflight → plan of updates → Trainer → curves, checkpoints by criterion

AS-ES method page, section 5. Ours are: what an update is (a fixed set of examples in micro-batches
by length with one normaliser), the schedule over tokens, and the choice of checkpoints. A killed
run goes on to the very weights of one that was not. Several processes (torchrun, accelerate launch)
share each update, and with FSDP in accelerate's config the weights too.

With `until: plateau` budget or passes are the most that is trained: all updates up to there are
planned, and an evaluation may end the training before (`choice.py`). Not here: an update itself
(`trainer.py`), the split of weights (`sharding.py`)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from smallsteps import team
from smallsteps.errors import InternalError, TrainingError
from smallsteps.faults import names_faults
from smallsteps.records import Example
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.training.accelerate_config import sharding_of_launch, with_launch_dtype
from smallsteps.training.checkpoints import (
    claim,
    digest_of,
    latest_checkpoint,
    load_weights,
    repair,
    tidy,
)
from smallsteps.training.choice import Choice
from smallsteps.training.contrast import Contrast
from smallsteps.training.evaluation import Measure, Measures
from smallsteps.training.fit_result import FitResult, read_result, read_state, write_result
from smallsteps.training.preflight import Preflight, preflight
from smallsteps.training.settings import NO_PROMPT_LOSS, ContrastSettings, TrainSettings
from smallsteps.training.trainer_arguments import isolated, trainer_arguments
from smallsteps.training.update_plan import Plan
from smallsteps.training.updates import TrainingInputs

if TYPE_CHECKING:
    from smallsteps.training.trainer import Progress


@names_faults
def fit(
    student: Student,
    train: Collection[Example],
    validation: Collection[Example],
    settings: TrainSettings,
    out: Path | str,
    *,
    task: Task | str,
    metric: Measure | None = None,
    bleu: Measure | None = None,
    progress: Progress | None = None,
    announce: Callable[[Preflight], None] | None = None,
    contrasts: Mapping[str, Contrast] | None = None,
    contrast_settings: ContrastSettings = NO_PROMPT_LOSS,
    say: Callable[[str], None] | None = None,
    seed: int = 0,
) -> FitResult:
    """Train `student` in place and keep the best checkpoints under `out`. Examples are encoded
    once; more than `streams.KEPT` of them need not be in memory (`streams.Stream`).

    Called again with the same arguments after a kill it goes on and ends with the same weights
    (CPU: bit by bit); called on a finished folder it returns the result at once. Where files in
    `out` were damaged it tells `say` (by default as a warning) and starts again. `announce` gets
    the preflight report before the first update. `contrasts` (example id → other right and wrong
    rationales, whole chains only) adds the loss that `contrast_settings` describe. `seed` decides
    the order of the examples and dropout.

    Raises TrainingError for examples that cannot be trained on, and RunFolderError when `out`
    belongs to something else."""
    training = Training(
        student,
        train,
        validation,
        settings,
        out,
        task=task,
        metric=metric,
        bleu=bleu,
        progress=progress,
        announce=announce,
        contrasts=contrasts,
        contrast_settings=contrast_settings,
        say=say,
        seed=seed,
    )
    training.go_on()
    return training.finish()


class Training:
    """The training of one model in slices: `go_on` to an evaluation, again and again, then
    `finish`.

    Between two slices nothing but the weights stays in memory: optimizer, schedule and random state
    lie in the checkpoint, from which the next slice goes on as a killed run would, to the same
    weights. So two models can be trained side by side in the memory that one needs."""

    def __init__(
        self,
        student: Student,
        train: Collection[Example],
        validation: Collection[Example],
        settings: TrainSettings,
        out: Path | str,
        *,
        task: Task | str,
        metric: Measure | None = None,
        bleu: Measure | None = None,
        progress: Progress | None = None,
        announce: Callable[[Preflight], None] | None = None,
        contrasts: Mapping[str, Contrast] | None = None,
        contrast_settings: ContrastSettings = NO_PROMPT_LOSS,
        say: Callable[[str], None] | None = None,
        seed: int = 0,
        ends_at_plateau: bool = True,
    ) -> None:
        """As `fit`, whose errors it raises. `ends_at_plateau`: False where the settings may say
        `until: plateau`, but the caller decides when the training is over."""
        task = get_task(task)
        self.sharding = sharding_of_launch()
        settings = with_launch_dtype(settings.for_student(student))
        self.student, self.out = student, Path(out)
        self.measures, self.progress = Measures(bleu, metric), progress
        checked = preflight(student, train, validation, settings, task, seed)
        self.job = TrainingInputs(
            student, task, checked, settings, contrasts or {}, contrast_settings
        )
        at_plateau = ends_at_plateau and settings.until == "plateau"
        if at_plateau and metric is None and not checked.validation:
            raise TrainingError(
                "until=plateau: there is no figure to watch. Give validation examples or a metric, "
                "or set until=tokens."
            )
        self.patience = settings.patience if at_plateau else None
        if announce is not None:
            announce(checked.report)
        digest = digest_of(
            settings, contrast_settings, seed, train, validation, student, self.job.contrasts
        )
        with isolated():
            trainer_arguments(student, settings, self.plan, self.out)  # processes find each other
            if dist.is_initialized():
                team.leave_at_exit()
            if team.is_first():
                claim(self.out, digest)
                repair(self.out, say)
            team.wait_for_all()
            self.result = read_result(self.out, checked.report)
        self._loaded_update = 0
        """The update whose weights the student has."""
        self._state: dict[str, Any] = {}
        """Of the newest checkpoint."""

    @property
    def plan(self) -> Plan:
        """All updates."""
        return self.job.checked.plan

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the updates so far, evaluations not counted."""
        if self.result is not None:
            return self.result.seconds
        return float(self._state.get("seconds", 0.0))

    @property
    def evaluation_seconds(self) -> float:
        """Wall-clock seconds of the evaluations so far."""
        if self.result is not None:
            return float(self.result.curves[-1]["evaluation_seconds"])
        return float(self._state.get("evaluation_seconds", 0.0))

    @property
    def validation_loss(self) -> float | None:
        """Nats a target token at the last evaluation; None: not measured."""
        rows = self._state.get("curves", ()) if self.result is None else self.result.curves
        losses = [row["validation_loss"] for row in rows if "validation_loss" in row]
        return losses[-1] if losses else None

    @property
    def update(self) -> int:
        """The update that the newest checkpoint holds."""
        if self.result is not None:
            return self.result.updates
        return int(read_state(latest_checkpoint(self.out)).get("update", 0))

    def go_on(self, until: int | None = None) -> None:
        """Train up to the update `until`, one of `plan.marks` (None: the last), or to the plateau.

        Then the student has the weights of that update, unless its training went further or was
        finished by an earlier call."""
        until = until or self.plan.updates
        if self.result is not None:
            return
        with isolated():
            checkpoint = latest_checkpoint(self.out)
            self._state = read_state(checkpoint)
            team.wait_for_all()
            if team.is_first():
                self._tidy(checkpoint)
            team.wait_for_all()
            done = int(self._state.get("update", 0))
            if checkpoint is None or (done < until and not self._state["over"]):
                self._train(checkpoint, until)
            elif self._loaded_update != done:
                load_weights(self.student, checkpoint)
                self._loaded_update = done

    def _train(self, checkpoint: Path | None, until: int) -> None:
        """Train from `checkpoint` to the update `until`."""
        # here, because Trainer takes seconds to load, and plans and refusals need none
        from smallsteps.training.trainer import UpdateTrainer

        settings = self.job.settings
        arguments = trainer_arguments(self.student, settings, self.plan, self.out)
        evaluations = self.plan.evaluations(settings.evaluations)
        choice = Choice.of(evaluations, self.patience, self._state)
        trainer = UpdateTrainer(
            self.job,
            arguments,
            self.measures,
            self.progress,
            self._state,
            choice,
            until,
            self.sharding,
        )
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        trainer.end()
        self._state = read_state(latest_checkpoint(self.out))
        self._loaded_update = int(self._state["update"])
        self.student.model.eval()
        del trainer
        gc.collect()  # the optimizer, which Trainer's references to itself would keep
        if self.student.device.type == "cuda":
            torch.cuda.empty_cache()

    def finish(self) -> FitResult:
        """The result, after the last update, the plateau, or wherever the caller ends it. Deletes
        checkpoints that are not kept."""
        if self.result is None:
            if team.is_first():
                processes = dist.get_world_size() if dist.is_initialized() else 1
                write_result(self.out, self.job, self._state, processes, self.patience)
            team.wait_for_all()
            self.result = read_result(self.out, self.job.checked.report)
        if self.result is None:
            raise InternalError(f"{self.out}: training ended without a result")
        if team.is_first():
            kept = [*self.result.selections.values(), *self.result.trail]
            tidy(self.out, {chosen.folder for chosen in kept})
        return self.result

    def _tidy(self, checkpoint: Path | None) -> None:
        """Delete all but `checkpoint` and the candidates that it names."""
        keep = Choice.of((), self.patience, self._state).folders
        tidy(self.out, keep if checkpoint is None else keep | {checkpoint.name})
