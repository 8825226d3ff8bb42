"""The engine of a run: which students a server can write for, and where its output goes."""

from __future__ import annotations

from pathlib import Path

from smallsteps.errors import RecipeError
from smallsteps.experiment.ownership import SERVER_LOG
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.settings import EvaluationSettings


def check_engine(evaluation: EvaluationSettings, causal: bool | None) -> None:
    """Raises RecipeError where the engine cannot write for the students of a run. causal: whether
    they are causal models; None: that is not known yet."""
    if evaluation.engine == "local":
        return
    if causal is False:
        raise RecipeError(
            f"evaluation.engine={evaluation.engine} writes for causal students, and the recipe's "
            "student is an encoder-decoder. Type evaluation.engine=local, or name a causal "
            "student, such as student.name=smollm2."
        )
    server = evaluation.writing().server
    if server.base_url is not None:
        raise RecipeError(
            "evaluation.server.base_url: a run has a student for each arm and seed, and a server "
            "that runs already has one. Leave it out: servers are started as they are needed."
        )
    try:
        server.check_installed()
    except RecipeError as error:
        raise RecipeError(f"evaluation.engine: {error}") from None


def logging_server(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with a place for the server's log: in the run folder, where it names no other."""
    server = recipe.evaluation.writing().server
    if recipe.evaluation.engine == "local" or server.log is not None:
        return recipe
    server = server.changed(log=str(folder / SERVER_LOG))
    return recipe.changed(evaluation=recipe.evaluation.changed(server=server))
