"""The engine of a run: which students a server can write for, and where its output goes."""

from __future__ import annotations

from pathlib import Path

from smallsteps.errors import RecipeError
from smallsteps.experiment.ownership import SERVER_LOG
from smallsteps.experiment.recipe import Recipe
from smallsteps.generation.server_settings import ServerSettings
from smallsteps.generation.writer_settings import WriterSettings


def check_engine(section: str, settings: WriterSettings, causal: bool | None) -> None:
    """Raises RecipeError where the engine that a recipe's section names cannot write for the
    students of a run. causal: whether they are causal models; None: that is not known yet."""
    if settings.engine == "local":
        return
    if causal is False:
        raise RecipeError(
            f"{section}.engine={settings.engine} writes for causal students, and the recipe's "
            f"student is an encoder-decoder. Type {section}.engine=local, or name a causal "
            "student, such as student.name=smollm2."
        )
    server = settings.server or ServerSettings()
    if server.base_url is not None:
        raise RecipeError(
            f"{section}.server.base_url: a run has a student for each arm and seed, and a server "
            "that runs already has one. Leave it out: servers are started as they are needed."
        )
    try:
        server.check_installed()
    except RecipeError as error:
        raise RecipeError(f"{section}.engine: {error}") from None


def logging_server(server: ServerSettings | None, folder: Path) -> ServerSettings:
    """The settings with a place for the server's log: in the run folder, where they name no
    other."""
    server = server or ServerSettings()
    return server if server.log is not None else server.changed(log=str(folder / SERVER_LOG))


def logging_answers(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with a place for the log of the server that writes answers."""
    evaluation = recipe.evaluation
    if evaluation.engine == "local":
        return recipe
    server = logging_server(evaluation.server, folder)
    return recipe.changed(evaluation=evaluation.changed(server=server))
