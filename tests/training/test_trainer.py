"""One update: memory that runs out, losses that are no number, and what a checkpoint holds."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from interrupted import Killed, assert_identical, stop_in, weights
from smallsteps.errors import TrainingError
from smallsteps.students.loading import load_student
from smallsteps.training import fit as fit_module
from smallsteps.training import gradient as gradient_module
from smallsteps.training import trainer as trainer_module
from smallsteps.training.batches import collate
from smallsteps.training.fit import Training, fit
from smallsteps.training.gradient import Accumulator
from smallsteps.training.losses import SummedLoss
from smallsteps.training.preflight import preflight
from smallsteps.training.settings import TrainSettings

SETTINGS = TrainSettings(
    passes=4, update_examples=8, learning_rate=3e-3, evaluations=4, micro_batch_tokens=300
)
"""24 examples: 12 updates, evaluated after 3, 6, 9 and 12."""


def test_out_of_memory_halves_the_micro_batches_and_redoes_the_update(
    tiny, direct, task, tmp_path, monkeypatch
):
    """Without dropout the weights are those of a run that had the smaller micro-batches from the
    start."""
    found = {}
    forward = SummedLoss.forward
    for name, tokens in (("short", 600), ("small", 300)):
        student = tiny("t5")
        for module in student.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0

        def limited(self, batch):
            if batch.padded_tokens > 300:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return forward(self, batch)

        with monkeypatch.context() as patch:
            patch.setattr(SummedLoss, "forward", limited)
            settings = SETTINGS.changed(micro_batch_tokens=tokens)
            result = fit(
                student, direct(24), direct(6, 1, "v"), settings, tmp_path / name, task=task
            )
        assert result.micro_batch_tokens == 300
        found[name] = weights(student)
    assert_identical(found["short"], found["small"])


def test_out_of_memory_with_one_sequence_says_what_to_do(tiny, direct, task, tmp_path, monkeypatch):
    def never(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(SummedLoss, "forward", never)
    with pytest.raises(
        TrainingError, match=r"out of memory with a single sequence of \d+ tokens. Set gradient_ch"
    ):
        fit(tiny("t5"), direct(24), [], SETTINGS, tmp_path / "run", task=task)


def test_other_errors_are_not_taken_for_missing_memory(tiny, direct, task, tmp_path, monkeypatch):
    def broken(self, batch):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(SummedLoss, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        fit(tiny("t5"), direct(24), [], SETTINGS, tmp_path / "run", task=task)


def test_a_loss_that_is_no_number_stops_before_the_weights_are_touched(
    tiny, direct, task, tmp_path
):
    student = tiny("t5")
    with torch.no_grad():
        student.model.get_output_embeddings().weight[5, 0] = float("inf")
    with pytest.raises(TrainingError, match=r"update 1: the loss is nan. Lower learning_rate"):
        fit(student, direct(24), [], SETTINGS, tmp_path / "run", task=task)


def test_the_checkpoint_holds_the_weights_of_its_update_and_its_validation_loss(
    tiny, direct, task, tmp_path
):
    validation = direct(6, 1, "v")
    result = fit(
        tiny("t5", talkative=1.0), direct(24), validation, SETTINGS, tmp_path / "run", task=task
    )
    student = load_student(result.folders["validation_loss"], device="cpu")
    rows = preflight(student, direct(24), validation, SETTINGS, task).validation
    with torch.no_grad():
        total = SummedLoss(student.model.eval())(collate(rows, student.start_id))
    mean = total.item() / sum(row.loss_tokens for row in rows)
    assert mean == pytest.approx(result.selections["validation_loss"].value, rel=1e-5)


def test_bfloat16_keeps_float32_weights_and_learns(tiny, direct, task, tmp_path):
    student = tiny("t5", talkative=1.0)
    student.model.to(torch.bfloat16)
    settings = SETTINGS.changed(dtype="bfloat16", gradient_checkpointing=True)
    result = fit(student, direct(24), direct(6, 1, "v"), settings, tmp_path / "run", task=task)
    assert {p.dtype for p in student.model.parameters()} == {torch.float32}
    assert result.curves[-1]["train_loss"] < result.curves[0]["train_loss"]


def test_beside_a_device_that_works_on_by_itself_the_training_is_the_same(
    tiny, direct, task, tmp_path, monkeypatch
):
    """Losses are read one update late there, and tensors made one update ahead: no row is lost or
    out of order, evaluations have the loss of their own update, and a killed training goes on."""

    def run(out, seen):
        student = tiny("t5", talkative=1.0)
        result = fit(
            student,
            direct(24),
            direct(6, 1, "v"),
            SETTINGS,
            tmp_path / out,
            task=task,
            progress=lambda done, total, row: seen.append((done, row["update"])),
        )
        rows = [{k: v for k, v in row.items() if "seconds" not in k} for row in result.curves]
        return rows, weights(student)

    seen = [], [], []
    rows, straight = run("straight", seen[0])
    for module in (trainer_module, gradient_module):
        monkeypatch.setattr(module, "is_asynchronous", lambda device: True)
    late_rows, late = run("late", seen[1])
    assert late_rows == rows and seen[1] == seen[0] == [(n, n) for n in range(1, 13)]
    assert_identical(late, straight)
    with monkeypatch.context() as patch:
        stop_in(patch, "training_step", 8)
        with pytest.raises(Killed):
            run("stopped", seen[2])
    assert seen[2] == [(n, n) for n in range(1, 7)], "7 is not read yet"
    rows_after, resumed = run("stopped", [])
    assert rows_after == rows
    assert_identical(resumed, straight)


def test_a_loss_that_is_no_number_is_never_written_where_losses_are_read_late(
    tiny, direct, task, tmp_path, monkeypatch
):
    monkeypatch.setattr(trainer_module, "is_asynchronous", lambda device: True)
    forward, calls = SummedLoss.forward, []

    def broken(self, batch):
        calls.append(torch.is_grad_enabled())
        return forward(self, batch) * (float("nan") if sum(calls) > 40 else 1.0)

    monkeypatch.setattr(SummedLoss, "forward", broken)
    settings = SETTINGS.changed(micro_batch_tokens=100)
    seen = []
    with pytest.raises(TrainingError, match=r"update \d+: the loss is nan"):
        fit(
            tiny("t5"),
            direct(24),
            [],
            settings,
            tmp_path / "run",
            task=task,
            progress=lambda done, total, row: seen.append(row["train_loss"]),
        )
    assert seen and all(loss == loss for loss in seen)
    for folder in (tmp_path / "run").glob("c*-*"):
        for file in folder.glob("*.safetensors"):
            assert all(value.isfinite().all() for value in load_file(file).values())


@pytest.mark.parametrize(("device", "tokens"), [("cpu", 64), ("cuda", 300)])
def test_micro_batches_stay_small_on_the_device_where_memory_ran_out(
    tiny, direct, task, tmp_path, monkeypatch, device, tokens
):
    training = Training(tiny("t5"), direct(24), [], SETTINGS, tmp_path / "run", task=task)
    training.go_on(3)
    read = fit_module.read_state
    halved = {"device": device, "micro_batch_tokens": 64}
    monkeypatch.setattr(fit_module, "read_state", lambda checkpoint: {**read(checkpoint), **halved})
    sizes = []
    init = Accumulator.__init__

    def noted(self, updates, loss_model, size, *further):
        sizes.append(size.tokens)
        init(self, updates, loss_model, size, *further)

    monkeypatch.setattr(Accumulator, "__init__", noted)
    training.go_on(6)
    assert sizes == [tokens]
