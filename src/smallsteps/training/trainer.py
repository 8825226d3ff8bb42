"""One update of a plan as one step of transformers' Trainer.

Trainer brings the optimizer, the meeting of several processes, trackers and the files to resume
from. Here: the gradient of one update from its micro-batches, summed over processes once all have
finished theirs (so that running out of memory in one makes all repeat the update in smaller
batches); evaluation; checkpoints that a killed run goes on from. Which checkpoints are kept, and
whether training is over before its plan is, `choice.py` says.

With weights in shards (`sharding.py`) FSDP sums each micro-batch's gradient at once, and all
processes make equally many passes. Checkpoints are the same as without: whole weights and optimizer
state, from which any number of processes goes on.

Three loops train models in this package, and must differ. This one knows all updates before the
first and runs on several processes. `reinforce.py` trains on what the student itself writes.
`students/pretrain.py` makes the bundled student from an endless stream of drills in a few fixed
shapes, compiled for them, and is never run by a user's training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME
from transformers.trainer_callback import PrinterCallback

from smallsteps import team
from smallsteps.disk import write_json
from smallsteps.errors import DivergenceError, InternalError, TrainingError
from smallsteps.training.accelerate_config import Sharding
from smallsteps.training.batches import Encoded, level, micro_batches, share
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
from smallsteps.training.contrast import ContrastItem
from smallsteps.training.contrast_losses import CURVE_NAMES, ContrastSums
from smallsteps.training.evaluation import Evaluator, Measures
from smallsteps.training.fit_result import STATE
from smallsteps.training.losses import SummedLoss
from smallsteps.training.memory import MicroBatchSize, out_of_memory
from smallsteps.training.processes import (
    all_agree,
    from_first,
    seed_of,
    sum_over_processes,
)
from smallsteps.training.sharding import (
    Shards,
    load_optimizer_state,
    start_alike,
    whole_optimizer_state,
    whole_weights,
)
from smallsteps.training.trackers import tracked
from smallsteps.training.updates import TrainingInputs, Update, Updates

Progress = Callable[[int, int, Mapping[str, float | int | None]], None]
"""(updates done, updates in all, the newest row of the curves)."""
Member = TypeVar("Member", Encoded, ContrastItem)
"""Of an update."""


@dataclass
class Gradient:
    """Sums over the micro-batches of one update, scalars and [4]; the gradient itself lies in the
    model."""

    loss: Tensor
    """Language-model loss, divided by the update's normaliser."""
    contrast: Tensor
    """All but the first of `ContrastSums`."""
    complete: bool = True
    """False: memory ran out on the way."""


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
        self.updates = Updates(job)
        self.progress = progress
        self.out = Path(str(arguments.output_dir))
        self.size = MicroBatchSize(
            state.get("micro_batch_tokens", self.settings.micro_batch_tokens)
        )
        self.seconds: float = state.get("seconds", 0.0)
        self.evaluation_seconds: float = state.get("evaluation_seconds", 0.0)
        self.began = 0.0
        self.loss_since, self.weight_since = 0.0, 0.0
        """Summed loss and normalisers since the last evaluation."""
        self.row: dict[str, float | int | None] = {}
        """Of the newest update, for the curves."""
        self.rates = self.plan.rates(self.settings.schedule, self.settings.warmup)
        self.tokens_after = [int(tokens) for tokens in np.cumsum(self.plan.tokens)]
        self._prepare_model(arguments, sharding)
        self.shards = Shards(self.student.model) if sharding else None
        self.loss_model = self.updates.loss_model(self.shards.twin if self.shards else None)
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
        rank, world = self.args.process_index, self.args.world_size
        self.first = rank == 0
        measured = self.loss_model
        if self.shards and sharding:
            self.shards.split(self.loss_model, sharding, self.updates.dtype)
            measured = SummedLoss(self.student.model, self.updates.dtype)
        self.evaluator = Evaluator(
            self.updates, measured, measures, self.size, self.args.device, rank, world
        )
        self.curves = Curves(self.out / CURVES, state.get("curves", ()), write=self.first)

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
            rates = [*self.rates, self.rates[-1]]
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(used, lambda step: rates[step])
            self._created_lr_scheduler = True
        return self.lr_scheduler

    # ---- one update ----

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Accumulate the gradient of one update. Returns its loss, the mean over its target tokens.

        Raises DivergenceError if the loss is no number, and TrainingError if memory does not
        suffice for a single sequence."""
        self.began = time.perf_counter()
        update = self.updates.update(inputs["update"])
        rank = self.args.process_index
        model.train()
        while True:
            torch.manual_seed(seed_of(self.plan.seed, update.number, rank))
            gradient = self._accumulate(update)
            if all_agree(gradient.complete, self.args.device):
                break
            model.zero_grad()
            self.size.halve(update.longest, self.args.device)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        summed = [] if self.shards else gradients  # in shards, FSDP has summed them
        sum_over_processes([*summed, gradient.loss, gradient.contrast])
        loss = gradient.loss
        if not torch.isfinite(loss):
            raise DivergenceError(
                f"update {update.number + 1}: the loss is {loss.item()}. Lower learning_rate "
                f"({self.settings.rate}) or use dtype float32."
            )
        self.loss_since += loss.item() * update.normaliser
        self.weight_since += update.normaliser
        self.row = self._row(update, gradient)
        return loss

    def _accumulate(self, update: Update) -> Gradient:
        """Forward and backward of each micro-batch of this process's members of an update. Raises
        TrainingError where memory runs out with weights in shards."""
        device = self.args.device
        gradient = Gradient(torch.zeros((), device=device), torch.zeros(4, device=device))
        contrast_weight = self.job.contrast_settings.contrast_weight / max(update.usable, 1)
        try:
            for batch_rows, factor in self._passes(update, Encoded):
                batch = self.updates.batch(batch_rows).to(device)
                loss = self.loss_model(batch) / update.normaliser * factor
                loss.backward()
                gradient.loss += loss.detach()
            for batch_items, factor in self._passes(update, ContrastItem):
                item_batch = self.updates.contrast_batch(
                    batch_items, one_pass=self.shards is not None
                )
                sums: ContrastSums = self.loss_model(item_batch.to(device))
                loss = sums.language / update.normaliser * factor
                (loss + contrast_weight * factor * sums.contrast).backward()
                gradient.loss += loss.detach()
                gradient.contrast += factor * torch.stack(
                    [sums.contrast.detach(), sums.right, sums.wrong, sums.active]
                )
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if self.shards:
                # the others wait for this pass, so none can begin the update again
                raise TrainingError(
                    f"out of memory in update {update.number + 1}. With FSDP micro-batches do not "
                    f"shrink by themselves: lower micro_batch_tokens ({self.size.tokens}), or set "
                    "gradient_checkpointing."
                ) from None
            gradient.complete = False
        return gradient

    def _passes(self, update: Update, kind: type[Member]) -> list[tuple[list[Member], float]]:
        """The micro-batches of this process's members of a kind, each with its factor in the
        gradient: 0 where a pass is made only because other processes make one."""
        rank, world = self.args.process_index, self.args.world_size
        batches: list[list[list[Member]]] = []
        for other in range(world) if self.shards else [rank]:
            members = share(update.members, other, world)
            chosen = [member for member in members if isinstance(member, kind)]
            batches.append(micro_batches(chosen, self.size.tokens, self.args.device.type))
        if not self.shards:
            return level(batches[0], len(batches[0]), None)
        every = [member for member in update.members if isinstance(member, kind)]
        shortest = min(every, key=lambda member: member.tokens, default=None)
        return level(batches[rank], max(map(len, batches)), shortest)

    def _row(self, update: Update, gradient: Gradient) -> dict[str, float | int | None]:
        """The row of the curves, without what evaluations add."""
        row: dict[str, float | int | None] = {
            "update": update.number + 1,
            "tokens": self.tokens_after[update.number],
            "train_loss": gradient.loss.item(),
            "lr": self.settings.rate * self.rates[update.number],
        }
        if self.job.contrasts:
            row["usable"] = update.usable / len(update.members)
            row["all_tokens"] = update.tokens
        if update.usable:
            names = CURVE_NAMES[self.job.contrast_settings.contrast]
            means = (gradient.contrast / update.usable).tolist()
            row |= dict(zip(names, means, strict=True))
        return row

    # ---- evaluation and checkpoints ----

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure, keep the weights if they are the best so far by some criterion, and end the
        training at its plateau."""
        with whole_weights(self.student.model):
            return self._measure()

    def _measure(self) -> dict[str, float]:
        began = time.perf_counter()
        values: dict[str, float] = {"train_loss": self.loss_since / max(1, self.weight_since)}
        self.loss_since, self.weight_since = 0.0, 0.0
        values |= self.evaluator.values()
        self.evaluation_seconds += time.perf_counter() - began
        self.row |= {
            "train_loss_mean": values["train_loss"],
            "passes": round(self.plan.passes_after(self.state.global_step), 4),
            "evaluation_seconds": round(self.evaluation_seconds, 3),
        }
        self.row |= {name: value for name, value in values.items() if name != "train_loss"}
        self._choose(values)
        # before the checkpoint: a run that resumes from it must find this row
        self.end_update()
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, values
        )
        if self.over:
            self.control.should_training_stop = True
        return values

    def _choose(self, values: Mapping[str, float]) -> None:
        """Save the student if it is to be kept, and see whether the training is over; all processes
        do what the first one decides."""
        update = self.state.global_step
        if self.choice.take(update, values) and self.first:
            folder = self.out / candidate_name(update)
            self.student.save(folder)
            complete(folder)
        if self.choice.patience is not None:
            self.row["without_gain"] = self.choice.without_gain(update)
            over = torch.tensor(float(self.choice.over(update)), device=self.args.device)
            self.over = bool(from_first(over))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Trainer's own summary at the end has the same names for other figures: not reported."""

    def end_update(self) -> None:
        """Write the row of the finished update to the curves, trackers and the caller."""
        self.curves.add(self.row)
        if self.settings.report_to:
            super().log(tracked(self.row))
        if self.progress is not None and self.first:
            self.progress(self.state.global_step, self.plan.updates, self.row)

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
        trainer = self.trainer
        if trainer.args.device.type == "cuda":
            torch.cuda.synchronize()
        trainer.seconds += time.perf_counter() - trainer.began
        trainer.row["seconds"] = round(trainer.seconds, 3)
        if state.global_step not in self.evaluated:
            trainer.end_update()
            return
        control.should_evaluate = control.should_save = True
        if state.global_step == trainer.until:
            control.should_training_stop = True
