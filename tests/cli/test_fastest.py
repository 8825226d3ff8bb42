"""The choice of CPU threads: by time, kept by the run folder, bounded where a number is
hopeless."""

from __future__ import annotations

import json
import os

import pytest
import torch

from smallsteps.cli import fastest as module
from smallsteps.cli.fastest import choose_threads, fastest, recorded
from smallsteps.threads import Threads, in_use


def takes(monkeypatch, seconds):
    """Each call of the work takes `seconds` of the number of threads set at that time; lists the
    calls."""
    calls = []

    def timed(work):
        calls.append(torch.get_num_threads())
        return seconds[torch.get_num_threads()]

    monkeypatch.setattr(module, "_timed", timed)
    return calls


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        ({1: 1.0, 2: 0.6, 4: 0.4}, 4),
        ({1: 1.0, 2: 0.6, 4: 0.55}, 2),
        ({1: 1.0, 2: 0.95, 4: 0.9}, 1),
        ({1: 1.0, 2: 25.0, 4: 50.0}, 1),
    ],
)
def test_more_threads_are_taken_only_where_they_pay(monkeypatch, seconds, wanted):
    takes(monkeypatch, seconds)
    assert module._fastest_count([1, 2, 4], lambda: None) == wanted


def test_a_hopeless_number_is_tried_once(monkeypatch):
    calls = takes(monkeypatch, {1: 1.0, 2: 25.0})
    module._fastest_count([1, 2], lambda: None)
    assert calls.count(2) == 1


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_measuring_leaves_the_student_as_it_was(tiny, monkeypatch, style):
    monkeypatch.setattr(module, "_cores", lambda: 2)
    student = tiny(style)
    before = {name: value.clone() for name, value in student.model.state_dict().items()}
    threads = torch.get_num_threads()
    chosen = fastest(student)
    assert {chosen.training, chosen.decoding} <= {1, 2}
    assert torch.get_num_threads() == threads
    assert not student.model.training
    assert all(parameter.grad is None for parameter in student.model.parameters())
    assert all(
        torch.equal(before[name], value) for name, value in student.model.state_dict().items()
    )


def test_a_large_student_gets_every_core_without_a_measurement(tiny, monkeypatch):
    monkeypatch.setattr(module, "MAX_WEIGHTS", 10)
    monkeypatch.setattr(module, "_cores", lambda: 2)
    monkeypatch.setattr(module, "_timed", lambda work: pytest.fail("measured"))
    assert fastest(tiny("t5")) == Threads(2, 2)


def test_a_resumed_run_keeps_the_numbers_that_its_folder_names(tmp_path):
    row = {"provenance": {"threads": {"training": 2, "decoding": 1}}}
    (tmp_path / "run.json").write_text(json.dumps(row))
    assert choose_threads(tmp_path, lambda: pytest.fail("loaded")) == Threads(2, 1)
    assert in_use() == Threads(2, 1)


@pytest.mark.parametrize("content", [None, "", "[]", '{"provenance": {"threads": null}}', "{"])
def test_a_folder_that_names_no_threads_is_a_new_run(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    assert recorded(tmp_path) is None


def test_a_busy_machine_is_met_with_sleeping_threads():
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
