"""Devices and threads that are not there are refused in one place, before any work."""

import pytest
import torch

from smallsteps.devices import (
    MAX_THREADS,
    check_device,
    check_threads,
    move_to,
    resolve_device,
)
from smallsteps.errors import RecipeError


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
