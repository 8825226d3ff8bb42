"""Trainings that are stopped somewhere, and whether they end with the same weights."""

from __future__ import annotations

import torch

from smallsteps.training.trainer import UpdateTrainer


def weights(student):
    return {name: p.detach().clone() for name, p in student.model.named_parameters()}


def assert_identical(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


class Killed(BaseException):
    """What nothing between here and the test catches."""


def stop_in(monkeypatch, name, at, owner=UpdateTrainer, before=False):
    """Let the `at`-th call of `owner.name` be the last thing the run does."""
    original, calls = getattr(owner, name), []

    def stopping(*args, **kwargs):
        calls.append(1)
        if len(calls) == at and before:
            raise Killed
        result = original(*args, **kwargs)
        if len(calls) == at:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, stopping)
