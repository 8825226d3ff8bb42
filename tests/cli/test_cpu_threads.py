"""Which number of CPU threads a command uses."""

from __future__ import annotations

import pytest

from smallsteps import threads as cpu
from smallsteps.cli import fastest
from smallsteps.cli.cpu_threads import set_threads
from smallsteps.errors import RecipeError


@pytest.fixture
def used(monkeypatch):
    """Numbers of threads that were set."""
    numbers: list[cpu.Threads] = []
    monkeypatch.setattr(cpu, "use", numbers.append)
    return numbers


@pytest.fixture
def chosen(monkeypatch):
    """Run folders for which the fastest number was chosen."""
    folders: list[object] = []
    monkeypatch.setattr(fastest, "choose_threads", lambda out, load: folders.append(out))
    return folders


def test_a_number_is_used_for_training_and_decoding_and_nothing_is_measured(used, chosen, tmp_path):
    set_threads(2, tmp_path, lambda: None)
    assert used == [cpu.Threads(2, 2)] and chosen == []


def test_without_a_number_the_fastest_is_chosen_for_a_student(used, chosen, tmp_path):
    set_threads(None, tmp_path, lambda: None)
    assert used == [] and chosen == [tmp_path]


def test_without_a_student_torch_decides(used, chosen):
    set_threads(None)
    assert used == [] and chosen == []


def test_an_impossible_number_is_refused():
    with pytest.raises(RecipeError, match="--threads"):
        set_threads(0)
