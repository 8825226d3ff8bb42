"""Files of a training: whose they are, which count, and what is deleted."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from smallsteps.errors import RunFolderError
from smallsteps.training.checkpoints import (
    COMPLETE,
    WEIGHTS,
    Curves,
    claim,
    complete,
    finish,
    is_finished,
    latest_checkpoint,
    load_weights,
    read_curves,
    repair,
    tidy,
    trained_weights,
)
from smallsteps.training.choice import Selection


def make(folder, content="x"):
    folder.mkdir(parents=True)
    (folder / "weights").write_text(content)
    complete(folder)
    return folder


def test_curves_go_on_from_the_rows_of_the_checkpoint(tmp_path):
    path = tmp_path / "curves.jsonl"
    path.write_text("".join(json.dumps({"update": i}) + "\n" for i in range(1, 8)) + '{"upda')
    curves = Curves(path, [{"update": i} for i in range(1, 6)])
    curves.add({"update": 6, "tokens": 3})
    assert [row["update"] for row in read_curves(path)] == [1, 2, 3, 4, 5, 6]


def test_a_folder_belongs_to_the_run_that_claimed_it(tmp_path):
    claim(tmp_path / "out", "abc")
    claim(tmp_path / "out", "abc")
    with pytest.raises(RunFolderError, match=r"training with other settings.*digest abc, now xyz"):
        claim(tmp_path / "out", "xyz")
    (tmp_path / "out" / "settings.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"settings\.json: damaged"):
        claim(tmp_path / "out", "abc")


def test_checkpoints_without_their_settings_are_refused(tmp_path):
    make(tmp_path / "out" / "checkpoint-3")
    with pytest.raises(RunFolderError, match=r"holds checkpoints, but no settings\.json"):
        claim(tmp_path / "out", "abc")


def test_the_newest_complete_checkpoint_counts(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    for update in (9, 10):
        make(tmp_path / f"checkpoint-{update}")
    (tmp_path / "checkpoint-11").mkdir()  # killed before its marker
    make(tmp_path / ".checkpoint-12.part")
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-10", "10 is newer than 9"


def test_tidying_deletes_all_but_what_is_named(tmp_path):
    for name in ("checkpoint-1", "checkpoint-2", "candidate-1", "candidate-2"):
        make(tmp_path / name)
    (tmp_path / "result.json.part").touch()
    (tmp_path / "notes").mkdir()
    tidy(tmp_path, ["checkpoint-2", "candidate-1"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "candidate-1",
        "checkpoint-2",
        "notes",
    ]


def test_a_damaged_file_is_named_and_training_starts_again(tmp_path):
    claim(tmp_path, "abc")
    candidate = make(tmp_path / "candidate-2")
    Curves(tmp_path / "curves.jsonl")
    finish(tmp_path, {"updates": 2}, [Selection(2, 1.0)])
    lines = []
    repair(tmp_path, lines.append)
    assert not lines and is_finished(tmp_path)
    (candidate / "weights").write_text("y")
    repair(tmp_path, lines.append)
    assert len(lines) == 1 and "candidate-2" in lines[0] and "starts again" in lines[0]
    assert not is_finished(tmp_path) and not candidate.exists()
    assert (tmp_path / "settings.json").exists(), "the folder is still this run's"


def test_damage_is_a_warning_where_nobody_listens(tmp_path):
    (make(tmp_path / "checkpoint-2") / COMPLETE).write_text("{")
    with pytest.warns(UserWarning, match="damaged; this training starts again"):
        repair(tmp_path)


def test_weights_of_another_student_are_refused(tiny, tmp_path):
    student = tiny("t5", seed=1)
    safetensors.torch.save_file(
        {name: value.contiguous() for name, value in trained_weights(student.model).items()},
        tmp_path / WEIGHTS,
    )
    other = tiny("t5", seed=2)
    load_weights(other, tmp_path)
    assert other.weights_digest() == student.weights_digest()
    with pytest.raises(RunFolderError, match="weights of another student"):
        load_weights(tiny("llama"), tmp_path)


def test_tied_weights_are_kept_once(tiny):
    model = tiny("t5-scaled").model
    pointers = [value.data_ptr() for value in trained_weights(model).values()]
    assert len(pointers) == len(set(pointers))
    assert sum(torch.numel(p) for p in model.parameters()) == sum(
        value.numel() for value in trained_weights(model).values()
    )
