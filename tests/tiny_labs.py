"""A lab without a run: tiny chains, a base student from scratch, a folder that stays open."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smallsteps.experiment.data import load_data
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import base_student
from smallsteps.generation.access import Access
from tiny_runs import Listener, tiny_content


@contextmanager
def tiny_lab(folder: Path, **sections: Any):
    """A lab on the tiny recipe with these sections changed."""
    recipe = make_recipe(tiny_content(**sections))
    with run_folder(folder / "run", recipe.digest(), recipe.to_yaml()) as run:
        data = load_data(recipe, run, chains=True)
        base = base_student(recipe, data, run)
        yield Lab(recipe, run, data, base, Listener(), Access(), budget=recipe.train.budget)
