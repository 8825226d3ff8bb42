"""What accelerate's config says of a training (`accelerate launch --config_file FILE`): FSDP and
mixed precision.

`accelerate launch` hands its config to the processes in their environment. It is read here, and
kept from accelerate itself, which shards no model on a CPU and would decide the precision a second
time: `sharding.py` shards, `TrainSettings.dtype` is the precision."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from smallsteps.errors import TrainingError, nearest
from smallsteps.training.settings import TrainSettings

HIDDEN = ("ACCELERATE_USE_FSDP", "ACCELERATE_MIXED_PRECISION")
"""What accelerate must not act upon."""

DTYPES = {"no": None, "bf16": "bfloat16"}
"""`mixed_precision` of accelerate's config → `dtype` of the settings; None: the settings decide."""

NO_DEEPSPEED = (
    "accelerate's config asks for DeepSpeed, which smallsteps does not use: it replaces the "
    "optimizer and the checkpoints, so that a training could not go on with another number of "
    "processes. Use FSDP (fsdp_version: 2; see docs/distributed.md) or torchrun."
)
WRAPS = ("TRANSFORMER_BASED_WRAP", "NO_WRAP")
"""What can be gathered at a time: one block of the model, or all of it."""


@dataclass(frozen=True)
class Sharding:
    """How weights are split over processes: FSDP2 as accelerate's config describes it."""

    reshard: bool = True
    """Whether a block's weights are let go after the forward pass and gathered again for the
    backward pass: less memory, more traffic."""
    by_block: bool = True
    """Whether one block of the model is gathered at a time; False: the whole model at once."""
    blocks: tuple[str, ...] = ()
    """Class names of the blocks; empty: those that the model names."""
    checkpointing: bool = False
    """Recompute activations in the backward pass."""


def sharding_of_launch() -> Sharding | None:
    """How this launch shards weights; None: every process holds them all, as a single one must.

    Raises TrainingError for what smallsteps does not do: DeepSpeed, Megatron, other kinds of
    parallelism, FSDP1, weights kept in the memory of the CPU."""
    _refuse_other_engines()
    if not _flag("ACCELERATE_USE_FSDP") or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return None
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise TrainingError(
            f"accelerate's config asks for FSDP {version}. Set fsdp_version: 2 in it."
        )
    for name, key in (
        ("FSDP_OFFLOAD_PARAMS", "fsdp_offload_params"),
        ("FSDP_ACTIVATION_CHECKPOINTING_OFFLOAD", "fsdp_activation_checkpointing_offload"),
    ):
        if _flag(name):
            raise TrainingError(
                f"accelerate's config: {key} is not supported: students are small, and the CPU "
                f"slow. Set {key}: false."
            )
    wrap = os.environ.get("FSDP_AUTO_WRAP_POLICY", WRAPS[0]).upper()
    if wrap not in WRAPS:
        raise TrainingError(
            f"accelerate's config: fsdp_auto_wrap_policy: expected one of {', '.join(WRAPS)}, got "
            f"{wrap}.{nearest(wrap, WRAPS).partition(' Known:')[0]}"
        )
    names = os.environ.get("FSDP_TRANSFORMER_CLS_TO_WRAP", "").split(",")
    return Sharding(
        reshard=_flag("FSDP_RESHARD_AFTER_FORWARD", "true"),
        by_block=wrap == WRAPS[0],
        blocks=tuple(name.strip() for name in names if name.strip()),
        checkpointing=_flag("FSDP_ACTIVATION_CHECKPOINTING"),
    )


def _refuse_other_engines() -> None:
    if _flag("ACCELERATE_USE_DEEPSPEED"):
        raise TrainingError(NO_DEEPSPEED)
    for name, what in (
        ("ACCELERATE_USE_MEGATRON_LM", "Megatron-LM"),
        ("ACCELERATE_USE_PARALLELISM_CONFIG", "a parallelism_config"),
    ):
        if _flag(name):
            raise TrainingError(
                f"accelerate's config asks for {what}, which smallsteps does not use. "
                "Use FSDP (fsdp_version: 2; see docs/distributed.md) or torchrun."
            )


def dtype_of_launch() -> str | None:
    """The precision that this launch asks for, as in `TrainSettings.dtype`; None: it does not say.
    Raises TrainingError for float16 and float8."""
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision not in DTYPES:
        raise TrainingError(
            f"accelerate's config: mixed_precision: expected one of {', '.join(DTYPES)}, got "
            f"{precision}: its range is too small, in T5 above all. Use bf16."
        )
    return DTYPES[precision]


def with_launch_dtype(settings: TrainSettings) -> TrainSettings:
    """The settings with the precision of accelerate's config, where they name none themselves.
    Raises TrainingError where both name one and differ."""
    dtype = dtype_of_launch()
    if dtype is None or settings.dtype == dtype:
        return settings
    if "dtype" in settings.model_fields_set:
        raise TrainingError(
            f"dtype is {settings.dtype}, but accelerate's config says mixed_precision: bf16. "
            "Leave dtype out, or set mixed_precision: no."
        )
    return settings.changed(dtype=dtype)


@contextmanager
def hidden_from_accelerate() -> Iterator[None]:
    """Accelerate does not see FSDP and mixed precision while the block runs."""
    before = {name: os.environ.pop(name) for name in HIDDEN if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def _flag(name: str, default: str = "false") -> bool:
    """Whether the environment says yes to `name`, in any of accelerate's ways of writing it."""
    value = os.environ.get(name, default).strip().lower()
    return value in ("1", "true", "yes", "y", "t", "on", "full_shard")
