"""How fast a causal student trains on one GPU, beside TRL's SFTTrainer: the part `training` of
throughput.py.

Both train on the same chains in one process, with the same arithmetic (bfloat16 autocast, float32
weights, fused AdamW), about 64,000 tokens an update, loss on targets alone. Counted are real tokens
a second, questions and targets without padding. Ours go in micro-batches by length or packed, as
they are or compiled. TRL packs chains into rows of 1,024 tokens (`wrapped`, which cuts chains); its other
strategy needs the package flash-attn. What cannot be measured is noted with its error, and so is
what the time does not allow."""

from __future__ import annotations

import gc
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from smallsteps.records import Chain, Example
from smallsteps.segments.examples import build_examples
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.encode import encode
from smallsteps.training.fit import fit
from smallsteps.training.settings import TrainSettings

PEAKS = {"H100": 989e12, "H200": 989e12}
"""Dense bfloat16 operations a second, by NVIDIA's data sheets (SXM)."""
UPDATE_TOKENS = 65_536
ROW = 1024
"""Tokens of a row of TRL's packing."""
UNCOUNTED = 3
"""Updates before the clock starts."""

Figures = dict[str, Any]


class TrainingSpeed:
    """The measurements, and the best rate of each kind."""

    def __init__(
        self,
        load: Callable[[], Student],
        task: Task,
        chains: list[Chain],
        device: str,
        note: Callable[..., None],
        seconds_left: Callable[[], float],
        tiny: bool,
    ) -> None:
        """load: the student in float32. note: takes the figures of a line."""
        self.load, self.task, self.device, self.tiny = load, task, device, tiny
        self.note, self.seconds_left = note, seconds_left
        self.examples: list[Example] = [
            example for chain in chains for example in build_examples([chain], [], task, "direct")
        ]
        self.student = load()
        rows = encode(self.student, task, self.examples)
        self.mean_tokens = sum(row.tokens for row in rows) / len(rows)
        self.update_tokens = 600 if tiny else UPDATE_TOKENS
        self.updates = UNCOUNTED + (2 if tiny else 16)
        self.best: dict[str, float] = {}

    def run(self) -> None:
        """All measurements, the most wanted first."""
        sizes = (300, 600) if self.tiny else (32_768, 65_536, 16_384)
        first, *others = sizes
        self._try("padded", lambda: self.ours(first))
        self._try("packed", lambda: self.ours(first, packing=True))
        self._try("trl", lambda: self.trl(first))
        self._try("packed, compiled", lambda: self.ours(first, True, True), needs=90)
        self._ratios()
        self._try("padded, compiled", lambda: self.ours(first, compiled=True), needs=90)
        for size in others:
            self._try("packed, compiled", lambda size=size: self.ours(size, True, True))
            self._try("trl", lambda size=size: self.trl(size))
            self._try("packed", lambda size=size: self.ours(size, packing=True))
            self._try("padded, compiled", lambda size=size: self.ours(size, compiled=True))
            self._try("padded", lambda size=size: self.ours(size))
        self._try("trl, compiled", lambda: self.trl(first, compiled=True), needs=120)
        self._ratios()

    def _try(self, what: str, measure: Callable[[], Figures], needs: float = 30) -> None:
        if not self.tiny and self.seconds_left() < needs:
            self.note(part="training", what=what, skipped="no time left")
            return
        gc.collect()
        if self.device != "cpu":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        try:
            figures = measure()
        except Exception as error:
            self.note(part="training", what=what, error=f"{type(error).__name__}: {error}"[:300])
            return
        rate = figures["tokens_a_second"]
        self.best[what] = max(rate, self.best.get(what, 0.0))
        took = round(time.perf_counter() - began, 1)
        self.note(part="training", what=what, **figures, **self._of_device(rate), took=took)

    def _of_device(self, rate: float) -> Figures:
        if self.device == "cpu":
            return {}
        name = torch.cuda.get_device_name()
        peak = next((flops for chip, flops in PEAKS.items() if chip in name), None)
        weights = sum(p.numel() for p in self.student.model.parameters())
        return {
            "device": name,
            "share_of_peak": None if peak is None else round(6 * weights * rate / peak, 4),
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1),
        }

    def _ratios(self) -> None:
        theirs = [rate for name, rate in self.best.items() if name.startswith("trl")]
        if theirs:
            ours = {
                name: round(rate / max(theirs), 3)
                for name, rate in self.best.items()
                if not name.startswith("trl")
            }
            self.note(part="training", what="ratio to TRL's best", **ours)

    def ours(self, at_once: int, packing: bool = False, compiled: bool = False) -> Figures:
        """The rate of `fit` with this many tokens at once, padding included."""
        size = max(1, round(self.update_tokens / self.mean_tokens))
        settings = TrainSettings(
            passes=self.updates * size / len(self.examples),
            learning_rate=1e-5,
            evaluations=1,
            update_examples=size,
            micro_batch_tokens=at_once,
            overlong="drop",
            early_stop="drop",
            packing=packing,
            compile=compiled,
            dtype="float32" if self.device == "cpu" else "bfloat16",
        )
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            result = fit(self.student, self.examples, [], settings, out, task=self.task)
            rows = [json.loads(line) for line in (out / "curves.jsonl").open()]
        first, last = rows[UNCOUNTED - 1], rows[-1]
        seconds = last["seconds"] - first["seconds"]
        return {
            "micro_batch_tokens": at_once,
            "tokens_an_update": round(last["tokens"] / last["update"]),
            "tokens_a_second": round((last["tokens"] - first["tokens"]) / seconds),
            "padding": round(result.report.padding_share, 3),
            "first_updates_s": round(first["seconds"], 1),
            "micro_batch_tokens_at_the_end": result.micro_batch_tokens,
        }

    def trl(self, at_once: int, compiled: bool = False) -> Figures:
        """The rate of TRL's SFTTrainer with this many tokens at once."""
        if importlib.util.find_spec("trl") is None:
            raise RuntimeError("trl is not installed: see prepare_trl.sh")
        from datasets import Dataset, disable_progress_bars
        from trl import SFTConfig, SFTTrainer

        disable_progress_bars()
        student = self.load()
        rows = encode(student, self.task, self.examples)
        length = 150 if self.tiny else ROW
        clock = _Clock(self.device)
        with tempfile.TemporaryDirectory() as folder:
            arguments = SFTConfig(
                output_dir=folder,
                packing=True,
                packing_strategy="wrapped",
                max_length=length,
                completion_only_loss=True,
                per_device_train_batch_size=max(1, at_once // length),
                gradient_accumulation_steps=max(1, self.update_tokens // at_once),
                max_steps=self.updates,
                learning_rate=1e-5,
                optim="adamw_torch_fused",
                gradient_checkpointing=False,
                bf16=self.device != "cpu",
                use_cpu=self.device == "cpu",
                torch_compile=compiled,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            )
            chains = [
                {"input_ids": list(row.target), "completion_mask": list(map(int, row.counted))}
                for row in rows
            ]
            SFTTrainer(
                model=student.model,
                args=arguments,
                train_dataset=Dataset.from_list(chains),
                processing_class=student.tokenizer,
                callbacks=[clock],
            ).train()
        an_update = max(1, at_once // length) * length * arguments.gradient_accumulation_steps
        seconds = clock.ends[-1] - clock.ends[UNCOUNTED - 1]
        return {
            "micro_batch_tokens": at_once,
            "tokens_an_update": an_update,
            "tokens_a_second": round(an_update * (len(clock.ends) - UNCOUNTED) / seconds),
            "first_updates_s": round(clock.ends[UNCOUNTED - 1] - clock.began, 1),
        }


class _Clock(TrainerCallback):
    """When each update of a Trainer ended."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.began = 0.0
        self.ends: list[float] = []

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        if len(self.ends) + 1 == UNCOUNTED and self.device != "cpu":
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()
        self.ends[-1] = time.perf_counter()
