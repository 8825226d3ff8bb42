"""Train a student on examples: transformers' Trainer, where one Trainer step is one update of the
plan.

    examples → preflight → plan of updates → Trainer → curves, checkpoints by criterion        (AS-ES method page,
    section 5)

What an update is (a fixed set of examples in micro-batches by length with one normaliser), the
schedule over tokens and the choice of checkpoints are ours, and a killed run goes on to the very
weights of one that was not. Several processes (torchrun, accelerate launch) share each update. Not
done here: an update itself (`trainer.py`); FSDP and DeepSpeed; early stopping (the choice of
checkpoints does that work)."""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from transformers import TrainingArguments
from transformers.utils import logging as transformers_logging

from smallsteps.errors import InternalError, TrainingError
from smallsteps.records import Example
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Plan
from smallsteps.training.checkpoints import (
    CURVES,
    RESULT,
    Selection,
    claim,
    digest_of,
    finish,
    is_finished,
    latest_checkpoint,
    read_curves,
    repair,
    tidy,
)
from smallsteps.training.contrast import Contrast
from smallsteps.training.preflight import Preflight, preflight
from smallsteps.training.settings import NO_PROMPT_LOSS, ContrastSettings, TrainSettings
from smallsteps.training.trainer import (
    STATE,
    Measure,
    Measures,
    Progress,
    UpdateTrainer,
    load_weights,
    wait_for_all,
)


@dataclass(frozen=True)
class FitResult:
    """What training brought. The weights are in the folders; the student object holds those of the
    last update run."""

    folders: dict[str, Path]
    """Criterion (`train_loss`, `validation_loss`, `bleu`, `metric`, as far as they were measured) →
    Hugging Face folder."""
    selections: dict[str, Selection]
    """Criterion → the update that was best, and its value."""
    curves: list[dict[str, Any]]
    """One row an update: update, tokens, train_loss (nats a target token), lr, seconds; at
    evaluations also validation_loss, bleu, metric and train_loss_mean (since the evaluation
    before). With contrasts also usable (share of items) and all_tokens (of this update: anchors,
    positives and negatives)."""
    train_tokens: int
    """Source and target tokens trained on, no padding."""
    passes: float
    updates: int
    seconds: float
    """Wall-clock seconds of the updates, evaluations not counted."""
    micro_batch_tokens: int
    """As it was at the end: smaller than in the settings where memory ran out."""
    processes: int
    report: Preflight = field(repr=False)

    def folder(self, *criteria: str) -> Path:
        """The folder of the first of `criteria` that was measured; by default metric,
        validation_loss, train_loss."""
        for criterion in criteria or ("metric", "validation_loss", "train_loss"):
            if criterion in self.folders:
                return self.folders[criterion]
        raise TrainingError(
            f"no checkpoint by {', '.join(criteria)}: measured were {', '.join(self.folders)}"
        )


def fit(
    student: Student,
    train: Sequence[Example],
    validation: Sequence[Example],
    settings: TrainSettings,
    out: Path | str,
    *,
    task: Task,
    metric: Measure | None = None,
    bleu: Measure | None = None,
    progress: Progress | None = None,
    announce: Callable[[Preflight], None] | None = None,
    contrasts: Mapping[str, Contrast] | None = None,
    contrast_settings: ContrastSettings = NO_PROMPT_LOSS,
    say: Callable[[str], None] | None = None,
    seed: int = 0,
) -> FitResult:
    """Train `student` in place and keep the best checkpoints under `out`.

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
        train: Sequence[Example],
        validation: Sequence[Example],
        settings: TrainSettings,
        out: Path | str,
        *,
        task: Task,
        metric: Measure | None = None,
        bleu: Measure | None = None,
        progress: Progress | None = None,
        announce: Callable[[Preflight], None] | None = None,
        contrasts: Mapping[str, Contrast] | None = None,
        contrast_settings: ContrastSettings = NO_PROMPT_LOSS,
        say: Callable[[str], None] | None = None,
        seed: int = 0,
    ) -> None:
        """As `fit`, whose errors it raises."""
        self.student, self.settings, self.task = student, settings, task
        self.out = Path(out)
        self.measures, self.progress, self.contrasts = (
            Measures(bleu, metric),
            progress,
            contrasts or {},
        )
        self.contrast_settings = contrast_settings
        self.checked = preflight(student, train, validation, settings, task, seed)
        if announce is not None:
            announce(self.checked.report)
        digest = digest_of(
            settings, contrast_settings, seed, train, validation, student, self.contrasts
        )
        with _leaving_no_trace():
            arguments = _arguments(student, settings, self.plan, self.out)
            if dist.is_initialized():
                atexit.register(_leave_the_group)
            if arguments.process_index == 0:
                claim(self.out, digest)
                repair(self.out, say)
            wait_for_all()
            self.result = _finished(self.out, self.checked.report)
        self._held = 0
        """The update whose weights the student holds."""
        self._state: dict[str, Any] = {}

    @property
    def plan(self) -> Plan:
        return self.checked.plan

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the updates so far, evaluations not counted."""
        return (
            float(self._state.get("seconds", 0.0)) if self.result is None else self.result.seconds
        )

    @property
    def update(self) -> int:
        """The update that the newest checkpoint holds."""
        if self.result is not None:
            return self.plan.updates
        found = latest_checkpoint(self.out)
        return 0 if found is None else int(_read_state(found)["update"])

    def go_on(self, until: int | None = None) -> None:
        """Trains up to the update `until`, one of `plan.marks` (None: the last). Then the student
        holds the weights of that update, unless its training went further or was finished by an
        earlier call."""
        until = until or self.plan.updates
        if self.result is not None:
            return
        with _leaving_no_trace():
            arguments = _arguments(self.student, self.settings, self.plan, self.out)
            found = latest_checkpoint(self.out)
            self._state = _read_state(found)
            wait_for_all()
            if arguments.process_index == 0:
                self._tidy({found.name} if found is not None else set())
            wait_for_all()
            done = int(self._state.get("update", 0))
            if found is not None and done >= until:
                if self._held != done:
                    load_weights(self.student, found)
                    self._held = done
                return
            self._train(arguments, found, until)

    def _train(self, arguments: TrainingArguments, found: Path | None, until: int) -> None:
        trainer = UpdateTrainer(
            self.student,
            self.checked,
            self.settings,
            arguments,
            self.measures,
            self.progress,
            self._state,
            self.task,
            self.contrasts,
            until,
            self.contrast_settings,
        )
        trainer.train(resume_from_checkpoint=None if found is None else str(found))
        self._held = until
        self._state = _read_state(latest_checkpoint(self.out))
        self.student.model.eval()
        del trainer
        gc.collect()  # the optimizer, which Trainer's own references to itself would keep
        if self.student.device.type == "cuda":
            torch.cuda.empty_cache()

    def finish(self) -> FitResult:
        """The result, after the last update; checkpoints that were not chosen are deleted."""
        if self.result is None:
            with _leaving_no_trace():
                arguments = _arguments(self.student, self.settings, self.plan, self.out)
                if arguments.process_index == 0:
                    _write_result(self.out, self.plan, self._state, arguments.world_size)
                wait_for_all()
            self.result = _finished(self.out, self.checked.report)
        if self.result is None:
            raise InternalError(f"{self.out}: training ended without a result")
        if not dist.is_initialized() or dist.get_rank() == 0:
            tidy(self.out, {chosen.folder for chosen in self.result.selections.values()})
        return self.result

    def _tidy(self, keep: set[str]) -> None:
        chosen = (Selection(**one) for one in self._state.get("selections", {}).values())
        tidy(self.out, keep | {one.folder for one in chosen})


def _write_result(out: Path, plan: Plan, state: Mapping[str, Any], processes: int) -> None:
    result = {
        "selections": state["selections"],
        "train_tokens": plan.total_tokens,
        "passes": plan.passes,
        "updates": plan.updates,
        "seconds": state["seconds"],
        "micro_batch_tokens": state["micro_batch_tokens"],
        "processes": processes,
    }
    finish(out, result, [Selection(**chosen) for chosen in state["selections"].values()])


def _finished(out: Path, report: Preflight) -> FitResult | None:
    """The result of a folder whose training is over; None while it is not."""
    if not is_finished(out):
        return None
    found = json.loads((out / RESULT).read_text(encoding="utf-8"))
    selections = {name: Selection(**chosen) for name, chosen in found.pop("selections").items()}
    folders = {name: out / chosen.folder for name, chosen in selections.items()}
    curves = read_curves(out / CURVES)
    return FitResult(folders=folders, selections=selections, curves=curves, report=report, **found)


def _read_state(checkpoint: Path | None) -> dict[str, Any]:
    if checkpoint is None:
        return {}
    state: dict[str, Any] = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    return state


def _arguments(
    student: Student, settings: TrainSettings, plan: Plan, out: Path
) -> TrainingArguments:
    """Trainer's own settings; logging, evaluation and saving are steered by `_Steering`. Checks
    that all processes found each other."""
    on_cpu = student.device.type == "cpu"
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=plan.updates,
        per_device_train_batch_size=1,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused",
        seed=plan.seed,
        use_cpu=on_cpu,
        ddp_backend="gloo" if on_cpu and launched > 1 else None,
        ddp_find_unused_parameters=False,
        ddp_timeout=6 * 3600,  # the others wait while the first process generates for the metric
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        report_to=list(settings.report_to) or "none",
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )
    if arguments.n_gpu > 1:
        # without this Trainer splits every batch over all GPUs in one process; several GPUs are
        # used through torchrun
        arguments._n_gpu = 1
    _check_processes(launched, arguments.world_size, plan.update_examples)
    return arguments


def _check_processes(launched: int, seen: int, update_examples: int) -> None:
    """Raises InternalError where processes did not find each other (each would train alone,
    unnoticed)."""
    if launched != seen:
        raise InternalError(f"launched as {launched} processes, but Trainer sees {seen}")
    if seen > update_examples:
        raise TrainingError(
            f"{seen} processes share updates of {update_examples} examples: some would have nothing to do. "
            f"Launch at most {update_examples} processes."
        )


def _leave_the_group() -> None:
    """At the end of the process: one that ends while its group's threads live is aborted now and
    then."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _leaving_no_trace() -> Iterator[None]:
    """Trainer seeds all global generators and sets the log level; the caller gets its own back. No
    bars but the caller's."""
    level, bars = (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
    )
    transformers_logging.disable_progress_bar()
    states = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
