"""The engine `graphs`: the local engine's continuous batching over recorded steps (CUDA graphs),
for Llama-class students, T5 and mT5 on a GPU."""

from __future__ import annotations

from smallsteps.errors import RecipeError
from smallsteps.generation.causal import CausalSession
from smallsteps.generation.encoder_decoder import T5Session
from smallsteps.generation.generator import Decoding, EngineSettings, Session
from smallsteps.generation.graph_model import GraphModel
from smallsteps.generation.graph_t5 import GraphT5
from smallsteps.generation.local import LocalEngine
from smallsteps.students.student import Student
from smallsteps.students.t5 import T5Runner


class GraphEngine(LocalEngine):
    """An `Engine` like `LocalEngine`, whose steps on a GPU are started at once.

    Raises RecipeError where the student is of another class."""

    def __init__(self, student: Student, settings: EngineSettings | None = None) -> None:
        super().__init__(student, settings)
        if self.runner is None:
            raise RecipeError(
                "engine 'graphs' drives T5, mT5 and Llama-class students (Llama, SmolLM, Qwen 2) "
                f"of at most a billion parameters, and {student.name} is none. Use engine 'local'."
            )
        self.steps: GraphT5 | GraphModel
        if isinstance(self.runner, T5Runner):
            self.steps = GraphT5(self.runner, self.batch_size)
        else:
            self.steps = GraphModel(self.runner, student.pad_id, self.batch_size)

    def session(self, decoding: Decoding) -> Session:
        if isinstance(self.steps, GraphT5):
            return T5Session(self.student, self.steps, decoding, self.batch_size)
        return CausalSession(self.student, self.steps, decoding, self.batch_size)
