"""One update of a plan as one step of transformers' Trainer.

Trainer brings the optimizer, the wrapping for several processes, trackers and the files to resume
from. Here: the gradient of one update from its micro-batches, summed over processes once all have
got through (so that running out of memory in one makes all repeat the update in smaller pieces),
evaluation, the choice of checkpoints, and checkpoints that a killed run goes on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

from smallsteps.disk import write_json
from smallsteps.errors import RunFolderError, TrainingError
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Batch, Encoded, collate, micro_batches, share
from smallsteps.training.checkpoints import (
    CRITERIA,
    CURVES,
    Curves,
    Selection,
    better,
    complete,
    discard,
    tidy,
    trained_weights,
)
from smallsteps.training.contrast import Contrast, ContrastItem, anchor, encode_contrast
from smallsteps.training.contrast_batches import ContrastBatch, collate_pairs, collate_sequences
from smallsteps.training.contrast_losses import CURVE_NAMES, ContrastLoss, ContrastSums
from smallsteps.training.losses import SummedLoss
from smallsteps.training.preflight import Checked
from smallsteps.training.settings import ContrastSettings, TrainSettings

Progress = Callable[[int, int, Mapping[str, float | int | None]], None]
"""(updates done, updates in all, the newest row of the curves)."""
Measure = Callable[[Student], float]
"""Something to read off the student at each evaluation, the higher the better."""

WEIGHTS = "weights.safetensors"
STATE = "training_state.json"


@dataclass(frozen=True)
class Measures:
    """What is read off the student at evaluations besides the losses; both higher = better."""

    bleu: Measure | None = None
    """Validation BLEU of segments generated on gold prefixes."""
    metric: Measure | None = None
    """The task's main figure on validation, generated the way the arm generates."""


class UpdateTrainer(Trainer):
    """Trainer whose data are the numbers of the plan's updates and whose step is one whole
    update."""

    def __init__(
        self,
        student: Student,
        checked: Checked,
        settings: TrainSettings,
        arguments: TrainingArguments,
        measures: Measures,
        progress: Progress | None,
        state: Mapping[str, Any],
        task: Task,
        contrasts: Mapping[str, Contrast],
        until: int | None,
        contrast_settings: ContrastSettings,
    ) -> None:
        """until: the evaluated update after which to pause; None: train to the end."""
        self.student = student
        self.until = until
        self.rows, self.validation_rows, self.plan = checked.train, checked.validation, checked.plan
        self.settings, self.contrast_settings = settings, contrast_settings
        self.measures = measures
        self.out = Path(str(arguments.output_dir))
        self.progress = progress
        self.start_id = student.start_id if student.architecture == "encoder-decoder" else None
        self.micro_batch_tokens: int = state.get("micro_batch_tokens", settings.micro_batch_tokens)
        self.selections = {
            name: Selection(**chosen) for name, chosen in state.get("selections", {}).items()
        }
        self.seconds: float = state.get("seconds", 0.0)
        self.began = 0.0
        self.loss_since, self.tokens_since = 0.0, 0.0
        self.row: dict[str, float | int | None] = {}
        self.rates = self.plan.rates(settings.schedule, settings.warmup_share)
        self.ends = [int(x) for x in np.cumsum(self.plan.tokens)]
        self._prepare_model()
        updates = [{"update": update} for update in range(self.plan.updates)]
        dtype = torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32
        self.contrasted = bool(contrasts)
        found = {
            name: encode_contrast(student, task, one, settings.target_limit)
            for name, one in contrasts.items()
        }
        self.contrasts = {name: one for name, one in found.items() if one.usable}
        self.loss_model: SummedLoss = SummedLoss(student.model, dtype)
        if self.contrasts:
            self.loss_model = ContrastLoss(
                student.model,
                dtype,
                kind=contrast_settings.contrast,
                margin=contrast_settings.triplet_margin,
                state=contrast_settings.triplet_state,
                beta=contrast_settings.dpo_beta,
            )
        super().__init__(
            self.loss_model, arguments, train_dataset=updates, callbacks=[_Steering(self)]
        )  # type: ignore[arg-type]
        self.remove_callback(PrinterCallback)
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise TrainingError(
                "training runs on several processes, not on FSDP or DeepSpeed. Launch with torchrun."
            )
        self.first = self.args.process_index == 0
        self.curves = Curves(self.out / CURVES, state.get("curves", ()), write=self.first)

    def _prepare_model(self) -> None:
        model: Any = self.student.model
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.dtype != torch.float32:
                parameter.data = (
                    parameter.data.float()
                )  # half-precision weights swallow small updates
        if self.settings.gradient_checkpointing:
            enable = getattr(
                model, "activation_checkpointing_enable", model.gradient_checkpointing_enable
            )
            enable({"use_reentrant": False})

    # ---- data, optimizer and schedule ----

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The updates in order; every process sees each and takes its share in `training_step`."""
        updates: Any = self.train_dataset
        return DataLoader(updates, batch_size=1, shuffle=False, collate_fn=lambda batch: batch[0])

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The plan's rates: known for each update beforehand, because its tokens are."""
        if self.lr_scheduler is None:
            used = optimizer or self.optimizer
            assert used is not None
            rates = [
                *self.rates,
                self.rates[-1],
            ]  # the scheduler also asks what would follow the last update
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(used, lambda step: rates[step])
            self._created_lr_scheduler = True
        return self.lr_scheduler

    # ---- one update ----

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Accumulate the gradient of one update; returns its loss, the mean over all its target
        tokens."""
        self.began = time.perf_counter()
        update: int = inputs["update"]
        members = [self.rows[i] for i in self.plan.members(update)]
        normaliser = self._weight(members)
        against = self._against(update, members)
        usable = sum(items is not None for items in against)
        rank = self.args.process_index
        own = share(
            [items or row for row, items in zip(members, against, strict=True)],
            rank,
            self.args.world_size,
        )
        model.train()
        while True:
            torch.manual_seed(_seed_of(self.plan.seed, update, rank))
            loss, sums, fits = self._accumulate(model, own, normaliser, usable)
            if _all_agree(fits, self.args.device):
                break
            model.zero_grad()
            self._halve(max(row.tokens for row in members))
        loss, sums = self._add_up(model, loss, sums)
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
        if self.contrasted:
            read = sum((items or row).tokens for row, items in zip(members, against, strict=True))
            self.row |= {"usable": usable / len(members), "all_tokens": read}
            shares = (sums / max(usable, 1)).tolist()
            self.row |= (
                dict(zip(CURVE_NAMES[self.contrast_settings.contrast], shares, strict=True))
                if usable
                else {}
            )
        return loss

    def _accumulate(
        self,
        model: nn.Module,
        items: Sequence[Encoded | ContrastItem],
        normaliser: float,
        usable: int,
    ) -> tuple[Tensor, Tensor, bool]:
        """Forward and backward of each micro-batch: this process's part of the language-model loss,
        the sums of the contrast (all but the first of `ContrastSums`), and whether memory
        sufficed."""
        total, sums = (
            torch.zeros((), device=self.args.device),
            torch.zeros(4, device=self.args.device),
        )
        weight = self.contrast_settings.contrast_weight / max(usable, 1)
        rows = [item for item in items if isinstance(item, Encoded)]
        against = [item for item in items if isinstance(item, ContrastItem)]
        try:
            with self.accelerator.no_sync(model):
                for piece in micro_batches(rows, self.micro_batch_tokens):
                    loss = model(self._collate(piece)) / normaliser
                    self.accelerator.backward(loss)
                    total += loss.detach()
                for group in micro_batches(against, self.micro_batch_tokens):
                    found: ContrastSums = model(self._collate_items(group))
                    self.accelerator.backward(found.language / normaliser + weight * found.contrast)
                    total += found.language.detach() / normaliser
                    sums += torch.stack([found.contrast.detach(), *found[2:]])
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            return total, sums, False
        return total, sums, True

    def _against(self, update: int, members: Sequence[Encoded]) -> list[ContrastItem | None]:
        """Each member with a right and a wrong rationale drawn for it; None where it has none of
        either."""
        found: list[ContrastItem | None] = []
        for place, row in enumerate(members):
            readings = self.contrasts.get(row.example_ids[-1])
            if readings is None:
                found.append(None)
                continue
            drawn = readings.draw(self.plan.seed, update, place)
            found.append(
                ContrastItem(
                    (
                        anchor(row),
                        *(drawn if self.contrast_settings.contrast == "triplet" else drawn[1:]),
                    )
                )
            )
        return found

    def _collate_items(self, items: Sequence[ContrastItem]) -> ContrastBatch:
        if self.start_id is None:
            return collate_sequences(items, self.contrast_settings.prompt_weight).to(
                self.args.device
            )
        return collate_pairs(items, self.start_id).to(self.args.device)

    def _collate(self, rows: Sequence[Encoded]) -> Batch:
        return collate(rows, self.start_id, self.contrast_settings.prompt_weight).to(
            self.args.device
        )

    def _weight(self, rows: Sequence[Encoded]) -> float:
        """What the summed loss of `rows` is divided by."""
        all_tokens = self.contrast_settings.normaliser == "all-tokens"
        return sum(row.weight(self.contrast_settings.prompt_weight, all_tokens) for row in rows)

    def _add_up(self, model: nn.Module, loss: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
        """Sum gradients, loss and the triplet loss's sums over all processes."""
        if self.args.world_size > 1:
            grads = [p.grad for p in model.parameters() if p.grad is not None]
            for waiting in [
                dist.all_reduce(tensor, async_op=True) for tensor in [*grads, loss, sums]
            ]:
                waiting.wait()
        return loss, sums

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
        self.loss_since, self.tokens_since = 0.0, 0.0
        self.loss_model.eval()
        if self.validation_rows:
            values["validation_loss"] = self._validation_loss()
        for name in ("bleu", "metric"):
            measure: Measure | None = getattr(self.measures, name)
            if measure is not None:
                values[name] = self._on_first(measure)
        self.row |= {"train_loss_mean": values["train_loss"]}
        self.row |= {name: value for name, value in values.items() if name != "train_loss"}
        won = [
            name
            for name in CRITERIA
            if name in values and better(name, values[name], self.selections.get(name))
        ]
        for name in won:
            self.selections[name] = Selection(self.state.global_step, values[name])
        if won and self.first:
            folder = self.out / self.selections[won[0]].folder
            self.student.save(folder)
            complete(folder)
        # before the checkpoint: a run that resumes from it must find this row
        self._end_update()
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, values
        )
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
                        total += self.loss_model(self._collate(piece))
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                fits = False
            if _all_agree(fits, self.args.device):
                break
            self._halve(max(row.tokens for row in self.validation_rows))
        if self.args.world_size > 1:
            dist.all_reduce(total)
        return total.item() / self._weight(self.validation_rows)

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
        wait_for_all()
        if self.first:
            state = {
                "update": self.state.global_step,
                "seconds": self.seconds,
                "micro_batch_tokens": self.micro_batch_tokens,
                "selections": {name: vars(chosen) for name, chosen in self.selections.items()},
                "curves": self.curves.rows,
            }
            write_json(folder / STATE, state)
            complete(folder, self.selections.values())
            tidy(out, {folder.name, *(chosen.folder for chosen in self.selections.values())})

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None
    ) -> None:
        if self.first and output_dir is not None:
            folder = Path(output_dir)
            discard(folder)  # a torn one of the same number
            folder.mkdir(parents=True)
            weights = {
                name: value.cpu().contiguous()
                for name, value in trained_weights(self.student.model).items()
            }
            safetensors.torch.save_file(weights, folder / WEIGHTS)
        wait_for_all()

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        load_weights(self.student, Path(resume_from_checkpoint))


def load_weights(student: Student, checkpoint: Path) -> None:
    """Puts the weights of a checkpoint into the student. Raises RunFolderError where they are
    another's."""
    saved = safetensors.torch.load_file(checkpoint / WEIGHTS)
    now = trained_weights(student.model)
    if saved.keys() != now.keys():
        raise RunFolderError(
            f"{checkpoint}: weights of another student. Delete the output folder and start over."
        )
    for name, value in now.items():
        value.copy_(saved[name])


class _Steering(TrainerCallback):
    """Takes the time, and tells Trainer when to evaluate and save."""

    def __init__(self, trainer: UpdateTrainer) -> None:
        self.trainer = trainer
        self.marks = frozenset(trainer.plan.evaluations(trainer.settings.evaluations))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        trainer = self.trainer
        if trainer.args.device.type == "cuda":
            torch.cuda.synchronize()
        trainer.seconds += time.perf_counter() - trainer.began
        trainer.row["seconds"] = round(trainer.seconds, 3)
        if state.global_step in self.marks:
            control.should_evaluate = control.should_save = True
            if state.global_step == trainer.until:
                control.should_training_stop = True
        else:
            trainer._end_update()


def _seed_of(seed: int, update: int, rank: int) -> int:
    """A random state of its own for each update and process, so that dropout does not depend on
    where a run was resumed."""
    return int(np.random.SeedSequence((seed, update, rank)).generate_state(1, np.uint64)[0] >> 1)


def _out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
    )


def _all_agree(flag: bool, device: torch.device) -> bool:
    """Whether `flag` holds in every process."""
    if not dist.is_initialized():
        return flag
    failed = torch.tensor(int(not flag), device=device)
    dist.all_reduce(failed)
    return failed.item() == 0


def wait_for_all() -> None:
    if dist.is_initialized():
        dist.barrier()
