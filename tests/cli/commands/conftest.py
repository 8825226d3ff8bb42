"""What a command passes on to the module that does the work."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.cli.main import main


@pytest.fixture
def passed(monkeypatch):
    """`passed("smallsteps.cli.grading.grade_file", "grade", ...)`: the arguments with which the
    command calls that function."""

    def run(function: str, *arguments: str) -> tuple[Any, ...]:
        calls: list[tuple[Any, ...]] = []
        monkeypatch.setattr(function, lambda *received: calls.append(received))
        assert main(list(arguments)) == 0
        (call,) = calls
        return call

    return run
