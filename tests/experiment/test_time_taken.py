"""The time of a run is that of all its commands, also of those that were killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallsteps.experiment import time_taken
from smallsteps.experiment.reporter import Silent
from smallsteps.experiment.run import run
from smallsteps.experiment.time_taken import TimeTaken


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test sets."""
    now = {"seconds": 1000.0}
    monkeypatch.setattr(time_taken.time, "monotonic", lambda: now["seconds"])
    return now


def test_a_killed_command_leaves_its_time_to_the_next(tmp_path: Path, clock) -> None:
    killed = TimeTaken(Silent())
    killed.begin(tmp_path)
    clock["seconds"] += 100
    killed.advance("training", 1, 2)  # and then it is killed
    clock["seconds"] += 1000
    second = TimeTaken(Silent())
    second.begin(tmp_path)
    clock["seconds"] += 20
    assert second.finish() == (120.0, 2)


def test_the_time_is_not_written_at_every_step(tmp_path: Path, clock) -> None:
    command = TimeTaken(Silent())
    command.begin(tmp_path)
    clock["seconds"] += 29
    command.advance("training", 1, 2)
    assert not (tmp_path / "time.json").exists()
    clock["seconds"] += 1
    command.say("a line")
    (entry,) = json.loads((tmp_path / "time.json").read_text())["commands"]
    assert entry["seconds"] == 30.0 and entry["started"].endswith("Z")


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"commands": [{"seconds": "x"}]}'])
def test_without_a_readable_file_what_the_results_know_counts(
    tmp_path: Path, clock, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "time.json").write_text(content)
    command = TimeTaken(Silent())
    command.begin(tmp_path, earlier_seconds=50.0)
    clock["seconds"] += 5
    assert command.finish() == (55.0, 2)


def test_a_grown_run_took_the_time_of_both_commands(recipe_of, tmp_path: Path) -> None:
    """The trap: only the last command was counted."""
    more = {"train": {"budget": 600, "evaluations": 1}, "evaluation": {"why_problems": 0}}
    first = run(recipe_of(arms=["direct"], **more), tmp_path / "run")
    grown = run(recipe_of(arms=["direct", "base"], **more), tmp_path / "run")
    assert first.provenance is not None and grown.provenance is not None
    assert (first.provenance.commands, grown.provenance.commands) == (1, 2)
    assert grown.provenance.seconds > first.provenance.seconds
    again = run(recipe_of(arms=["direct", "base"], **more), tmp_path / "run")
    assert again.provenance == grown.provenance, "nothing was done, so nothing is counted"


def test_commands_that_work_at_the_same_time_have_an_entry_each(tmp_path: Path, clock) -> None:
    first, second = TimeTaken(Silent()), TimeTaken(Silent())
    first.begin(tmp_path)
    second.begin(tmp_path)
    clock["seconds"] += 40
    first.say("a line")
    second.say("a line")
    clock["seconds"] += 10
    assert second.finish() == (90.0, 2)
    assert first.finish() == (100.0, 2)
