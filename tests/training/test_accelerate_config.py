"""What accelerate's config says is followed or refused in one line."""

from __future__ import annotations

import os

import pytest
from accelerate.utils import FullyShardedDataParallelPlugin

from launched_trainings import FSDP
from smallsteps.errors import TrainingError
from smallsteps.training.accelerate_config import (
    HIDDEN,
    Sharding,
    dtype_of_launch,
    hidden_from_accelerate,
    sharding_of_launch,
    with_launch_dtype,
)
from smallsteps.training.settings import TrainSettings


@pytest.fixture
def launched(monkeypatch):
    """`launched(NAME=value)`: as `accelerate launch` with an FSDP2 config starts two processes."""
    for name in [name for name in os.environ if name.startswith(("ACCELERATE_", "FSDP_"))]:
        monkeypatch.delenv(name)

    def launch(**changes):
        for name, value in {**FSDP, "WORLD_SIZE": "2", **changes}.items():
            monkeypatch.setenv(name, value)

    return launch


def test_an_fsdp_config_is_read_as_accelerate_reads_it(launched):
    launched()
    assert sharding_of_launch() == Sharding()
    launched(
        FSDP_RESHARD_AFTER_FORWARD="false",
        FSDP_ACTIVATION_CHECKPOINTING="true",
        FSDP_TRANSFORMER_CLS_TO_WRAP="T5Block, LlamaDecoderLayer",
    )
    read, plugin = sharding_of_launch(), FullyShardedDataParallelPlugin()
    assert read.blocks == ("T5Block", "LlamaDecoderLayer")
    assert read.reshard is plugin.reshard_after_forward is False
    assert read.checkpointing is plugin.activation_checkpointing is True
    launched(FSDP_AUTO_WRAP_POLICY="NO_WRAP")
    assert not sharding_of_launch().by_block


def test_without_fsdp_or_with_one_process_nothing_is_split(launched):
    launched(WORLD_SIZE="1")
    assert sharding_of_launch() is None
    launched(ACCELERATE_USE_FSDP="false")
    assert sharding_of_launch() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"FSDP_VERSION": "1"}, r"asks for FSDP 1\. Set fsdp_version: 2 in it\."),
        ({"FSDP_OFFLOAD_PARAMS": "true"}, r"Set fsdp_offload_params: false"),
        (
            {"FSDP_AUTO_WRAP_POLICY": "SIZE_BASED_WRAP"},
            r"expected one of TRANSFORMER_BASED_WRAP, NO_WRAP, got SIZE_BASED_WRAP",
        ),
        (
            {"ACCELERATE_USE_DEEPSPEED": "true"},
            r"asks for DeepSpeed, which smallsteps does not use: it replaces the optimizer and the "
            r"checkpoints, .* processes\. Use FSDP \(fsdp_version: 2; see docs/distributed.md\) or torchrun\.$",
        ),
        ({"ACCELERATE_USE_MEGATRON_LM": "1"}, "asks for Megatron-LM"),
        ({"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}, "asks for a parallelism_config"),
    ],
)
def test_what_is_not_supported_is_refused_in_one_line(launched, changes, message):
    launched(**changes)
    with pytest.raises(TrainingError, match=message) as raised:
        sharding_of_launch()
    assert "\n" not in str(raised.value)


def test_deepspeed_is_refused_before_a_training_begins(launched, tiny, direct, task, tmp_path):
    from smallsteps.training.fit import fit

    launched(WORLD_SIZE="1", ACCELERATE_USE_FSDP="false", ACCELERATE_USE_DEEPSPEED="true")
    with pytest.raises(TrainingError, match="asks for DeepSpeed"):
        fit(tiny("t5"), direct(8), [], TrainSettings(), tmp_path / "run", task=task)
    assert not (tmp_path / "run").exists()


def test_mixed_precision_is_the_dtype_unless_the_settings_name_another(launched, monkeypatch):
    launched(ACCELERATE_MIXED_PRECISION="bf16")
    assert with_launch_dtype(TrainSettings()).dtype == "bfloat16"
    assert with_launch_dtype(TrainSettings().changed(passes=3)).dtype == "bfloat16"
    assert with_launch_dtype(TrainSettings(dtype="bfloat16")).dtype == "bfloat16"
    for explicit in (TrainSettings(dtype="float32"), TrainSettings().changed(dtype="float32")):
        with pytest.raises(
            TrainingError, match="dtype is float32, but accelerate's config says mixed_precision"
        ):
            with_launch_dtype(explicit)
    launched(ACCELERATE_MIXED_PRECISION="no")
    assert with_launch_dtype(TrainSettings(dtype="bfloat16")).dtype == "bfloat16"
    assert dtype_of_launch() is None
    for other in ("fp16", "fp8"):
        launched(ACCELERATE_MIXED_PRECISION=other)
        with pytest.raises(TrainingError, match=f"one of no, bf16, got {other}: .* Use bf16"):
            dtype_of_launch()


def test_accelerate_does_not_see_its_config_for_a_while(launched):
    launched(ACCELERATE_MIXED_PRECISION="bf16")
    before = dict(os.environ)
    with pytest.raises(KeyError), hidden_from_accelerate():
        assert not set(HIDDEN) & set(os.environ)
        raise KeyError
    assert dict(os.environ) == before
