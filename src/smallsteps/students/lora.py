"""LoRA by one setting: small trainable matrices beside frozen weights, exported merged into an
ordinary model folder.

Added tokens (markers, `<STOP>`, mapped characters) keep trainable embedding rows while the rest of
the table stays frozen; with tied embeddings the head's rows follow. Dual-path students are two
adapted models that share nothing after loading; on disk the two folders are merged and stand alone.
Source: Hu et al. 2021 (LoRA); the AS-ES paper trains all weights."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from smallsteps.errors import StudentError

if TYPE_CHECKING:
    from smallsteps.students.student import Student


@dataclass(frozen=True)
class LoraSettings:
    """What a recipe's `lora:` says."""

    rank: int = 16
    alpha: int = 32
    """The update is scaled by alpha / rank."""
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    """Names of the linear layers to adapt; empty: all linear layers but the head."""


def check_rank(rank: int, width: int | None) -> None:
    """Raises StudentError where the rank is beyond the model's width: such adapters have more
    weights than what they adapt. width: None where it is not known."""
    if width is not None and rank > width:
        raise StudentError(
            f"student.lora: a rank of {rank} is beyond the model's width, {width}. Type a smaller one, for example "
            f"student.lora={min(16, width)}, or 0 to train all weights."
        )


def add_lora(student: Student, settings: LoraSettings, *, seed: int = 0) -> Student:
    """Wraps the student's model in adapters, in place. Tokens must have been added before.

    Raises StudentError where a target names no layer.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    width = getattr(student.model.config, "d_model", None) or getattr(
        student.model.config, "hidden_size", None
    )
    check_rank(settings.rank, width)

    added = sorted(
        {*student.markers.values(), *([student.stop_id] if student.stop_id is not None else [])}
    )
    if student.characters:
        added = sorted({*added, *student.characters.ids.values()})
    task_type = (
        TaskType.SEQ_2_SEQ_LM if student.architecture == "encoder-decoder" else TaskType.CAUSAL_LM
    )
    config = LoraConfig(
        task_type=task_type,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets) or "all-linear",
        trainable_token_indices=added or None,
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft asks transformers by a name that the latter is about to drop
        warnings.filterwarnings(
            "ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning
        )
        torch.manual_seed(seed)
        try:
            student.model = get_peft_model(student.model, config)
        except ValueError as error:
            raise StudentError(f"{student.name}: LoRA cannot be added: {error}") from None
    return student


def has_lora(student: Student) -> bool:
    """Whether the student's weights have adapters already."""
    return hasattr(student.model, "merge_and_unload")


def merged(model: Any) -> Any:
    """A model without adapters whose weights hold them; `model` itself stays as it was. Returns it
    unchanged without LoRA."""
    if not hasattr(model, "merge_and_unload"):
        return model
    with warnings.catch_warnings():
        # Flan-T5: the config says tied, the weights are not; peft finds out here and corrects the
        # copy's config
        warnings.filterwarnings(
            "ignore", message="Input and output embeddings are no longer tied", category=UserWarning
        )
        return copy.deepcopy(model).merge_and_unload()
