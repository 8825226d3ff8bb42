"""The engines that students write with, by name, and the only place where one is opened.

A further engine (continuous batching of another library, a server that reads token ids) is a
function of a student and `EngineSettings` that returns a `Generator`, and one line in `ENGINES`.
It needs no sessions, stop rules or caches: where they are missing, `Plain` (`plain.py`) supplies
them, so that every engine can drive every student."""

from __future__ import annotations

from collections.abc import Callable

from smallsteps.errors import RecipeError, nearest
from smallsteps.faults import names_faults
from smallsteps.generation.generator import Engine, EngineSettings, Generator
from smallsteps.generation.graph_engine import GraphEngine
from smallsteps.generation.local import LocalEngine
from smallsteps.generation.plain import Plain
from smallsteps.generation.vllm_engine import VllmEngine
from smallsteps.students.student import Student

ENGINES: dict[str, Callable[[Student, EngineSettings], Generator]] = {
    "local": LocalEngine,
    "vllm": VllmEngine,
    "graphs": GraphEngine,
}


@names_faults
def open_engine(student: Student, settings: EngineSettings | None = None) -> Engine:
    """An engine that writes with the student's weights as they are now.

    Raises RecipeError where no engine has the name, or the engine refuses the settings."""
    settings = settings or EngineSettings()
    if settings.engine not in ENGINES:
        known = ", ".join(sorted(ENGINES))
        raise RecipeError(
            f"engine {settings.engine!r} is not known, expected one of {known}."
            f"{nearest(settings.engine, ENGINES)}"
        )
    generator = ENGINES[settings.engine](student, settings)
    return generator if isinstance(generator, Engine) else Plain(generator, student)
