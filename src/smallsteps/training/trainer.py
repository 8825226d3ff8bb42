"""One update of a plan as one step of transformers' Trainer.

Trainer brings the optimizer, the meeting of several processes, trackers and the files to resume
from. `gradient.py` makes the gradient of an update, `update_rows.py` its row of the curves. Here:
evaluation, and checkpoints that a killed run goes on from. With weights in shards (`sharding.py`)
they are the same as without: whole weights and optimizer state, from which any number of processes
goes on. Which checkpoints are kept, and whether training is over before its plan is, `choice.py`
says.

Three loops train models in this package, and must differ. This one knows all updates before the
first and runs on several processes. `reinforce.py` trains on what the student itself writes.
`students/pretrain.py` makes the bundled student from an endless stream of drills in a few fixed
shapes, compiled for them, and is never run by a user's training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME
from transformers.trainer_callback import PrinterCallback

from smallsteps import team
from smallsteps.disk import write_json
from smallsteps.errors import InternalError, TrainingError
from smallsteps.training.accelerate_config import Sharding
from smallsteps.training.checkpoints import (
    CURVES,
    WEIGHTS,
    Curves,
    complete,
    discard,
    load_weights,
    tidy,
    trained_weights,
)
from smallsteps.training.choice import Choice, candidate_name
from smallsteps.training.compiling import CompiledBlocks
from smallsteps.training.evaluation import Evaluator, Measures
from smallsteps.training.fit_result import STATE
from smallsteps.training.gradient import Accumulator, is_asynchronous
from smallsteps.training.losses import SummedLoss
from smallsteps.training.memory import MicroBatchSize, fitting_tokens
from smallsteps.training.packing import require_packing
from smallsteps.training.processes import from_first, least
from smallsteps.training.sharding import (
    Shards,
    load_optimizer_state,
    start_alike,
    whole_optimizer_state,
    whole_weights,
)
from smallsteps.training.trackers import tracked
from smallsteps.training.update_rows import Row, UpdateRows
from smallsteps.training.updates import TrainingInputs, Updates

Progress = Callable[[int, int, Mapping[str, float | int | None]], None]
"""(updates done, updates in all, the newest row of the curves)."""


class UpdateTrainer(Trainer):
    """Trainer whose data are the numbers of the plan's updates, and whose step is one whole
    update."""

    def __init__(
        self,
        job: TrainingInputs,
        arguments: TrainingArguments,
        measures: Measures,
        progress: Progress | None,
        state: Mapping[str, Any],
        choice: Choice,
        until: int,
        sharding: Sharding | None = None,
    ) -> None:
        """state: of the checkpoint to go on from; empty at the start. choice: of the evaluations so
        far. until: the evaluated update after which to pause. sharding: how to split the weights
        over the processes; None: each has them all.

        Raises TrainingError where accelerate was set up for FSDP or DeepSpeed before."""
        self.job, self.student, self.settings = job, job.student, job.settings
        self.plan, self.choice, self.until = job.checked.plan, choice, until
        self.over: bool = state.get("over", False)
        """Whether the plateau is reached."""
        updates = Updates(job)
        self.progress = progress
        self.out = Path(str(arguments.output_dir))
        self.seconds: float = state.get("seconds", 0.0)
        self.evaluation_seconds: float = state.get("evaluation_seconds", 0.0)
        self.began: float | None = None
        """When the update began that is on its way; None: between an evaluation and an update."""
        self.rows = UpdateRows(job)
        self.lag = int(is_asynchronous(arguments.device))
        """Updates whose figures need not be there yet when the next one begins."""
        self._prepare_model(arguments, sharding)
        self.shards = Shards(self.student.model) if sharding else None
        self.loss_model = updates.loss_model(self.shards.twin if self.shards else None)
        if self.settings.packing:
            require_packing(self.student, updates.dtype == torch.bfloat16)
        blocks = CompiledBlocks(self.loss_model) if self.settings.compile else None
        numbers: Any = [{"update": update} for update in range(self.plan.updates)]
        super().__init__(
            self.loss_model, arguments, train_dataset=numbers, callbacks=[_Steering(self)]
        )
        self.remove_callback(PrinterCallback)
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise TrainingError(
                "this script has created an Accelerator of its own with FSDP or DeepSpeed. Leave "
                "it out: accelerate's config is read here."
            )
        rank, world, device = self.args.process_index, self.args.world_size, self.args.device
        self.first = rank == 0
        self.size = MicroBatchSize(self._tokens_at_once(state))
        measured = self.loss_model
        if self.shards and sharding:
            self.shards.split(self.loss_model, sharding, updates.dtype)
            measured = SummedLoss(self.student.model, updates.dtype)
        self.accumulator = Accumulator(
            updates, self.loss_model, self.size, device, rank, world, self.shards, blocks
        )
        self.evaluator = Evaluator(updates, measured, measures, self.size, device, rank, world)
        self.curves = Curves(self.out / CURVES, state.get("curves", ()), write=self.first)

    def _tokens_at_once(self, state: Mapping[str, Any]) -> int:
        """Padded tokens of a micro-batch at most: what the checkpoint says, if it was made on such
        a device; what the settings say; or what fits into the memory of all processes."""
        device = self.args.device
        if "micro_batch_tokens" in state and state.get("device") == device.type:
            return int(state["micro_batch_tokens"])
        if self.settings.micro_batch_tokens is not None:
            return self.settings.micro_batch_tokens
        return least(fitting_tokens(self.student, self.loss_model.train(), device), device)

    def _prepare_model(self, arguments: TrainingArguments, sharding: Sharding | None) -> None:
        model: Any = self.student.model.to(arguments.device)
        start_alike(model)
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.dtype != torch.float32:
                # half-precision weights swallow small updates
                parameter.data = parameter.data.float()
        if self.settings.gradient_checkpointing or (sharding and sharding.checkpointing):
            enable = getattr(
                model, "activation_checkpointing_enable", model.gradient_checkpointing_enable
            )
            enable({"use_reentrant": False})

    def _wrap_model(
        self, model: nn.Module, training: bool = True, dataloader: DataLoader[Any] | None = None
    ) -> nn.Module:
        """The model in a shell, so that Trainer neither wraps it for several processes (gradients
        are summed here or by FSDP) nor decides its precision."""
        return nn.ModuleList([model])

    # ---- data, optimizer and schedule ----

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The updates in order. Every process sees each and takes its share in `training_step`."""
        updates: Any = self.train_dataset
        return DataLoader(updates, batch_size=1, shuffle=False, collate_fn=lambda batch: batch[0])

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The plan's rates, known beforehand because the tokens of each update are."""
        if self.lr_scheduler is None:
            used = optimizer or self.optimizer
            if used is None:
                raise InternalError("the schedule was asked for before the optimizer")
            # the scheduler also asks what would follow the last update
            rates = [*self.rows.rates, self.rows.rates[-1]]
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(used, lambda step: rates[step])
            self._created_lr_scheduler = True
        return self.lr_scheduler

    # ---- one update ----

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Accumulate the gradient of one update. Returns its loss, the mean over its target tokens.

        Raises DivergenceError if a loss is no number (on a GPU: that of the update before), and
        TrainingError as `Accumulator` does."""
        if self.began is None:
            self.began = time.perf_counter()
        update, gradient = self.accumulator.gradient(inputs["update"])
        self.rows.add(update, gradient)
        self.rows.read(self.lag)
        return gradient.loss

    def end_update(self, evaluated: bool) -> None:
        """Take the time, and write the rows of all updates whose figures are there; that of an
        evaluated one waits for its evaluation."""
        if evaluated and self.args.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds += now - (self.began or now)
        self.began = None if evaluated else now
        self.rows.stamp(self.seconds)
        if evaluated:
            self.rows.read()
        for row in self.rows.finished(1 if evaluated else self.lag):
            self._write(row)

    def _write(self, row: Row) -> None:
        """Give the row of a finished update to the curves, trackers and the caller."""
        self.curves.add(row)
        update = int(row["update"] or 0)
        if self.settings.report_to:
            self._track(row, update)
        if self.progress is not None and self.first:
            self.progress(update, self.plan.updates, row)

    def _track(self, row: Row, update: int) -> None:
        """Trackers get the row under its own number, though Trainer may be one update ahead."""
        ahead, self.state.global_step = self.state.global_step, update
        super().log(tracked(row))
        self.state.global_step = ahead

    # ---- evaluation and checkpoints ----

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure, keep the weights if they are the best so far by some criterion, and end the
        training at its plateau."""
        with whole_weights(self.student.model):
            return self._measure()

    def _measure(self) -> dict[str, float]:
        began = time.perf_counter()
        values: dict[str, float] = {"train_loss": self.rows.mean_loss()}
        values |= self.evaluator.values()
        self.evaluation_seconds += time.perf_counter() - began
        (row,) = self.rows.finished()
        row |= {
            "train_loss_mean": values["train_loss"],
            "passes": round(self.plan.passes_after(self.state.global_step), 4),
            "evaluation_seconds": round(self.evaluation_seconds, 3),
        }
        row |= {name: value for name, value in values.items() if name != "train_loss"}
        row |= self._choose(values)
        # before the checkpoint: a run that resumes from it must find this row
        self._write(row)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, values
        )
        if self.over:
            self.control.should_training_stop = True
        return values

    def _choose(self, values: Mapping[str, float]) -> Row:
        """Save the student if it is to be kept, and see whether the training is over; all processes
        do what the first one decides. Returns what the row says of it."""
        update = self.state.global_step
        if self.choice.take(update, values) and self.first:
            folder = self.out / candidate_name(update)
            self.student.save(folder)
            complete(folder)
        if self.choice.patience is None:
            return {}
        over = torch.tensor(float(self.choice.over(update)), device=self.args.device)
        self.over = bool(from_first(over))
        return {"without_gain": self.choice.without_gain(update)}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Trainer's own summary at the end has the same names for other figures: not reported."""

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Trainer's files and ours, then the marker; only then what it replaces is deleted."""
        folder = self.out / f"checkpoint-{self.state.global_step}"
        self._write_weights(folder)
        super()._save_checkpoint(model, trial)
        team.wait_for_all()
        if self.first:
            state = {
                "update": self.state.global_step,
                "seconds": self.seconds,
                "evaluation_seconds": self.evaluation_seconds,
                "micro_batch_tokens": self.size.tokens,
                "device": self.args.device.type,
                **self.choice.state(),
                "over": self.over,
                "curves": self.curves.rows,
            }
            write_json(folder / STATE, state)
            complete(folder, self.choice.kept)
            tidy(self.out, {folder.name, *self.choice.folders})

    def _write_weights(self, folder: Path) -> None:
        with whole_weights(self.student.model):
            if self.first:
                discard(folder)  # a half-written one of the same number
                folder.mkdir(parents=True)
                weights = {
                    name: value.cpu().contiguous()
                    for name, value in trained_weights(self.student.model).items()
                }
                safetensors.torch.save_file(weights, folder / WEIGHTS)
        team.wait_for_all()

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None
    ) -> None:
        """Trainer's own file of weights: there is one already."""

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        state = whole_optimizer_state(self._inner_optimizer)
        if self.first and self.lr_scheduler is not None:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        with whole_weights(self.student.model):
            load_weights(self.student, Path(resume_from_checkpoint))
            if self.shards:
                self.shards.take()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or self.lr_scheduler is None:
            return
        files = [Path(checkpoint) / name for name in (OPTIMIZER_NAME, SCHEDULER_NAME)]
        state, schedule = (torch.load(f, map_location="cpu", weights_only=True) for f in files)
        load_optimizer_state(self._inner_optimizer, state)
        self.lr_scheduler.load_state_dict(schedule)

    @property
    def _inner_optimizer(self) -> torch.optim.Optimizer:
        """Without accelerate's shell."""
        optimizer: Any = self.optimizer
        return getattr(optimizer, "optimizer", optimizer)

    def end(self) -> None:
        """The student has its whole weights again."""
        if self.shards:
            self.shards.join()


class _Steering(TrainerCallback):
    """Takes the time, and tells Trainer when to evaluate, save and stop."""

    def __init__(self, trainer: UpdateTrainer) -> None:
        self.trainer = trainer
        self.evaluated = frozenset(trainer.choice.evaluations)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        evaluated = state.global_step in self.evaluated
        self.trainer.end_update(evaluated)
        if evaluated:
            control.should_evaluate = control.should_save = True
        if state.global_step == self.trainer.until:
            control.should_training_stop = True
