"""Fixtures of runs with a reader on loopback."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.experiment.recipe import Recipe, make_recipe
from smallsteps.experiment.results import Results
from smallsteps.experiment.run import run
from smallsteps.generation.access import Access
from tiny_guided import KEY, facts_reader, guided_content


@pytest.fixture
def recipe_of(tmp_path, server):
    """`recipe_of(arms=[...], train={...})`: the tiny guided recipe with these sections changed."""
    server.answer = facts_reader

    def make(**sections: Any) -> Recipe:
        content = guided_content(tmp_path / "replies.sqlite", **sections)
        content["guided"]["reader"] = {"base_url": server.url, **content["guided"]["reader"]}
        return make_recipe(content)

    return make


@pytest.fixture
def run_recipe(tmp_path, listener):
    """`run_recipe(recipe, "name")`: the results of a run in this folder."""

    def run_in(recipe: Recipe, name: str = "run") -> Results:
        return run(recipe, tmp_path / name, listener, access=Access(None, KEY))

    return run_in
