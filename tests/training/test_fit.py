"""Training that can be stopped anywhere, split anyhow, and ends with the same weights."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file

from interrupted import Killed, assert_identical, stop_in, weights
from launched_processes import in_processes
from smallsteps.errors import RunFolderError
from smallsteps.students.loading import load_student
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.students.tokens import prepare
from smallsteps.training import checkpoints
from smallsteps.training import fit as fit_module
from smallsteps.training import trainer as trainer_module
from smallsteps.training.fit import Training, fit
from smallsteps.training.settings import TrainSettings
from smallsteps.training.trainer import UpdateTrainer

SETTINGS = TrainSettings(
    passes=4, update_examples=8, learning_rate=3e-3, evaluations=4, micro_batch_tokens=300
)
"""24 examples: 12 updates, evaluated after 3, 6, 9 and 12."""


STRAIGHT = {}
"""The run that is never stopped, made once."""


def test_training_lowers_the_losses_and_keeps_the_best_checkpoints(tiny, direct, task, tmp_path):
    seen, told = [], []
    figures = iter([3.0, 7.0, 5.0, 7.0])
    result = fit(
        tiny("t5", talkative=1.0),
        direct(24),
        direct(6, 1, "v"),
        SETTINGS,
        tmp_path / "run",
        task=task,
        metric=lambda student: next(figures),
        bleu=lambda student: float("nan"),
        progress=lambda done, total, row: seen.append((done, total)),
        announce=lambda report: told.append(report),
    )
    assert seen == [(i, 12) for i in range(1, 13)]
    assert told[0].updates == result.updates == len(result.curves) == 12
    assert result.curves[-1]["tokens"] == result.train_tokens == told[0].planned_tokens
    assert result.curves[-1]["train_loss"] < result.curves[0]["train_loss"]
    assert [row["update"] for row in result.curves if "validation_loss" in row] == [3, 6, 9, 12]
    assert (result.selections["metric"].update, result.selections["metric"].value) == (
        6,
        7.0,
    )  # of equals the first
    assert "bleu" not in result.selections  # NaN is never best
    lowest = min(
        (row for row in result.curves if "validation_loss" in row),
        key=lambda row: row["validation_loss"],
    )
    assert result.selections["validation_loss"].update == lowest["update"]
    assert result.folder() == result.folders["metric"]
    assert result.folder("validation_loss", "metric") == result.folders["validation_loss"]
    kept = {path.name for path in (tmp_path / "run").iterdir() if path.is_dir()}
    assert kept == {chosen.folder for chosen in result.selections.values()}
    assert json.loads((tmp_path / "run/curves.jsonl").read_text().splitlines()[2])["update"] == 3


def test_same_seed_same_weights_and_the_callers_random_state_is_left_alone(
    tiny, direct, task, tmp_path
):
    found = []
    for name in ("a", "b"):
        student = tiny("t5")
        torch.manual_seed(5)
        before = torch.get_rng_state()
        fit(student, direct(24), [], SETTINGS, tmp_path / name, task=task)
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(7)
        found.append(weights(student))
    assert_identical(*found)
    other = tiny("t5")
    fit(other, direct(24), [], SETTINGS, tmp_path / "c", task=task, seed=1)
    assert not torch.equal(weights(other)["shared.weight"], found[0]["shared.weight"])


@pytest.mark.parametrize("rank", [0, 2])
def test_two_trainings_in_turn_end_with_the_weights_that_each_has_alone(
    tiny, direct, chains, task, tmp_path, rank
):
    def begin(style, examples, place):
        student = prepare(tiny(style), task, path="uni")
        if rank:
            add_lora(student, LoraSettings(rank=rank, alpha=rank), seed=0)
        return Training(student, examples, [], SETTINGS, tmp_path / place, task=task)

    data = {"t5": direct(24), "qwen": chains(24)}
    alone = {style: begin(style, data[style], f"{style}-alone") for style in data}
    for training in alone.values():
        training.go_on()
        training.finish()
    turns = {style: begin(style, data[style], f"{style}-turns") for style in data}
    for end in turns["t5"].plan.marks(SETTINGS.evaluations):
        for training in turns.values():
            training.go_on(end)
            assert training.update == end and training.result is None
    for style, training in turns.items():
        assert_identical(weights(training.student), weights(alone[style].student))
        own, other = training.finish(), alone[style].result
        assert own.selections == other.selections and own.updates == 12
        assert [row["train_loss"] for row in own.curves] == [
            row["train_loss"] for row in other.curves
        ]


def test_a_training_that_went_further_gives_its_student_the_weights_of_its_checkpoint(
    tiny, direct, task, tmp_path
):
    def begin():
        return Training(tiny("t5"), direct(24), [], SETTINGS, tmp_path / "run", task=task)

    first = begin()
    first.go_on(6)
    again = begin()
    again.go_on(6)  # as after a kill between the two halves of a pair
    assert_identical(weights(first.student), weights(again.student))


@pytest.mark.parametrize(
    ("name", "at", "owner", "before"),
    [
        ("training_step", 2, UpdateTrainer, False),  # before the first checkpoint
        ("training_step", 5, UpdateTrainer, False),  # between two
        ("evaluate", 2, UpdateTrainer, False),  # a candidate without its checkpoint
        ("_write_weights", 2, UpdateTrainer, False),  # a torn checkpoint
        ("complete", 3, trainer_module, True),  # everything but the marker of a candidate
        ("complete", 4, trainer_module, False),  # a whole checkpoint, what it replaces still there
        ("tidy", 2, trainer_module, False),  # a checkpoint whose predecessor is still there
        ("write_result", 1, fit_module, True),
        ("write_result", 1, fit_module, False),  # result there, checkpoints not yet deleted
    ],
)
def test_stopped_anywhere_it_goes_on_to_the_same_weights_curves_and_choice(
    tiny, direct, task, tmp_path, tmp_path_factory, monkeypatch, name, at, owner, before
):
    def run(out):
        return fit(
            tiny("t5", talkative=1.0),
            direct(24),
            direct(6, 1, "v"),
            SETTINGS,
            out,
            task=task,
            metric=lambda s: float(next(s.model.parameters()).detach().sum()),
        )

    if "run" not in STRAIGHT:
        STRAIGHT["run"] = run(tmp_path_factory.mktemp("straight"))
    straight = STRAIGHT["run"]
    with monkeypatch.context() as patch:
        stop_in(patch, name, at, owner, before)
        with pytest.raises(Killed):
            run(tmp_path / "stopped")
    resumed = run(tmp_path / "stopped")
    assert resumed.selections == straight.selections
    strip = [{k: v for k, v in row.items() if "seconds" not in k} for row in resumed.curves]
    assert strip == [
        {k: v for k, v in row.items() if "seconds" not in k} for row in straight.curves
    ]
    for criterion, folder in straight.folders.items():
        assert_identical(
            load_file(folder / "model.safetensors"),
            load_file(resumed.folders[criterion] / "model.safetensors"),
        )
    folders = (straight.folder().parent, tmp_path / "stopped")
    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert names[0] == names[1]


@pytest.mark.parametrize("style", ["t5", "qwen"])
def test_the_last_weights_after_a_resume_are_bit_identical(
    tiny, direct, chains, task, tmp_path, monkeypatch, style
):
    def run(out):
        student = tiny(style) if style == "t5" else prepare(tiny(style), task, path="uni")
        fit(student, direct(24) if style == "t5" else chains(24), [], SETTINGS, out, task=task)
        return weights(student)

    straight = run(tmp_path / "straight")
    with monkeypatch.context() as patch:
        stop_in(patch, "training_step", 8)
        with pytest.raises(Killed):
            run(tmp_path / "stopped")
    assert_identical(run(tmp_path / "stopped"), straight)


def here(folder, examples, options, out, task, **more):
    student = load_student(folder / "student", device="cpu")
    settings = TrainSettings(**options)
    return fit(student, examples[6:], examples[:6], settings, folder / out, task=task, **more)


def test_kill_9_then_the_same_again_ends_with_the_same_files(tiny, direct, task, tmp_path):
    options = {"passes": 12, "update_examples": 8, "evaluations": 9, "learning_rate": 3e-3}
    examples = direct(30)
    tiny("t5-scaled", talkative=1.0).save(tmp_path / "student")
    reader, writer = os.pipe()
    running = os.fork()
    if running == 0:
        tell = {"progress": lambda done, total, row: os.write(writer, f"update {done}\n".encode())}
        try:
            here(tmp_path, examples, options, "killed", task, **tell)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert any(line.startswith("update 15") for line in lines)
        os.kill(running, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(running, 0)[1]) == -signal.SIGKILL
    assert checkpoints.latest_checkpoint(tmp_path / "killed") is not None
    assert not (tmp_path / "killed/result.json").exists()
    resumed = here(tmp_path, examples, options, "killed", task)
    whole = here(tmp_path, examples, options, "whole", task)
    assert resumed.selections == whole.selections
    for criterion, folder in whole.folders.items():
        assert_identical(
            load_file(folder / "model.safetensors"),
            load_file(resumed.folders[criterion] / "model.safetensors"),
        )


def test_two_processes_end_with_the_weights_of_one(tiny, direct, task, tmp_path):
    """Without dropout, whose draws follow the split, and with calm weights, where rounding does not
    grow."""
    student = tiny("t5-scaled", talkative=1.0)
    student.model.config.dropout_rate = 0.0
    with torch.no_grad():
        for parameter in student.model.parameters():
            if parameter.dim() > 1:
                parameter *= 0.3
    options = {
        "passes": 3,
        "update_examples": 8,
        "evaluations": 2,
        "learning_rate": 1e-4,
        "micro_batch_tokens": 200,
    }
    examples = direct(30)
    student.save(tmp_path / "student")

    def work(rank):
        return here(tmp_path, examples, options, "two", task).processes

    assert in_processes(work) == [2, 2]
    one = here(tmp_path, examples, options, "one", task)
    two = here(tmp_path, examples, options, "two", task)  # finished: read back
    assert (one.processes, two.processes) == (1, 2)
    for row, other in zip(one.curves, two.curves, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
        assert row["tokens"] == other["tokens"]
    best = "validation_loss"
    assert one.selections[best].update == two.selections[best].update
    assert one.selections[best].value == pytest.approx(two.selections[best].value, rel=1e-4)
    pair = [load_file(result.folders[best] / "model.safetensors") for result in (one, two)]
    for name, value in pair[0].items():
        torch.testing.assert_close(value, pair[1][name], rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def finished(tiny, direct, task, tmp_path_factory):
    """(folder, result) of a training that nothing disturbs. Nobody writes into it."""
    out = tmp_path_factory.mktemp("finished") / "run"
    return out, fit(tiny("t5"), direct(24), [], SETTINGS, out, task=task)


@pytest.fixture(scope="module")
def killed_at_the_end(tiny, direct, task, tmp_path_factory):
    """The folder of a training that was killed before it could say that it was over."""
    out = tmp_path_factory.mktemp("killed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("smallsteps.training.fit_result.finish", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(tiny("t5"), direct(24), [], SETTINGS, out, task=task)
    return out


def test_a_folder_of_other_settings_is_refused_and_left_as_it_was(
    tiny, direct, task, finished, tmp_path
):
    shutil.copytree(finished[0], tmp_path / "run")
    before = sorted(p.name for p in (tmp_path / "run").rglob("*"))
    for settings, seed in ((SETTINGS.changed(learning_rate=1e-4), 0), (SETTINGS, 1)):
        with pytest.raises(
            RunFolderError, match="holds training with other settings, examples or student"
        ):
            fit(tiny("t5", seed), direct(24), [], settings, tmp_path / "run", task=task)
    assert sorted(p.name for p in (tmp_path / "run").rglob("*")) == before


def test_a_finished_folder_answers_at_once(tiny, direct, task, finished, monkeypatch):
    out, first = finished
    monkeypatch.setattr(UpdateTrainer, "train", None)
    assert fit(tiny("t5"), direct(24), [], SETTINGS, out, task=task) == first


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix == ".safetensors"
    }


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        (
            "candidate-*/model.safetensors",
            lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
        ),
        ("candidate-*/config.json", lambda path: path.unlink()),
        ("candidate-*", shutil.rmtree),
        ("result.json", lambda path: path.write_text(path.read_text()[:40])),
        ("curves.jsonl", lambda path: path.write_text(path.read_text().replace("1", "2", 1))),
        ("COMPLETE", lambda path: path.write_bytes(b"\xff")),
    ],
)
def test_a_damaged_finished_folder_is_named_and_trained_again(
    tiny, direct, task, finished, tmp_path, file, spoil
):
    undisturbed, first = finished
    out = shutil.copytree(undisturbed, tmp_path / "run")
    spoil(next(out.glob(file)))
    said = []
    second = fit(tiny("t5"), direct(24), [], SETTINGS, out, task=task, say=said.append)
    assert (second.selections, contents(out)) == (first.selections, contents(undisturbed))
    assert len(said) == 1
    assert re.search(
        rf"{file.split('/')[-1].strip('*')}.*: damaged; this training starts again", said[0]
    )


def test_damage_that_nobody_listens_for_is_a_warning(tiny, direct, task, finished, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    (out / "COMPLETE").write_bytes(b"\xff")
    with pytest.warns(UserWarning, match="damaged; this training starts again"):
        fit(tiny("t5"), direct(24), [], SETTINGS, out, task=task)


@pytest.mark.parametrize(
    "file",
    [
        "checkpoint-*/weights.safetensors",
        "checkpoint-*/optimizer.pt",
        "checkpoint-*/training_state.json",
        "candidate-*/model.safetensors",
        "candidate-*/COMPLETE",
        "candidate-*",
    ],
)
def test_training_does_not_go_on_from_what_was_damaged(
    tiny, direct, task, finished, killed_at_the_end, tmp_path, file
):
    undisturbed, whole = finished
    out = shutil.copytree(killed_at_the_end, tmp_path / "run")
    for path in out.glob(file):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.write_bytes(path.read_bytes()[:-2])
    said = []
    resumed = fit(tiny("t5"), direct(24), [], SETTINGS, out, task=task, say=said.append)
    assert "damaged; this training starts again" in said[0]
    assert resumed.selections == whole.selections
    assert contents(out) == contents(undisturbed)


@pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)  # peft asks for it
def test_lora_students_train_their_adapters_only_and_are_saved_merged(tiny, chains, task, tmp_path):
    student = prepare(tiny("qwen"), task, path="uni")
    add_lora(student, LoraSettings(rank=2))
    frozen = {
        n: p.detach().clone() for n, p in student.model.named_parameters() if not p.requires_grad
    }
    result = fit(student, chains(16), chains(4, name="v"), SETTINGS, tmp_path / "run", task=task)
    now = dict(student.model.named_parameters())
    assert all(torch.equal(value, now[name]) for name, value in frozen.items())
    assert result.curves[-1]["train_loss"] < result.curves[0]["train_loss"]
    names = load_file(result.folder() / "model.safetensors")
    assert not any("lora" in name for name in names)


def test_where_no_rate_is_named_the_student_decides(tiny, direct, task, tmp_path):
    settings = TrainSettings(passes=1, update_examples=8, evaluations=1)
    result = fit(tiny("t5"), direct(8), direct(4, 1, "v"), settings, tmp_path / "run", task=task)
    assert result.learning_rate == 1e-3
    assert 0 < next(row["lr"] for row in result.curves) <= 1e-3
