"""The settings of transformers' Trainer, and what it must not change in the caller's process."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from smallsteps.students.student import Student
from smallsteps.training.accelerate_config import hidden_from_accelerate
from smallsteps.training.processes import check_processes
from smallsteps.training.settings import TrainSettings
from smallsteps.training.update_plan import Plan

if TYPE_CHECKING:
    from transformers import TrainingArguments


def trainer_arguments(
    student: Student, settings: TrainSettings, plan: Plan, out: Path
) -> TrainingArguments:
    """Trainer's own settings. Logging, evaluation and saving are off: `trainer.py` starts them.

    Raises InternalError or TrainingError as `check_processes` does."""
    from transformers import TrainingArguments  # here, because it takes seconds to load

    on_cpu = student.device.type == "cpu"
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=plan.updates,
        per_device_train_batch_size=1,
        learning_rate=settings.rate,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused",
        seed=plan.seed,
        use_cpu=on_cpu,
        ddp_backend="gloo" if on_cpu and launched > 1 else None,
        ddp_find_unused_parameters=False,
        ddp_timeout=6 * 3600,  # others wait while the first process computes the metric
        logging_strategy="no",
        logging_nan_inf_filter=False,  # reading each loss would make a GPU wait for the host
        eval_strategy="no",
        save_strategy="no",
        report_to=list(settings.report_to) or "none",
        run_name=str(out),
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )
    if arguments.n_gpu > 1:
        # otherwise Trainer splits every batch over all GPUs in one process; torchrun uses several
        arguments._n_gpu = 1
    check_processes(launched, arguments.world_size, plan.update_examples)
    return arguments


@contextmanager
def isolated() -> Iterator[None]:
    """Give the caller back its random state, log level and progress bars, which Trainer sets. What
    accelerate's config says is hidden from Trainer: it was read before."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices), hidden_from_accelerate():
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
