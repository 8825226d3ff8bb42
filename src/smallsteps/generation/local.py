"""The local engine: continuous batching for a student in this process.

Rows never wait for the longest of their batch: a row that is done leaves, a waiting one takes its
place, and a request that is submitted between two steps joins the next. In float32, greedy text is
what `model.generate` writes for each request alone.

T5 and mT5 run on `students/t5.py`, Llama-class students on a CPU on `students/llama.py`, other
causal students on transformers' modules (`causal_models.py`), other encoder-decoders on
transformers' modules in cohorts (`encoder_decoder.py`)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from smallsteps.errors import RecipeError, nearest
from smallsteps.generation.causal import CausalSession
from smallsteps.generation.causal_models import CausalModel, FusedModel, ModuleModel
from smallsteps.generation.encoder_decoder import CohortSession, T5Session
from smallsteps.generation.generator import (
    Decoding,
    EngineSettings,
    Reply,
    Request,
    Session,
    run_session,
)
from smallsteps.students.llama import LlamaRunner, runs_fast
from smallsteps.students.student import Student
from smallsteps.students.t5 import T5Runner
from smallsteps.students.weights import DTYPES, merged


class LocalEngine:
    """An `Engine` on the student's own weights. Puts the model into evaluation mode; reduced
    precision computes on a copy of the weights.

    Raises RecipeError on an unknown dtype."""

    def __init__(self, student: Student, settings: EngineSettings | None = None) -> None:
        settings = settings or EngineSettings()
        dtype = settings.dtype
        if dtype is not None and dtype not in DTYPES:
            raise RecipeError(f"dtype {dtype!r} is not known.{nearest(dtype, DTYPES)}")
        self.student, self.batch_size = student, settings.batch_size
        wanted = DTYPES[dtype] if dtype else student.dtype
        student.model.eval()
        model: Any = merged(student.model)
        self.runner: T5Runner | LlamaRunner | None = None
        if model.config.model_type in ("t5", "mt5"):
            self.runner = T5Runner(model, wanted)
        elif runs_fast(model):
            self.runner = LlamaRunner(model, wanted)
        by_modules = not self.runner or (isinstance(self.runner, LlamaRunner) and not self.on_cpu)
        if by_modules and wanted is not student.dtype:
            model = (copy.deepcopy(model) if model is student.model else model).to(wanted)
        self.model = model

    @property
    def on_cpu(self) -> bool:
        """Where prompts are read by the runner too; elsewhere modules read them."""
        return self.student.device.type == "cpu"

    def session(self, decoding: Decoding) -> Session:
        """An empty batch. One at a time for T5 students, whose caches the engine owns."""
        student = self.student
        if isinstance(self.runner, T5Runner):
            return T5Session(student, self.runner, decoding, self.batch_size)
        if student.architecture == "encoder-decoder":
            return CohortSession(student, self.model, decoding, self.batch_size)
        if self.runner is not None and self.on_cpu:
            model: CausalModel = FusedModel(self.runner)
        else:
            model = ModuleModel(self.model, student.pad_id, self.runner)
        return CausalSession(student, model, decoding, self.batch_size)

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        """One reply for each request and sample, in the order in which they are done."""
        return run_session(self.session(decoding), requests, progress)

    def start(self) -> None:
        """Nothing: it is ready."""

    def close(self) -> None:
        """Nothing: the weights are the student's."""
