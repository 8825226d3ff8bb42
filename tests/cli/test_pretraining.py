"""Pre-training of the bundled student, as the command plans or refuses it. `students/test_pretrain.py`
runs it."""

from __future__ import annotations

import pytest

from smallsteps.cli.pretraining import pretrain_bundled
from smallsteps.errors import RecipeError

NAME = "student/bundled"


def test_a_plan_prints_every_setting_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pretrain_bundled(NAME, ["steps=3"], None, None, dry_run=True)
    assert "steps: 3" in capsys.readouterr().out and list(tmp_path.iterdir()) == []


def test_a_folder_is_needed():
    with pytest.raises(RecipeError, match="name the folder: --out DIR"):
        pretrain_bundled(NAME, [], None, None, dry_run=False)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(Exception, match="not a smallsteps run"):
        pretrain_bundled(NAME, ["steps=3"], tmp_path, None, dry_run=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
