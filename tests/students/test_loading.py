"""Loading: what cannot be a student is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from smallsteps.errors import StudentError
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.tasks import get_task

Tiny = Callable[..., Student]
TASK = get_task("gsm8k")


def test_what_cannot_be_loaded_says_why(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StudentError, match="no such folder"):
        load_student(tmp_path / "nowhere")
    with pytest.raises(StudentError, match=r"has no config\.json"):
        load_student(tmp_path)
    with pytest.raises(
        StudentError, match="expected a model folder, a GGUF file or a hub name, got another file"
    ):
        (tmp_path / "file").write_text("x")
        load_student(tmp_path / "file")
    tiny("t5").save(tmp_path / "m")
    with pytest.raises(StudentError, match=r"fp16 is refused.*65,504"):
        load_student(tmp_path / "m", dtype="fp16")
    with pytest.raises(StudentError, match=r"'float31' is not known.*float32"):
        load_student(tmp_path / "m", dtype="float31")
    (tmp_path / "m" / "smallsteps.json").write_text('{"task": "gsm8k", "pth": "uni"}')
    with pytest.raises(StudentError, match=r"no field 'pth'\. Did you mean 'path'"):
        load_student(tmp_path / "m")
    (tmp_path / "m" / "tokenizer.json").unlink()
    with pytest.raises(StudentError, match=r"has no tokenizer.*save_pretrained"):
        load_student(tmp_path / "m")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(StudentError, match="could not be fetched from the hub"):
        load_student("nobody/nothing-of-this-name")


def test_weights_that_are_not_whole_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tiny("llama").save(tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    kept = {k: v for k, v in load_file(path).items() if "layers.1" not in k}
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(StudentError, match="the weights lack"):
        load_student(tmp_path / "m")
    path.unlink()
    torch.save(kept, tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(StudentError, match="weights"):
        load_student(tmp_path / "m")
