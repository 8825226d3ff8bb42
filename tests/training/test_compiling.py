"""Compiled blocks train as the plain ones do, and leave nothing behind."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from smallsteps.errors import TrainingError
from smallsteps.students.dropout import set_dropout
from smallsteps.students.loading import load_student
from smallsteps.training import compiling
from smallsteps.training.batches import collate
from smallsteps.training.compiling import CompiledBlocks, refusal_of, require_compiler
from smallsteps.training.encode import encode
from smallsteps.training.fit import fit
from smallsteps.training.losses import SummedLoss
from smallsteps.training.settings import TrainSettings

SETTINGS = TrainSettings(
    passes=2, update_examples=8, learning_rate=1e-3, evaluations=2, micro_batch_tokens=300
)


def calm(student):
    """Without dropout, whose numbers compiled code draws in another order."""
    set_dropout(student.model, 0.0)
    return student


def test_blocks_are_compiled_only_while_they_are_in_use(tiny, monkeypatch):
    calls = []

    def stand_in(forward, dynamic):
        assert dynamic
        return lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs)

    monkeypatch.setattr(torch, "compile", stand_in)
    model = tiny("llama").model
    ids = torch.tensor([[3, 4, 5]])
    names, plain = list(model.state_dict()), model(input_ids=ids).logits
    blocks = CompiledBlocks(model)
    with blocks.in_use():
        assert torch.equal(model(input_ids=ids).logits, plain)
    assert len(calls) == len(blocks.blocks) == 2
    model(input_ids=ids)
    assert len(calls) == 2 and not any("forward" in vars(block) for block in blocks.blocks)
    with pytest.raises(KeyError), blocks.in_use():
        raise KeyError
    assert list(model.state_dict()) == names and not any(
        "forward" in vars(b) for b in blocks.blocks
    )
    copy.deepcopy(model)(input_ids=ids)
    assert len(calls) == 2


def test_a_machine_without_a_compiler_is_told_so_before_anything_is_trained(
    tiny, direct, task, tmp_path, monkeypatch
):
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    with pytest.raises(
        TrainingError, match=r"no C\+\+ compiler. Install one \(apt-get install g\+\+\), or set tr"
    ):
        fit(
            tiny("llama"),
            direct(8),
            [],
            SETTINGS.changed(compile=True),
            tmp_path / "run",
            task=task,
        )
    assert not list((tmp_path / "run").glob("*checkpoint*"))


def test_a_compiler_may_be_named_by_the_environment(monkeypatch):
    monkeypatch.setattr(compiling.shutil, "which", lambda name: name if name == "mine" else None)
    monkeypatch.setenv("CXX", "mine")
    require_compiler()


def test_a_model_without_blocks_is_refused():
    with pytest.raises(TrainingError, match=r"does not name its blocks\. Set train.compile=fal"):
        CompiledBlocks(nn.Linear(2, 2))


def test_errors_of_the_compiler_are_one_line_and_others_stay():
    error = torch._dynamo.exc.TorchDynamoException("C++ compile error\n\nCommand:\ng++ -x")
    assert str(refusal_of(error)) == (
        "train.compile: torch could not compile the student: C++ compile error. "
        "Set train.compile=false."
    )
    assert refusal_of(RuntimeError("shapes differ")) is None
    assert refusal_of(torch._dynamo.exc.TorchDynamoException("CUDA out of memory")) is None


@pytest.mark.parametrize(
    ("style", "checkpointing"),
    [pytest.param("t5", False, marks=pytest.mark.slow), ("llama", True)],
)
def test_traced_blocks_have_the_losses_and_gradients_of_plain_ones(
    tiny, direct, task, style, checkpointing, monkeypatch
):
    """What torch traces, without the C++ that it makes of it; one form for all lengths."""
    compiled = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda forward, dynamic: compiled(forward, backend="aot_eager")
    )
    counters.clear()
    student = calm(tiny(style))
    student.model.to(torch.float64).train()
    if checkpointing:
        student.model.activation_checkpointing_enable({"use_reentrant": False})
    loss_model = SummedLoss(student.model)
    blocks = CompiledBlocks(loss_model)
    rows = encode(student, task, direct(8))
    for some in (rows[:5], rows[5:7]):
        found = []
        for context in (nullcontext(), blocks.in_use()):
            loss_model.zero_grad()
            with context:
                loss = loss_model(collate(some, student.start_id))
                loss.backward()
            grads = [p.grad.clone() for p in loss_model.parameters() if p.grad is not None]
            found.append([loss, *grads])
        for plain, traced in zip(*found, strict=True):
            torch.testing.assert_close(traced, plain)
    calls = counters["stats"]["calls_captured"]
    assert calls > 50, "the inside of blocks, not their shells"
    assert any(b.gradient_checkpointing for b in blocks.blocks) is checkpointing


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch uses it itself
def test_a_compiled_training_has_the_losses_of_a_plain_one(tiny, direct, task, tmp_path):
    curves, students = {}, {}
    for name in ("plain", "compiled"):
        student = calm(tiny("llama", talkative=1.0))
        settings = SETTINGS.changed(compile=name == "compiled")
        result = fit(student, direct(24), direct(6, 1, "v"), settings, tmp_path / name, task=task)
        curves[name], students[name] = result.curves, load_student(result.folder(), device="cpu")
        assert not any("forward" in vars(module) for module in student.model.modules())
    for plain, compiled in zip(curves["plain"], curves["compiled"], strict=True):
        assert compiled["train_loss"] == pytest.approx(plain["train_loss"], rel=1e-4)
    theirs = students["compiled"].model.state_dict()
    for key, value in students["plain"].model.state_dict().items():
        torch.testing.assert_close(theirs[key], value, rtol=1e-3, atol=1e-4)
