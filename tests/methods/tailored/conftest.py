"""Fixtures of runs of tailored learning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from smallsteps.experiment.recipe import Recipe, make_recipe
from smallsteps.experiment.results import Results
from smallsteps.experiment.run import run
from tiny_tailored import tailored_content


@pytest.fixture(autouse=True)
def a_store_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the user's paid replies."""
    monkeypatch.setattr("smallsteps.generation.settings.STORE", tmp_path / "replies.sqlite")


@dataclass(frozen=True)
class FinishedRun:
    """A run that several tests look at."""

    recipe: Recipe
    out: Path
    results: Results


@pytest.fixture(scope="session")
def four_arms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedRun]:
    """All four arms; `tailored-full`, at whose cost the others are made, is not the first."""
    place = tmp_path_factory.mktemp("four")
    recipe = make_recipe(
        tailored_content(
            arms=["tailored-t0-only", "tailored-full", "tailored-blind", "tailored-no-contrast"],
            tailored={"teacher": {"store": str(place / "s")}},
        )
    )
    yield FinishedRun(recipe, place / "run", run(recipe, place / "run"))
