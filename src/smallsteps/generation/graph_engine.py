"""The engine `graphs`: the local engine's continuous batching over recorded steps (CUDA graphs),
for Llama-class students on a GPU."""

from __future__ import annotations

from smallsteps.errors import RecipeError
from smallsteps.generation.causal import CausalSession
from smallsteps.generation.generator import Decoding, EngineSettings, Session
from smallsteps.generation.graph_model import GraphModel
from smallsteps.generation.local import LocalEngine
from smallsteps.students.llama import LlamaRunner
from smallsteps.students.student import Student


class GraphEngine(LocalEngine):
    """An `Engine` like `LocalEngine`, whose steps on a GPU are started at once.

    Raises RecipeError where the student is not Llama-class."""

    def __init__(self, student: Student, settings: EngineSettings | None = None) -> None:
        super().__init__(student, settings)
        if not isinstance(self.runner, LlamaRunner):
            raise RecipeError(
                "engine 'graphs' drives Llama-class students (Llama, SmolLM, Qwen 2) of at most a "
                f"billion parameters, and {student.name} is none. Use engine 'local'."
            )
        self.steps = GraphModel(self.runner, student.pad_id, self.batch_size)

    def session(self, decoding: Decoding) -> Session:
        return CausalSession(self.student, self.steps, decoding, self.batch_size)
