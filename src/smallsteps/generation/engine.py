"""The local engine: continuous batching for a student in this process.

Rows never wait for the longest of their batch: who is done leaves, who waits enters, and whoever
submits a longer prefix between two steps finds it under way in the next. In float32, greedy text is
what `model.generate` writes for each request alone.

T5 and mT5 run on `students/t5.py`, causal students on `causal.py`, other encoder-decoders on
transformers' modules in cohorts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from smallsteps.errors import RecipeError, nearest
from smallsteps.generation.causal import CausalSession
from smallsteps.generation.encoder_decoder import CohortSession, T5Session
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.students.student import Student
from smallsteps.students.t5 import T5Runner
from smallsteps.students.weights import DTYPES, merged


class Session(Protocol):
    """A batch under way."""

    def submit(self, request: Request) -> None:
        """Queues a request; allowed at any time."""
        ...

    def step(self) -> list[Reply]:
        """Writes one token of every row under way; the replies that are done."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        ...


class LocalEngine:
    """A `Generator` over a student. Puts the student's model into evaluation mode and reads its
    weights once: make a new engine after they have changed.

    dtype: `bfloat16` computes in reduced precision on a copy of the weights; None computes in the
    student's own."""

    def __init__(self, student: Student, batch_size: int = 32, dtype: str | None = None) -> None:
        if dtype is not None and dtype not in DTYPES:
            raise RecipeError(f"dtype {dtype!r} is not known.{nearest(dtype, DTYPES)}")
        if batch_size < 1:
            raise RecipeError(f"batch_size is {batch_size}, expected at least 1.")
        self.student, self.batch_size = student, batch_size
        wanted = DTYPES[dtype] if dtype else student.dtype
        student.model.eval()
        model: Any = merged(student.model)
        self.runner = T5Runner(model, wanted) if model.config.model_type in ("t5", "mt5") else None
        if self.runner is None and wanted is not student.dtype:
            model = (copy.deepcopy(model) if model is student.model else model).to(wanted)
        self.model = model

    def session(self, decoding: Decoding) -> Session:
        """An empty batch. One at a time for T5 students, whose caches the engine owns."""
        if self.runner is not None:
            return T5Session(self.student, self.runner, decoding, self.batch_size)
        if self.student.architecture == "encoder-decoder":
            return CohortSession(self.student, self.model, decoding, self.batch_size)
        return CausalSession(self.student, self.model, decoding, self.batch_size)

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        """One reply for each request and sample, in the order in which they are done."""
        session = self.session(decoding)
        for request in requests:
            session.submit(request)
        done = 0
        while not session.idle:
            for reply in session.step():
                done += 1
                if progress:
                    progress(done)
                yield reply
