"""Pre-training of a bundled student, as the command plans or refuses it. `students/test_pretrain.py`
runs it."""

from __future__ import annotations

import pytest
import yaml

from smallsteps.cli.main import main
from smallsteps.cli.pretraining import pretrain_bundled
from smallsteps.errors import RecipeError

NAME = "student/bundled"


@pytest.mark.parametrize(
    ("name", "architecture"), [(NAME, "encoder-decoder"), ("student/bundled-causal", "causal")]
)
def test_a_plan_prints_every_setting_and_writes_nothing(
    name, architecture, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["run", name, "steps=3", "--dry-run"]) == 0
    plan = yaml.safe_load(capsys.readouterr().out)
    assert plan["steps"] == 3 and plan["student"]["architecture"] == architecture
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_needed():
    with pytest.raises(RecipeError, match="name the folder: --out DIR"):
        pretrain_bundled(NAME, [], None, None, dry_run=False)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(Exception, match="not a smallsteps run"):
        pretrain_bundled(NAME, ["steps=3"], tmp_path, None, dry_run=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
