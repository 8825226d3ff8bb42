"""A GPU or a disk that fails is one line with what to do next, whichever function meets it first."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

import smallsteps
from smallsteps.errors import DataError, DeviceError, DeviceMemoryError, DiskError
from smallsteps.faults import faults_named, names_faults
from smallsteps.generation.chat import LocalChat
from smallsteps.generation.generator import Decoding
from smallsteps.generation.solve import StudentWithTask
from smallsteps.methods.guided.reader import ReaderQuestion
from smallsteps.quality.rated import Rated
from smallsteps.records import Chain, Example, Problem, Rationale
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.training.settings import ReinforceSettings, TrainSettings


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        (
            torch.AcceleratorError,
            "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported late.",
            "CUDA error: device-side assert triggered",
        ),
        (RuntimeError, "CUDA error: unspecified launch failure", None),
        (RuntimeError, "HIP error: no device", None),
        (
            RuntimeError,
            "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(handle)`",
            None,
        ),
        (RuntimeError, "the CUDA-capable device is lost", None),
        (RuntimeError, "No CUDA GPUs are available", None),
    ],
)
def test_a_gpu_that_fails_is_one_line_that_names_it(monkeypatch, kind, text, why):
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "NVIDIA H100")
    with pytest.raises(DeviceError) as failed, faults_named():
        raise kind(text)
    assert str(failed.value) == (
        f"the GPU cuda:1 (NVIDIA H100) failed ({why or text}). What is done is kept. To continue, "
        "run the same command again; if the GPU fails again, see what nvidia-smi says, or use "
        "another one."
    )


def test_a_gpu_of_which_torch_tells_nothing_is_named_as_far_as_it_can_be(monkeypatch):
    def gone(*_):
        raise RuntimeError("CUDA error: no device")

    monkeypatch.setattr(torch.cuda, "current_device", gone)
    with (
        pytest.raises(DeviceError, match=r"^the GPU failed \(CUDA error: no device\)\."),
        faults_named(),
    ):
        gone()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_memory_that_runs_out_says_what_to_lower(error):
    message = (
        r"^the GPU has too little memory\. .*--batch-size, .*--set train\.micro_batch_tokens; "
        r"in Python batch_size and micro_batch_tokens\)"
    )
    with pytest.raises(DeviceMemoryError, match=message) as failed, faults_named():
        raise error
    assert failed.value.__cause__ is error


@pytest.mark.parametrize(
    "text",
    [
        "shapes do not match",
        "NCCL error in: x.cpp, unhandled cuda error. CUDA error: peer",
    ],
)
def test_other_errors_are_no_failures_of_a_gpu(text):
    with pytest.raises(RuntimeError, match="^" + text.split(".")[0]), faults_named():
        raise RuntimeError(text)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_refuses_a_file_is_one_line_that_names_it(number):
    error = OSError(number, os.strerror(number), "runs/x")
    with pytest.raises(DiskError) as failed, faults_named():
        raise error
    assert failed.value.__cause__ is error and str(failed.value) == (
        f"runs/x: {os.strerror(number)}. The work so far is kept. To continue, run the same "
        "command again."
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_known_where_torch_meets_it():
    with pytest.raises(DiskError, match=r"^No space left on device\. "), faults_named():
        torch.save(torch.zeros(100_000), "/dev/full")


def test_a_full_disk_is_known_where_safetensors_meets_it():
    error = SafetensorError("Error while serializing: No space left on device (os error 28)")
    with pytest.raises(DiskError, match=r"^No space left on device\. "), faults_named():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("no such file (os error 2)"),
        FileNotFoundError(errno.ENOENT, "No such file", "x"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        DataError("x.safetensors: cannot be read (os error 5)"),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)) as failed, faults_named():
        raise error
    assert failed.value is error


def test_faults_between_two_values_of_a_generator_are_named_too():
    gone = torch.AcceleratorError("CUDA error: device is lost")

    @names_faults
    def values():
        try:
            yield 1
            yield 2
            raise gone
        finally:
            ended.append(True)

    ended = []
    taken = values()
    assert (next(taken), next(taken)) == (1, 2)
    with pytest.raises(DeviceError, match="device is lost") as failed:
        next(taken)
    assert failed.value.__cause__ is gone and ended == [True]
    left = values()
    assert next(left) == 1
    left.close()
    assert ended == [True, True], "what is left early is ended at once"


QUESTION = Problem("p", "Ann has 3 boxes with 4 pens each. How many pens are left?", "14")
CHAIN = Chain(QUESTION, Rationale("r", "p", "so 3 x 4 = 14 pens. The answer is 14."))
EXAMPLES = [Example(f"e{n}", "p", QUESTION.question, (), CHAIN.rationale.text) for n in range(4)]


def fits(student, folder):
    return smallsteps.fit(student, EXAMPLES, [], TrainSettings(passes=1), folder, task="numbers")


def reinforces(student, folder):
    roll = smallsteps.Roller([("p", (5, 6, 1))], 2, Decoding(max_new_tokens=4))
    return smallsteps.reinforce(student, 1, roll, None, ReinforceSettings(steps=1), folder)


def reads(student, folder):
    chat = LocalChat(student, smallsteps.ReplyStore(folder.with_suffix(".sqlite")))
    return smallsteps.Reader("r", chat, get_task("text")).answers([ReaderQuestion(QUESTION)])


COMPUTES = {
    "fit": fits,
    "reinforce": reinforces,
    "solve": lambda student, _: list(smallsteps.solve(student, [QUESTION], "numbers")),
    "load": lambda student, _: StudentWithTask(student, get_task("numbers"))(QUESTION.question),
    "sit": lambda student, _: smallsteps.sit(student, [QUESTION], get_task("numbers")),
    "segment": lambda student, _: smallsteps.segment(
        [CHAIN], "ent", task="numbers", student=student
    ),
    "Scorer": lambda student, _: smallsteps.Scorer(student=student, task=get_task("numbers")).score(
        [Rated.of(QUESTION, CHAIN.rationale.text)]
    ),
    "Reader": reads,
}
"""Public name → a call that computes on the student's device."""


def failing_with(error):
    def failing(*_, **__):
        raise error

    return failing


FAILED = torch.AcceleratorError("CUDA error: unspecified launch failure")
NO_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    ("name", "error", "kind"),
    [(name, FAILED, DeviceError) for name in COMPUTES]
    + [(name, NO_MEMORY, DeviceMemoryError) for name in COMPUTES if name != "fit"],
)
def test_every_public_function_that_computes_names_them(
    tiny, tmp_path, monkeypatch, name, error, kind
):
    student = prepare(tiny("t5"), "numbers", path="direct")
    monkeypatch.setattr(torch.nn.Embedding, "forward", failing_with(error))
    monkeypatch.setattr(torch.nn.functional, "embedding", failing_with(error))
    with pytest.raises(kind, match=r"^the GPU ") as failed:
        COMPUTES[name](student, tmp_path / "out")
    assert failed.value.__cause__ is error


SAVES = {
    "fit": fits,
    "save": lambda student, folder: student.save(folder),
    "export": lambda student, folder: smallsteps.export(student, folder),
}


@pytest.mark.parametrize("name", SAVES)
def test_every_public_function_that_saves_names_a_full_disk(tiny, tmp_path, monkeypatch, name):
    student = prepare(tiny("t5"), "numbers", path="direct")
    error = SafetensorError("Error while serializing: No space left on device (os error 28)")
    monkeypatch.setattr(type(student.model), "save_pretrained", failing_with(error))
    with pytest.raises(DiskError, match=r"^No space left on device\. The work") as failed:
        SAVES[name](student, tmp_path / "out")
    assert failed.value.__cause__ is error
