"""Fixtures of the tests that make whole runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from smallsteps.experiment.recipe import Recipe, make_recipe
from smallsteps.tasks import TASKS
from tiny_runs import SHORT, Commands, Listener, tiny_content


@pytest.fixture(scope="module", autouse=True)
def short_chains() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, task in list(TASKS.items()):
            patch.setitem(TASKS, name, replace(task, **SHORT))
        yield


@pytest.fixture
def recipe_of():
    """`recipe_of(arms=[...], train={...})`: the tiny recipe with these sections changed."""

    def make(**sections: Any) -> Recipe:
        return make_recipe(tiny_content(**sections))

    return make


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture(scope="module")
def command(commands: Commands) -> Commands:
    commands.forget_errors()
    return commands
