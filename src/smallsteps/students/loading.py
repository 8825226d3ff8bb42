"""Open a student from a folder, from a GGUF file, from the hub, or one that a package ships.

Model files are read by `pretrained.py`; here they become a `Student` or a `DualStudent`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from smallsteps.devices import move_to, resolve_device
from smallsteps.errors import StudentError, nearest
from smallsteps.faults import names_faults
from smallsteps.students.drive import DRIVE_FILE, Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.students.pretrained import ModelFiles
from smallsteps.students.run_student import student_place
from smallsteps.students.student import Student
from smallsteps.students.weights import DTYPES, RELATIVE_POSITIONS


def load(
    name_or_folder: str | Path, *, device: str = "auto", dtype: str = "auto"
) -> Student | DualStudent:
    """A student or a dual-path pair from a folder, or whatever `load_student` opens. Of a run
    folder: its best student.

    Raises StudentError like `load_student`."""
    name = student_place(name_or_folder)
    folder = Path(name).expanduser()
    if not _is_pair(folder):
        return load_student(name, device=device, dtype=dtype)
    es = load_student(folder / "es", device=device, dtype=dtype)
    as_ = load_student(folder / "as", device=device, dtype=dtype)
    return DualStudent(es, as_, Drive.from_file(folder / DRIVE_FILE), name=name)


def outline(folder: str | Path) -> Student | DualStudent:
    """The student or pair in a folder without its weights: for texts about it, in a moment.

    Raises StudentError like `load_student`."""
    folder = Path(student_place(folder)).expanduser()
    if not _is_pair(folder):
        return _without_weights(folder)
    es, as_ = (_without_weights(folder / half) for half in ("es", "as"))
    return DualStudent(es, as_, Drive.from_file(folder / DRIVE_FILE), name=str(folder))


def _without_weights(folder: Path) -> Student:
    files = ModelFiles.locate(folder)
    auto = _auto_class(files.config())
    return Student(files.empty_model(auto), files.tokenizer(), _drive_in(files), name=str(folder))


def _auto_class(config: Any) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


def _drive_in(files: ModelFiles) -> Drive | None:
    path = Path(files.source) / DRIVE_FILE
    return Drive.from_file(path) if path.is_file() else None


def _is_pair(folder: Path) -> bool:
    try:
        halves = (folder / "es").is_dir() and (folder / "as").is_dir()
        return halves and (folder / DRIVE_FILE).is_file()
    except (OSError, ValueError):  # an impossible path: `load_student` says so
        return False


@names_faults
def load_student(
    name_or_folder: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    lora: LoraSettings | None = None,
    seed: int = 0,
) -> Student:
    """A student from a folder, a run folder (its best one), a GGUF file, a hub name, `smollm2` or a
    bundled one.

    device: `auto` takes CUDA if there is one, else the CPU. dtype: `auto` is float32, which
    training needs; `bfloat16` answers faster. lora, seed: train these adapters instead of all
    weights. Only safetensors are read and no remote code runs.

    Raises StudentError if the folder or its tokenizer is missing, a hub name cannot be fetched,
    weights are missing, or the dtype is unknown or fp16 for a T5."""
    name = student_place(name_or_folder)
    files = ModelFiles.locate(name)
    torch_device = resolve_device(device, "device")
    if dtype != "auto" and dtype not in DTYPES:
        raise StudentError(f"dtype {dtype!r} is not known.{nearest(dtype, [*DTYPES, 'auto'])}")
    torch_dtype = DTYPES.get(dtype, torch.float32)
    config = files.config()
    if torch_dtype is torch.float16 and config.model_type in RELATIVE_POSITIONS:
        raise StudentError(
            f"{name}: fp16 is refused for T5-class models: their activations overflow its range "
            "(65,504) and become NaN. Use dtype bf16 or fp32."
        )
    tokenizer = files.tokenizer()
    model, missing = files.model(_auto_class(config), torch_dtype)
    if missing:
        raise StudentError(
            f"{name}: the weights lack {missing[:3]}. Expected a complete language model."
        )
    move_to(model, torch_device).eval()
    student = Student(model, tokenizer, _drive_in(files), name=name)
    return student if lora is None else add_lora(student, lora, seed=seed)
