"""Engines by name: one of another library, registered from outside, drives every student."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.engine import ENGINES, open_engine
from smallsteps.generation.generator import Decoding, Engine, EngineSettings, Reply, Request
from smallsteps.generation.local import LocalEngine
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import solve
from smallsteps.records import Prediction
from smallsteps.students.dual import DualStudent
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task
from tiny_solving import Tiny, a_task, generated, marked, problems


class OneByOne:
    """An engine in its simplest form: `model.generate` for one prompt after another."""

    def __init__(self, student: Student, settings: EngineSettings) -> None:
        self.student = student

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        for request in requests:
            limit = request.max_new_tokens or decoding.max_new_tokens
            written, ended = generated(self.student, list(request.prompt), limit)  # type: ignore
            ids = tuple(written[:-1] if ended else written)
            text, finished = self.student.text(ids), "end" if ended else "limit"
            yield Reply(request.id, 0, ids, text, finished, len(written))  # type: ignore


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "one-by-one", OneByOne)


def answers(engine: str, student: Student | DualStudent, task: Task) -> dict[str, Prediction]:
    settings = SolveSettings(engine=engine, batch_size=4)
    predictions = solve(student, problems(24), task, settings)
    return {p.id: p for p in predictions}


def same_answers(student: Student | DualStudent, task: Task) -> dict[str, Prediction]:
    def content(prediction: Prediction) -> Any:
        return (prediction.segments, prediction.stopped, prediction.tokens, prediction.answer)

    local, plain = answers("local", student, task), answers("one-by-one", student, task)
    assert {id: content(p) for id, p in plain.items()} == {
        id: content(p) for id, p in local.items()
    }
    return local


@pytest.mark.parametrize("style", ["t5", "bart", "t5gemma", "t5gemma2", "llama"])
def test_an_engine_from_outside_answers_like_the_local_one_direct(tiny: Tiny, style: str) -> None:
    task = a_task(max_chain_tokens=30)
    same_answers(prepare(tiny(style), task, path="direct"), task)


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_an_engine_from_outside_answers_like_the_local_one_uni(tiny: Tiny, style: str) -> None:
    task = a_task()
    student = marked(prepare(tiny(style), task, path="uni"), 0.8 if style == "llama" else 0.0)
    found = same_answers(student, task)
    assert any(len(p.segments) > 1 for p in found.values()), "stop rules would go untested"


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_an_engine_from_outside_answers_like_the_local_one_dual(tiny: Tiny, style: str) -> None:
    task = a_task()
    halves = []
    for seed, role in ((1, "ES"), (2, "AS")):
        half = prepare(tiny(style, seed=seed), task, path="dual", role=role)
        halves.append(marked(half, 0.8) if style == "llama" else half)
    assert halves[0].drive is not None
    found = same_answers(DualStudent(*halves, halves[0].drive), task)
    assert any(len(p.segments) > 2 for p in found.values()), "caches would go untested"


class SlowStart(LocalEngine):
    """Takes long to get ready, and notes what becomes of it."""

    calls: ClassVar[list[str]] = []

    def start(self) -> None:
        self.calls.append("start")
        time.sleep(1.5)

    def close(self) -> None:
        self.calls.append("close")


def test_the_start_of_an_engine_is_no_time_of_an_answer_and_it_is_closed(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "slow", SlowStart)
    monkeypatch.setattr(SlowStart, "calls", [])
    student = prepare(tiny("t5"), a_task(), path="direct")
    settings = SolveSettings(engine="slow")
    (prediction,) = solve(student, problems(1), a_task(), settings)
    assert 0 < prediction.seconds < 1.5
    assert SlowStart.calls == ["start", "close"]
    started = solve(student, problems(2), a_task(), settings)
    next(started)
    started.close()  # type: ignore[attr-defined]
    assert SlowStart.calls[2:] == ["start", "close"], "an answer that nobody waits for"


def test_the_local_engine_is_the_default(tiny: Tiny) -> None:
    assert isinstance(open_engine(tiny("t5")), LocalEngine)


def test_every_opened_engine_has_sessions(tiny: Tiny) -> None:
    assert isinstance(open_engine(tiny("t5"), EngineSettings(engine="one-by-one")), Engine)


def test_an_unknown_engine_is_refused_with_the_nearest_name(tiny: Tiny) -> None:
    with pytest.raises(
        RecipeError,
        match=r"engine 'lokal' is not known, expected one of graphs, local, one-by-one, vllm\..*local",
    ):
        open_engine(tiny("t5"), EngineSettings(engine="lokal"))
