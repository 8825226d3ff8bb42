"""Train a student on examples: transformers' Trainer, where one Trainer step is one update of the plan.

    examples → preflight → plan of updates → Trainer → curves, checkpoints by criterion        (AS-ES method page,
    section 5)

Trainer brings the optimizer, the wrapping for several processes, trackers and the files to resume from. Ours: what an
update is (a fixed set of examples in micro-batches by length with one normaliser), the schedule over tokens, the
choice of checkpoints, and that a killed run goes on to the very weights of one that was not. Several processes
(torchrun, accelerate launch) share each update; their gradients are summed once all have got through, so that running
out of memory in one makes all repeat the update in smaller pieces. Not done here: FSDP and DeepSpeed, early stopping
(the choice of checkpoints does that work).
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging as transformers_logging

from smallsteps.errors import InternalError, RunFolderError, TrainingError
from smallsteps.records import Example
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Encoded, Plan, collate, micro_batches, share
from smallsteps.training.checkpoints import (
    CRITERIA,
    Curves,
    Selection,
    better,
    claim,
    complete,
    digest_of,
    discard,
    latest_checkpoint,
    tidy,
    trained_weights,
    write_json,
)
from smallsteps.training.losses import SummedLoss
from smallsteps.training.preflight import Checked, Preflight, preflight
from smallsteps.training.settings import TrainSettings

Progress = Callable[[int, int, Mapping[str, float | int | None]], None]
"""(updates done, updates in all, the newest row of the curves)."""
Measure = Callable[[Student], float]
"""Something to read off the student at each evaluation, the higher the better."""

WEIGHTS = "weights.safetensors"
STATE = "training_state.json"


@dataclass(frozen=True)
class FitResult:
    """What training brought. The weights are in the folders; the student object holds those of the last update run."""

    folders: dict[str, Path]
    """Criterion (`train_loss`, `validation_loss`, `bleu`, `metric`, as far as they were measured) → Hugging Face
    folder."""
    selections: dict[str, Selection]
    """Criterion → the update that was best, and its value."""
    curves: list[dict[str, Any]]
    """One row an update: update, tokens, train_loss (nats a target token), lr, seconds; at evaluations also
    validation_loss, bleu, metric and train_loss_mean (since the evaluation before)."""
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
        """The folder of the first of `criteria` that was measured; by default metric, validation_loss, train_loss."""
        for criterion in criteria or ("metric", "validation_loss", "train_loss"):
            if criterion in self.folders:
                return self.folders[criterion]
        raise TrainingError(f"no checkpoint by {', '.join(criteria)}: measured were {', '.join(self.folders)}")


@dataclass(frozen=True)
class Measures:
    """What is read off the student at evaluations besides the losses; both higher = better."""

    bleu: Measure | None = None
    """Validation BLEU of segments generated on gold prefixes."""
    metric: Measure | None = None
    """The task's main figure on validation, generated the way the arm generates."""


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
) -> FitResult:
    """Train `student` in place and keep the best checkpoints under `out`.

    Called again with the same arguments after a kill it goes on and ends with the same weights (CPU: bit by bit);
    called on a finished folder it returns the result at once. `announce` gets the preflight report before the first
    update.

    Raises TrainingError for examples that cannot be trained on, and RunFolderError when `out` belongs to something
    else.
    """
    out = Path(out)
    checked = preflight(student, train, validation, settings, task)
    if announce is not None:
        announce(checked.report)
    digest = digest_of(settings, train, validation, student)
    with _leaving_no_trace():
        arguments = _arguments(student, settings, checked.plan, out)
        if arguments.process_index == 0:
            claim(out, digest)
        _wait_for_all()
        finished = _finished(out, checked.report)
        if finished is not None:
            if arguments.process_index == 0:
                tidy(out, {chosen.folder for chosen in finished.selections.values()})
            return finished
        found = latest_checkpoint(out)
        state = _read_state(found)
        _wait_for_all()
        if arguments.process_index == 0:
            names = {Selection(**chosen).folder for chosen in state.get("selections", {}).values()}
            tidy(out, names if found is None else {found.name, *names})
        _wait_for_all()
        trainer = UpdateTrainer(student, checked, settings, arguments, Measures(bleu, metric), progress, state)
        trainer.train(resume_from_checkpoint=None if found is None else str(found))
        if trainer.first:
            _write_result(out, trainer)
            tidy(out, {chosen.folder for chosen in trainer.selections.values()})
        _wait_for_all()
    result = _finished(out, checked.report)
    if result is None:
        raise InternalError(f"{out}: training ended without a result")
    return result


def _write_result(out: Path, trainer: UpdateTrainer) -> None:
    write_json(
        out / "result.json",
        {
            "selections": {name: vars(chosen) for name, chosen in trainer.selections.items()},
            "train_tokens": trainer.plan.total_tokens,
            "passes": trainer.plan.passes,
            "updates": trainer.plan.updates,
            "seconds": trainer.seconds,
            "micro_batch_tokens": trainer.micro_batch_tokens,
            "processes": trainer.args.world_size,
        },
    )


def _finished(out: Path, report: Preflight) -> FitResult | None:
    """The result of a folder whose training is over; None while it is not."""
    path = out / "result.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    selections = {name: Selection(**chosen) for name, chosen in found.pop("selections").items()}
    folders = {name: out / chosen.folder for name, chosen in selections.items()}
    for folder in folders.values():
        if not folder.is_dir():
            raise RunFolderError(f"{folder}: named in {path} but not there. Delete {out} and run again.")
    curves = Curves(out / "curves.jsonl", found["updates"], write=False).rows
    return FitResult(folders=folders, selections=selections, curves=curves, report=report, **found)


def _read_state(checkpoint: Path | None) -> dict[str, Any]:
    if checkpoint is None:
        return {}
    state: dict[str, Any] = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    return state


def _arguments(student: Student, settings: TrainSettings, plan: Plan, out: Path) -> TrainingArguments:
    """Trainer's own settings; logging, evaluation and saving are steered by `_Steering`. Checks that all processes
    found each other."""
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
        seed=settings.seed,
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
        # without this Trainer splits every batch over all GPUs in one process; several GPUs are used through torchrun
        arguments._n_gpu = 1
    _check_processes(launched, arguments.world_size, plan.update_examples)
    return arguments


def _check_processes(launched: int, seen: int, update_examples: int) -> None:
    """Raises InternalError where processes did not find each other (each would train alone, unnoticed)."""
    if launched != seen:
        raise InternalError(f"launched as {launched} processes, but Trainer sees {seen}")
    if seen > update_examples:
        raise TrainingError(
            f"{seen} processes share updates of {update_examples} examples: some would have nothing to do. "
            f"Launch at most {update_examples} processes."
        )


class UpdateTrainer(Trainer):
    """Trainer whose data are the numbers of the plan's updates and whose step is one whole update."""

    def __init__(
        self,
        student: Student,
        checked: Checked,
        settings: TrainSettings,
        arguments: TrainingArguments,
        measures: Measures,
        progress: Progress | None,
        state: Mapping[str, Any],
    ) -> None:
        self.student = student
        self.rows, self.validation_rows, self.plan = checked.train, checked.validation, checked.plan
        self.settings = settings
        self.measures = measures
        self.out = Path(str(arguments.output_dir))
        self.progress = progress
        self.start_id = student.start_id if student.architecture == "encoder-decoder" else None
        self.micro_batch_tokens: int = state.get("micro_batch_tokens", settings.micro_batch_tokens)
        self.selections = {name: Selection(**chosen) for name, chosen in state.get("selections", {}).items()}
        self.seconds: float = state.get("seconds", 0.0)
        self.began = 0.0
        self.loss_since, self.tokens_since = 0.0, 0
        self.row: dict[str, float | int | None] = {}
        self.rates = self.plan.rates(settings.schedule, settings.warmup_share)
        self.ends = [int(x) for x in np.cumsum(self.plan.tokens)]
        self._prepare_model()
        updates = [{"update": update} for update in range(self.plan.updates)]
        dtype = torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32
        self.loss_model = SummedLoss(student.model, dtype)
        super().__init__(self.loss_model, arguments, train_dataset=updates, callbacks=[_Steering(self)])  # type: ignore[arg-type]
        self.remove_callback(PrinterCallback)
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise TrainingError("training runs on several processes, not on FSDP or DeepSpeed. Launch with torchrun.")
        self.first = self.args.process_index == 0
        self.curves = Curves(self.out / "curves.jsonl", state.get("update", 0), write=self.first)

    def _prepare_model(self) -> None:
        model: Any = self.student.model
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.dtype != torch.float32:
                parameter.data = parameter.data.float()  # half-precision weights swallow small updates
        if self.settings.gradient_checkpointing:
            enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
            enable({"use_reentrant": False})

    # ---- data, optimizer and schedule ----

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The updates in order; every process sees each and takes its share in `training_step`."""
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=lambda batch: batch[0])  # type: ignore[arg-type]

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The plan's rates: known for each update beforehand, because its tokens are."""
        if self.lr_scheduler is None:
            used = optimizer or self.optimizer
            assert used is not None
            rates = [*self.rates, self.rates[-1]]  # the scheduler also asks what would follow the last update
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(used, lambda step: rates[step])
            self._created_lr_scheduler = True
        return self.lr_scheduler

    # ---- one update ----

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Accumulate the gradient of one update; returns its loss, the mean over all its target tokens."""
        self.began = time.perf_counter()
        update: int = inputs["update"]
        members = [self.rows[i] for i in self.plan.members(update)]
        own = share(members, self.args.process_index, self.args.world_size)
        normaliser = sum(row.loss_tokens for row in members)
        model.train()
        while True:
            torch.manual_seed(_seed_of(self.settings.seed, update, self.args.process_index))
            loss, fits = self._accumulate(model, own, normaliser)
            if _all_agree(fits, self.args.device):
                break
            model.zero_grad()
            self._halve(max(row.tokens for row in members))
        loss = self._add_up(model, loss)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"update {update + 1}: the loss is {loss.item()}. Lower learning_rate ({self.settings.learning_rate}) "
                "or use dtype float32."
            )
        self.loss_since += loss.item() * normaliser
        self.tokens_since += normaliser
        self.row = {
            "update": update + 1,
            "tokens": self.ends[update],
            "train_loss": loss.item(),
            "lr": self.settings.learning_rate * self.rates[update],
        }
        return loss

    def _accumulate(self, model: nn.Module, rows: Sequence[Encoded], normaliser: int) -> tuple[Tensor, bool]:
        """Forward and backward of each micro-batch; (this process's part of the loss, whether memory sufficed)."""
        total = torch.zeros((), device=self.args.device)
        try:
            with self.accelerator.no_sync(model):
                for piece in micro_batches(rows, self.micro_batch_tokens):
                    loss = model(collate(piece, self.start_id).to(self.args.device)) / normaliser
                    self.accelerator.backward(loss)
                    total += loss.detach()
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            return total, False
        return total, True

    def _add_up(self, model: nn.Module, loss: Tensor) -> Tensor:
        """Sum gradients and loss over all processes."""
        if self.args.world_size > 1:
            grads = [p.grad for p in model.parameters() if p.grad is not None]
            for waiting in [dist.all_reduce(tensor, async_op=True) for tensor in [*grads, loss]]:
                waiting.wait()
        return loss

    def _halve(self, longest: int) -> None:
        if self.micro_batch_tokens < longest:
            raise TrainingError(
                f"out of memory with a single sequence of {longest} tokens. Set gradient_checkpointing, use dtype "
                "bfloat16, or lower source_limit and target_limit."
            )
        self.micro_batch_tokens //= 2
        if self.args.device.type == "cuda":
            torch.cuda.empty_cache()

    # ---- evaluation and checkpoints ----

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure, and keep the weights where they are the best so far by some criterion."""
        values: dict[str, float] = {"train_loss": self.loss_since / max(1, self.tokens_since)}
        self.loss_since, self.tokens_since = 0.0, 0
        self.loss_model.eval()
        if self.validation_rows:
            values["validation_loss"] = self._validation_loss()
        for name in ("bleu", "metric"):
            measure: Measure | None = getattr(self.measures, name)
            if measure is not None:
                values[name] = self._on_first(measure)
        self.row |= {"train_loss_mean": values["train_loss"]}
        self.row |= {name: value for name, value in values.items() if name != "train_loss"}
        won = [name for name in CRITERIA if name in values and better(name, values[name], self.selections.get(name))]
        for name in won:
            self.selections[name] = Selection(self.state.global_step, values[name])
        if won and self.first:
            folder = self.out / self.selections[won[0]].folder
            self.student.save(folder)
            complete(folder)
        # before the checkpoint: a run that resumes from it must find this row
        self._end_update()
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, values)
        return values

    def _end_update(self) -> None:
        """Write the row of the update that is done, and tell who listens."""
        self.curves.add(self.row)
        if self.settings.report_to:
            self.log({name: float(value) for name, value in self.row.items() if value is not None})
        if self.progress is not None and self.first:
            self.progress(self.state.global_step, self.plan.updates, self.row)

    def _validation_loss(self) -> float:
        """Mean cross-entropy (nats) over all counted validation tokens, all processes together."""
        own = list(self.validation_rows)[self.args.process_index :: self.args.world_size]
        while True:
            total, fits = torch.zeros((), device=self.args.device, dtype=torch.float64), True
            try:
                with torch.no_grad():
                    for piece in micro_batches(own, self.micro_batch_tokens):
                        total += self.loss_model(collate(piece, self.start_id).to(self.args.device))
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                fits = False
            if _all_agree(fits, self.args.device):
                break
            self._halve(max(row.tokens for row in self.validation_rows))
        if self.args.world_size > 1:
            dist.all_reduce(total)
        return total.item() / sum(row.loss_tokens for row in self.validation_rows)

    def _on_first(self, measure: Measure) -> float:
        """`measure` taken by the first process; all get its value."""
        value = torch.zeros((), dtype=torch.float64, device=self.args.device)
        if self.first:
            value += measure(self.student)
        if self.args.world_size > 1:
            dist.broadcast(value, src=0)
        return value.item()

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Trainer's files and ours, then the marker; only then what it replaces is deleted."""
        out = self.out
        folder = out / f"checkpoint-{self.state.global_step}"
        super()._save_checkpoint(model, trial)
        _wait_for_all()
        if self.first:
            state = {
                "update": self.state.global_step,
                "seconds": self.seconds,
                "micro_batch_tokens": self.micro_batch_tokens,
                "selections": {name: vars(chosen) for name, chosen in self.selections.items()},
            }
            write_json(folder / STATE, state)
            complete(folder)
            tidy(out, {folder.name, *(chosen.folder for chosen in self.selections.values())})

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if self.first and output_dir is not None:
            folder = Path(output_dir)
            discard(folder)  # a torn one of the same number
            folder.mkdir(parents=True)
            weights = {name: value.cpu().contiguous() for name, value in trained_weights(self.student.model).items()}
            safetensors.torch.save_file(weights, folder / WEIGHTS)
        _wait_for_all()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        saved = safetensors.torch.load_file(Path(resume_from_checkpoint) / WEIGHTS)
        now = trained_weights(self.student.model)
        if saved.keys() != now.keys():
            raise RunFolderError(
                f"{resume_from_checkpoint}: weights of another student. Delete the output folder and start over."
            )
        for name, value in now.items():
            value.copy_(saved[name])


class _Steering(TrainerCallback):
    """Takes the time, and tells Trainer when to evaluate and save."""

    def __init__(self, trainer: UpdateTrainer) -> None:
        self.trainer = trainer
        self.marks = frozenset(trainer.plan.evaluations(trainer.settings.evaluations))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        trainer = self.trainer
        if trainer.args.device.type == "cuda":
            torch.cuda.synchronize()
        trainer.seconds += time.perf_counter() - trainer.began
        trainer.row["seconds"] = round(trainer.seconds, 3)
        if state.global_step in self.marks:
            control.should_evaluate = control.should_save = True
        else:
            trainer._end_update()


def _seed_of(seed: int, update: int, rank: int) -> int:
    """A random state of its own for each update and process, so that dropout does not depend on where a run was
    resumed."""
    return int(np.random.SeedSequence((seed, update, rank)).generate_state(1, np.uint64)[0] >> 1)


def _out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text


def _all_agree(flag: bool, device: torch.device) -> bool:
    """Whether `flag` holds in every process."""
    if not dist.is_initialized():
        return flag
    failed = torch.tensor(int(not flag), device=device)
    dist.all_reduce(failed)
    return failed.item() == 0


def _wait_for_all() -> None:
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def _leaving_no_trace() -> Iterator[None]:
    """Trainer seeds all global generators and sets the log level; the caller gets its own back. No bars but the
    caller's."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
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
