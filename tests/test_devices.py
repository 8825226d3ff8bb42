"""Devices and threads that are not there are refused in one place, before any work."""

import pytest
import torch

from smallsteps.devices import (
    MAX_THREADS,
    check_device,
    check_threads,
    failures_named,
    move_to,
    resolve_device,
)
from smallsteps.errors import DeviceError, DeviceMemoryError, RecipeError


@pytest.fixture(params=[0, 2])
def cards(request, monkeypatch):
    """Machines without and with two graphics cards."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return request.param


def test_auto_is_cuda_where_there_is_one(cards):
    assert resolve_device("auto") == ("cuda" if cards else "cpu")
    assert resolve_device("cpu") == "cpu"


class Recorded:
    """A model that says where it went."""

    def to(self, device):
        return device


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "cpu"])
def test_cudnn_attention_is_off_once_a_model_is_on_a_card_and_left_alone_before(device, cards):
    # it prepares itself anew for every length of rows
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        resolve_device(device if cards else "cpu")
        assert torch.backends.cuda.cudnn_sdp_enabled(), "a name changes nothing"
        assert move_to(Recorded(), device) == device
        assert torch.backends.cuda.cudnn_sdp_enabled() == (device == "cpu")
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_a_card_is_taken_where_it_is_there_and_named_where_not(name, cards):
    if cards:
        assert resolve_device(name) == name
    else:
        with pytest.raises(
            RecipeError,
            match=rf"--device {name}: torch finds no cuda device here. Use --device auto",
        ):
            check_device(name)


@pytest.mark.parametrize("name", ["cuda:2", "cuda:9", "cuda:999"])
def test_a_card_too_many_is_refused_with_those_that_are_there(name, cards):
    with pytest.raises(
        RecipeError, match="Available: cuda:0, cuda:1" if cards else "finds no cuda"
    ):
        check_device(name)


UNKNOWN = [
    "",
    "foo",
    "CUDA",
    "gpu",
    "cuda:",
    "cuda:-1",
    "cuda:x",
    "cuda:1:2",
    "cuda:²",
    "auto:0",
    "cpu ",
    "1",
]


@pytest.mark.parametrize("name", [*UNKNOWN, "cuda:99999999999999999999"])
def test_an_unknown_name_is_refused_with_the_known_ones(name, cards):
    with pytest.raises(
        RecipeError, match=r"student\.device .*: no such device\..* Known: auto, cpu, cuda"
    ):
        check_device(name, "student.device")


def test_apples_are_refused_where_there_are_none(cards):
    with pytest.raises(RecipeError, match="torch finds no mps device here"):
        check_device("mps")


@pytest.mark.parametrize("threads", [0, -1, MAX_THREADS + 1, 1_000_000, 10**30])
def test_threads_that_torch_cannot_have_are_refused(threads):
    with pytest.raises(
        RecipeError, match=f"--threads {threads}: expected a number of CPU threads from 1 to"
    ):
        check_threads(threads)


def test_threads_of_a_larger_machine_are_allowed():
    for threads in (None, 1, 128):
        check_threads(threads)


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
    with pytest.raises(DeviceError) as failed, failures_named():
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
        failures_named(),
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
        r"^the GPU has too little memory\. .*--batch-size, .*--set train\.micro_batch_tokens\)"
    )
    with pytest.raises(DeviceMemoryError, match=message), failures_named():
        raise error


@pytest.mark.parametrize(
    "text",
    [
        "shapes do not match",
        "NCCL error in: x.cpp, unhandled cuda error. CUDA error: peer",
    ],
)
def test_other_errors_are_no_failures_of_a_gpu(text):
    with pytest.raises(RuntimeError, match="^" + text.split(".")[0]), failures_named():
        raise RuntimeError(text)
