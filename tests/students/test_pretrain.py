"""How a bundled student is made: drills without chains, a tokenizer that loses nothing, a run
that goes on."""

import json
from pathlib import Path

import pytest
import torch

import smallsteps
from smallsteps.errors import RecipeError, StudentError
from smallsteps.experiment.recipe import recipe_content
from smallsteps.students.loading import load_student
from smallsteps.students.pretrain import (
    PretrainSettings,
    make_optimizers,
    make_tokenizer,
    pretrain,
    pretrain_settings,
    rate,
)
from smallsteps.students.scratch import make_model
from smallsteps.students.settings import BUNDLED_STUDENTS, ScratchSettings
from smallsteps.tasks.stories import make_chains

TINY_STUDENT = ScratchSettings(
    vocabulary=600, d_model=32, d_kv=8, heads=4, d_ff=32, layers=1, dropout=0.0
)
TINY = PretrainSettings(
    steps=4,
    scale=0.05,
    bf16=False,
    compile=False,
    warmup=2,
    save_every=2,
    student=TINY_STUDENT,
)
TINY_CAUSAL = TINY.changed(
    student=TINY_STUDENT.changed(architecture="causal"), optimizer="muon", gap=64
)


def test_the_tokenizer_keeps_digits_apart_and_loses_nothing():
    tokenizer = make_tokenizer(PretrainSettings())
    ids = tokenizer("so he has 52 pens", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids)[-3:] == ["Ġ5", "2", "Ġpens"]
    for text in ("line\nbreak {x} < 3 \\ ~ é 你好", make_chains(1, 0)[0].rationale.text):
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_the_rate_rises_stays_and_falls_to_nothing():
    settings = PretrainSettings(steps=1000, warmup=100, decay=0.2)
    assert rate(0, settings) == pytest.approx(0.01)
    assert rate(99, settings) == rate(799, settings) == 1.0
    assert rate(999, settings) == pytest.approx(0.005)


@pytest.mark.parametrize("settings", [TINY, TINY_CAUSAL], ids=["encoder-decoder", "causal"])
def test_an_interrupted_run_ends_with_the_student_of_an_uninterrupted_one(tmp_path, settings):
    def interrupt(step, total, loss):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(tmp_path / "killed", settings, interrupt)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    assert torch.load(checkpoint, weights_only=True)["step"] == 2
    seen = []
    folder = pretrain(tmp_path / "killed", settings, lambda step, total, loss: seen.append(step))
    assert seen == [3, 4]
    whole = load_student(pretrain(tmp_path / "whole", settings))
    assert load_student(folder).weights_digest() == whole.weights_digest()
    assert {"model.safetensors", "tokenizer.json", "pretraining.json"} <= {
        path.name for path in folder.iterdir()
    }


def test_tokens_that_no_drill_writes_start_as_ordinary_ones_in_a_causal_student(tmp_path):
    student = load_student(pretrain(tmp_path, TINY_CAUSAL))
    trained = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    before = trained["model.embed_tokens.weight"].bfloat16().float()
    changed = (student.model.get_input_embeddings().weight != before).any(1).nonzero().flatten()
    assert changed.tolist() == sorted([*student.markers.values(), student.stop_id])


def test_muon_trains_the_matrices_inside_the_layers_alone():
    model = make_model(TINY_CAUSAL.student, 600, 0)
    names = {id(weight): name for name, weight in model.named_parameters()}
    adamw, muon = (
        {names[id(weight)] for group in optimizer.param_groups for weight in group["params"]}
        for optimizer in make_optimizers(model, TINY_CAUSAL)
    )
    assert adamw.isdisjoint(muon) and adamw | muon == set(names.values())
    assert "model.embed_tokens.weight" in adamw and "model.layers.0.mlp.up_proj.weight" in muon
    assert all(name.endswith("proj.weight") for name in muon) and len(muon) == 7


def test_a_rate_without_warm_up_and_decay_is_the_highest_at_once():
    assert rate(0, PretrainSettings(warmup=0, decay=0)) == 1


def test_an_unknown_setting_is_named():
    with pytest.raises(
        RecipeError, match=r"^student/bundled: unknown key 'stepz'\. Did you mean 'steps'"
    ):
        pretrain_settings({"stepz": 3}, "student/bundled")


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK torn")
    with pytest.raises(StudentError, match=r"checkpoint\.pt: damaged"):
        pretrain(tmp_path, TINY)


def test_a_folder_with_files_of_others_is_left_alone(tmp_path, capsys):
    from smallsteps.cli.main import main

    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "model.safetensors").write_text("mine")
    assert main(["run", "student/bundled", "steps=1", "--out", str(tmp_path)]) == 2
    assert "is not a smallsteps run (it contains student" in capsys.readouterr().err
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [
        "student",
        "student/model.safetensors",
    ]


@pytest.mark.parametrize("name", BUNDLED_STUDENTS)
def test_a_bundled_student_is_there_small_and_says_how_it_was_made(name):
    folder = Path(smallsteps.__file__).parent / "students" / name
    assert (folder / "model.safetensors").is_file() and (folder / "tokenizer.json").is_file()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 6_000_000
    made = json.loads((folder / "pretraining.json").read_text())
    assert made["log"][-1]["step"] == made["settings"]["steps"]
    recipe = pretrain_settings(recipe_content(f"student/{name}"), name)
    saved = {"save_every": recipe.save_every}
    assert PretrainSettings(**(made["settings"] | saved)) == recipe
