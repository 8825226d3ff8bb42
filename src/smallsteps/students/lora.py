"""LoRA: train small matrices beside frozen weights. Students are saved with the adapters merged.

Added tokens (markers, `<STOP>`, mapped characters) keep trainable embedding rows while the rest of
the table stays frozen; with tied embeddings the head's rows follow. The halves of a dual-path
student are adapted separately. Source: Hu et al. 2021 (LoRA); the AS-ES paper trains all
weights."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch

from smallsteps.errors import StudentError
from smallsteps.students.student import Student
from smallsteps.students.weights import has_adapters


@dataclass(frozen=True)
class LoraSettings:
    """Size of the adapters and where they sit."""

    rank: int = 16
    alpha: int = 32
    """Adapter outputs are scaled by alpha / rank."""
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    """Names of the linear layers to adapt; empty: all linear layers but the head."""


def check_rank(rank: int, width: int | None) -> None:
    """Raises StudentError if the rank is above the model's width: such adapters have more weights
    than what they adapt. width: None if it is not known."""
    if width is not None and rank > width:
        raise StudentError(
            f"student.lora: a rank of {rank} is beyond the model's width, {width}. "
            f"Use a smaller one, for example student.lora={min(16, width)}, "
            "or 0 to train all weights."
        )


def add_lora(student: Student, settings: LoraSettings, *, seed: int = 0) -> Student:
    """Wrap the student's model in adapters, in place, and return the student. Add tokens before.

    Raises StudentError if the rank is too large or a target names no layer."""
    from peft import LoraConfig, TaskType, get_peft_model

    config = student.model.config
    width = getattr(config, "d_model", None) or getattr(config, "hidden_size", None)
    check_rank(settings.rank, width)
    task_type = (
        TaskType.SEQ_2_SEQ_LM if student.architecture == "encoder-decoder" else TaskType.CAUSAL_LM
    )
    adapters = LoraConfig(
        task_type=task_type,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets) or "all-linear",
        trainable_token_indices=_added_ids(student) or None,
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft calls transformers by a name that the latter is about to drop
        warnings.filterwarnings(
            "ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning
        )
        torch.manual_seed(seed)
        try:
            student.model = get_peft_model(student.model, adapters)
        except ValueError as error:
            raise StudentError(f"{student.name}: LoRA cannot be added: {error}") from None
    return student


def _added_ids(student: Student) -> list[int]:
    """Ids of the tokens that were added to the student, in order."""
    added = set(student.markers.values())
    if student.stop_id is not None:
        added.add(student.stop_id)
    if student.characters:
        added.update(student.characters.ids.values())
    return sorted(added)


def has_lora(student: Student) -> bool:
    """Whether the student has adapters already."""
    return has_adapters(student.model)
