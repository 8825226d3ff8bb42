"""Weights in shards: two processes end with the weights of one, for both architectures, and what a
killed pair leaves goes on in any number of processes."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn
from torch.distributed.tensor import DTensor

from interrupted import Killed, assert_identical, stop_in, weights
from launched_trainings import (
    FSDP,
    calm,
    command,
    describe,
    documented_config,
    environment,
    launch,
    train,
)
from smallsteps.errors import TrainingError
from smallsteps.students.loading import load_student
from smallsteps.training import fit as fit_module
from smallsteps.training.accelerate_config import Sharding
from smallsteps.training.batches import collate
from smallsteps.training.compiling import CompiledBlocks
from smallsteps.training.losses import SummedLoss
from smallsteps.training.preflight import preflight
from smallsteps.training.settings import TrainSettings
from smallsteps.training.sharding import (
    Shards,
    load_optimizer_state,
    shard_module,
    whole_optimizer_state,
    whole_weights,
)

SETTINGS = {
    "passes": 2,
    "update_examples": 8,
    "evaluations": 2,
    "learning_rate": 1e-4,
    "micro_batch_tokens": 200,
}
FIT = {
    "t5": {"student": "t5"},
    "llama": {"student": "llama"},
    "lora": {"student": "llama", "lora": True},
    "t5-triplet": {"student": "t5", "contrast": {}},
    "llama-dpo": {"student": "llama", "contrast": {"contrast": "dpo", "prompt_weight": 0.1}},
}
BFLOAT16 = {
    "t5-bf16": {"student": "t5"},
    "llama-bf16": {"student": "llama"},
}
STEPS = {"steps": 3, "prompts": 3, "samples": 3, "learning_rate": 1e-3, "evaluations": 2}
REINFORCE = {
    "t5-rloo": {"student": "t5", "reinforce": {**STEPS, "kl_limit": 1e6}},
    "llama-ppo": {
        "student": "llama",
        "reinforce": {**STEPS, "estimator": "ppo", "epochs": 2, "kl_limit": 1e6},
    },
}


@pytest.fixture
def described(tiny, direct, tmp_path):
    """A folder with the trainings of FIT and REINFORCE."""
    students = {"t5": calm(tiny("t5-scaled", talkative=1.0)), "llama": calm(tiny("llama"))}
    cases = {
        name: {"settings": SETTINGS, "examples": direct(30), **case}
        for name, case in {**FIT, **BFLOAT16, **REINFORCE}.items()
    }
    describe(tmp_path, cases, students)
    return tmp_path


def last_weights(folder, name, run, rank=0):
    return load_file(folder / f"{name}-{run}-{rank}.safetensors")


def assert_near(one, other, rtol=1e-3, atol=3e-5):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=rtol, atol=atol, msg=name)


def test_two_processes_with_shards_end_with_the_weights_of_one(described):
    launch(described, "two", *FIT, **FSDP)
    for name in FIT:
        one, ours = train(described, name, "one")
        two, _ = train(described, name, "two")  # finished: read back
        assert (one.processes, two.processes) == (1, 2)
        for row, other in zip(one.curves, two.curves, strict=True):
            assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4), name
            assert row.get("metric") == other.get("metric"), name
        for rank in (0, 1):
            assert_near(ours, last_weights(described, name, "two", rank))


@pytest.mark.slow
def test_in_bfloat16_shards_learn_what_one_process_learns(described, monkeypatch):
    """Up to the rounding of weights: in shards, those of norms are rounded too."""
    mixed = {"ACCELERATE_MIXED_PRECISION": "bf16", "FSDP_ACTIVATION_CHECKPOINTING": "true"}
    launch(described, "two", *BFLOAT16, **FSDP, **mixed)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    for name, case in BFLOAT16.items():
        one, ours = train(described, name, "one")
        two, _ = train(described, name, "two")  # finished: read back
        for row, other in zip(one.curves, two.curves, strict=True):
            assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-2), name
        theirs = last_weights(described, name, "two")
        start = dict(
            load_student(described / case["student"], device="cpu").model.named_parameters()
        )
        change = sum(float((ours[key] - start[key].detach()).abs().sum()) for key in ours)
        difference = sum(float((ours[key] - theirs[key]).abs().sum()) for key in ours)
        assert 0 < difference < 0.3 * change, name
        assert {value.dtype for value in theirs.values()} == {torch.float32}


def test_two_processes_that_learn_from_rewards_end_with_the_weights_of_one(described):
    """By accelerate and the config of the documentation."""
    launch(described, "two", *REINFORCE, config=documented_config(described))
    compare_with_one(described)


@pytest.mark.slow
def test_without_shards_they_do_too(described):
    launch(described, "two", *REINFORCE)
    compare_with_one(described)


def compare_with_one(described):
    for name in REINFORCE:
        one, ours = train(described, name, "one")
        two, _ = train(described, name, "two")  # finished: read back
        assert (one.best, one.start, one.steps) == (two.best, two.start, 3)
        for row, other in zip(one.curves, two.curves, strict=True):
            figures = {key: value for key, value in row.items() if "seconds" not in key}
            theirs = {key: other[key] for key in figures}
            assert figures == pytest.approx(theirs, rel=1e-3, abs=1e-5), name
        for rank in (0, 1):
            assert_near(ours, last_weights(described, name, "two", rank))


def kill_at(folder, run, line, *names):
    """Starts the trainings in two processes with shards and kills all when one says `line`."""
    running = subprocess.Popen(
        command(folder, run, *names),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(**FSDP),
        start_new_session=True,
    )
    assert running.stdout is not None
    assert any(said.startswith(line) for said in running.stdout)
    workers = subprocess.run(
        ["pgrep", "-P", str(running.pid)], capture_output=True, text=True
    ).stdout.split()
    for process in (running.pid, *map(int, workers)):
        os.kill(process, signal.SIGKILL)
    running.wait()
    running.stdout.close()


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("name", "line"), [("t5", "done t5 5"), ("llama-ppo", "done llama-ppo 2")])
def test_a_killed_launch_goes_on_to_the_same_weights_in_any_number_of_processes(
    described, name, line
):
    launch(described, "straight", name, **FSDP)
    kill_at(described, "killed", line, name)
    assert list((described / f"{name}-killed").glob("checkpoint-*"))
    assert not (described / f"{name}-killed/result.json").exists()
    shutil.copytree(described / f"{name}-killed", described / f"{name}-alone")
    shutil.copytree(described / f"{name}-killed", described / f"{name}-plain")
    straight = last_weights(described, name, "straight")
    launch(described, "killed", name, **FSDP)
    assert_identical(last_weights(described, name, "killed"), straight)
    _, alone = train(described, name, "alone")
    assert_near(alone, straight)
    launch(described, "plain", name)
    assert_near(last_weights(described, name, "plain"), straight)


@pytest.fixture
def group(tmp_path):
    """A process group of one."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("style", ["t5", "t5-scaled", "llama", "qwen"])
def test_the_plain_model_is_empty_while_its_twin_has_the_weights(tiny, group, style):
    student = tiny(style)
    before = weights(student)
    head = student.model.get_output_embeddings()
    shards = Shards(student.model)
    outer = SummedLoss(shards.twin)
    shards.split(outer, Sharding(), torch.float32)
    assert all(weight.numel() == 0 for weight in student.model.parameters())
    assert all(isinstance(weight, DTensor) for weight in outer.parameters())
    with whole_weights(student.model), whole_weights(head):
        assert_identical(weights(student), before)
    assert all(weight.numel() == 0 for weight in student.model.parameters())
    with shards.whole():
        with torch.no_grad():
            for weight in student.model.parameters():
                weight += 1.0
        shards.take()
    shards.join()
    assert_identical(weights(student), {name: value + 1.0 for name, value in before.items()})
    assert student.model.get_output_embeddings() is head, "the model is the one it was"
    with whole_weights(student.model):
        pass
    assert all(weight.numel() for weight in student.model.parameters())


def test_weights_outside_of_a_training_are_whole_anyway():
    model = nn.Linear(2, 3)
    with whole_weights(model):
        assert model.weight.numel() == 6


@pytest.mark.parametrize(
    ("style", "sharding"),
    [
        ("t5", Sharding()),
        ("llama", Sharding()),
        ("t5", Sharding(by_block=False)),
        ("llama", Sharding(reshard=False, blocks=("LlamaDecoderLayer",))),
    ],
)
def test_losses_and_gradients_in_shards_are_those_of_the_whole_model(
    tiny, direct, task, group, style, sharding
):
    student = calm(tiny(style))
    rows = preflight(student, direct(6), [], TrainSettings(), task).train
    batch = collate(rows, student.start_id)
    plain = SummedLoss(copy.deepcopy(student.model))
    plain(batch).backward()
    outer = SummedLoss(student.model, head_elements=2000)  # the head in slices, computed again
    shard_module(outer, sharding, torch.float32)
    for _ in range(2):  # two micro-batches
        outer(batch).backward()
    for (name, ours), (_, theirs) in zip(
        outer.named_parameters(), plain.named_parameters(), strict=True
    ):
        error = (ours.grad.full_tensor() - 2 * theirs.grad).abs().max()
        assert error <= 1e-5 * theirs.grad.abs().max(), name


def test_compiled_blocks_in_shards_have_the_gradients_of_the_whole_model(
    tiny, direct, task, group, monkeypatch
):
    """What torch traces; hooks that gather weights stay outside."""
    compiled = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda forward, dynamic: compiled(forward, backend="aot_eager")
    )
    student = calm(tiny("llama"))
    rows = preflight(student, direct(6), [], TrainSettings(), task).train
    batch = collate(rows, student.start_id)
    plain = SummedLoss(copy.deepcopy(student.model))
    plain(batch).backward()
    outer = SummedLoss(student.model)
    blocks = CompiledBlocks(outer)
    shard_module(outer, Sharding(), torch.float32)
    for _ in range(2):
        with blocks.in_use():
            outer(batch).backward()
    for (name, ours), (_, theirs) in zip(
        outer.named_parameters(), plain.named_parameters(), strict=True
    ):
        error = (ours.grad.full_tensor() - 2 * theirs.grad).abs().max()
        assert error <= 1e-5 * theirs.grad.abs().max(), name


def test_an_optimizer_state_goes_from_shards_to_a_whole_model_and_back(tiny, group):
    student = tiny("t5")
    whole = copy.deepcopy(student.model)
    shard_module(student.model, Sharding(), torch.float32)
    states = []
    for model in (student.model, whole):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        for weight in model.parameters():
            weight.grad = torch.ones_like(weight)
        optimizer.step()
        states.append(copy.deepcopy(whole_optimizer_state(optimizer)))
        # a further step from the other's state is the same for both
        load_optimizer_state(optimizer, copy.deepcopy(states[0]))
        optimizer.step()
    for row, other in zip(states[0]["state"].values(), states[1]["state"].values(), strict=True):
        for name, value in row.items():
            assert not isinstance(value, DTensor)
            torch.testing.assert_close(value, other[name])
    for weight, other in zip(student.model.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(weight.full_tensor(), other)


def test_blocks_that_the_student_does_not_have_are_named(tiny, group):
    with pytest.raises(TrainingError, match="the student has no module LlamaDecoderLayer"):
        shard_module(tiny("t5").model, Sharding(blocks=("LlamaDecoderLayer",)), torch.float32)


FAST = TrainSettings(passes=4, update_examples=8, learning_rate=3e-3, evaluations=4)


@pytest.fixture
def sharded_fit(tiny, direct, task, group, monkeypatch):
    """`sharded_fit(style, out, checkpointing=False)`: `fit` in one process with shards. Returns the
    student."""

    def run(style, out, checkpointing=False):
        sharding = Sharding(checkpointing=checkpointing)
        monkeypatch.setattr(fit_module, "sharding_of_launch", lambda: sharding)
        student = tiny(style)
        fit_module.fit(student, direct(24), direct(6, 1, "v"), FAST, out, task=task)
        return student

    return run


@pytest.mark.parametrize(("style", "checkpointing"), [("t5", True), ("llama", False)])
def test_stopped_between_two_checkpoints_it_goes_on_to_the_same_weights(
    sharded_fit, tmp_path, monkeypatch, style, checkpointing
):
    straight = sharded_fit(style, tmp_path / "straight", checkpointing)
    with monkeypatch.context() as patch:
        stop_in(patch, "training_step", 8)
        with pytest.raises(Killed):
            sharded_fit(style, tmp_path / "stopped", checkpointing)
    resumed = sharded_fit(style, tmp_path / "stopped", checkpointing)
    assert_identical(weights(resumed), weights(straight))


def test_memory_that_runs_out_is_one_line_since_others_wait(sharded_fit, tmp_path, monkeypatch):
    def never(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(SummedLoss, "forward", never)
    with pytest.raises(
        TrainingError, match=r"out of memory in update 1\. .* lower micro_batch_tokens \(4096\)"
    ):
        sharded_fit("t5", tmp_path / "run")
