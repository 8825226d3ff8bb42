"""Predictions of the engine against `model.generate`, called segment by segment, one question at a
time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from smallsteps.errors import DataError, StudentError
from smallsteps.generation.draft import GivenPrefix
from smallsteps.generation.generator import Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import load_with_task, solve, stored_task
from smallsteps.records import Kind, Prediction, Problem
from smallsteps.students.dual import DualStudent
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from tiny_solving import Tiny, a_task, generated, marked, problems


def by_generate(
    student: Student | DualStudent, problem: Problem, task: Task
) -> tuple[list[tuple[Any, str]], str]:
    """Algorithms 1 and 2 written down naively, the whole prefix read anew for each segment."""
    dual = isinstance(student, DualStudent)
    causal = student.architecture == "causal"
    cued = not dual and student.drive is not None and student.drive.cue
    segments: list[tuple[Kind, str]] = []
    raw: list[int] = []
    while True:
        kind: Kind = "AS" if len(segments) % 2 else "ES"
        one = student.half(kind) if dual else student
        if causal:
            # ids are continued as they were written, never made again from text
            ids = one.source_ids(task, problem.question, cue="ES") + raw
            written, ended = generated(one, ids, task.max_segment_tokens, set(one.markers.values()))
            if not dual and segments:
                kind = "ES" if ids[-1] == one.markers["ES"] else "AS"
        else:
            ids = one.source_ids(task, problem.question, segments, kind if cued else None)
            written, ended = generated(one, ids, task.max_segment_tokens)
        last = written[-1] if ended else None
        text = one.text(written[:-1] if ended else written).strip()
        segments.append((kind, text))
        stopped = None
        if task.ends_chain(text, problem):
            stopped = "stop_sign"
        elif causal and last in one.end_ids:
            stopped = "end"
        elif not ended or len(segments) >= task.max_segments:
            stopped = "limit"
        elif len(segments) > 1 and not text and not segments[-2][1]:
            stopped = "empty"
        if stopped:
            shown = [(k if dual or causal or cued else None, t) for k, t in segments if t]
            return shown, stopped
        marker = one.markers["AS" if kind == "ES" else "ES"] if dual and causal else last
        raw += [*(written[:-1]), marker] if causal else []


def compare(
    student: Student | DualStudent, task: Task, count: int = 14, batch_size: int = 5
) -> list[Prediction]:
    items = problems(count)
    found = {
        p.problem_id: p for p in solve(student, items, task, SolveSettings(batch_size=batch_size))
    }
    assert sorted(found) == sorted(p.id for p in items)
    for item in items:
        segments, stopped = by_generate(student, item, task)
        assert list(found[item.id].segments) == segments, item.id
        assert found[item.id].stopped == stopped, item.id
    return list(found.values())


@pytest.mark.parametrize("style", ["t5", "t5-scaled", "bart", "t5gemma", "t5gemma2"])
@pytest.mark.parametrize("cue", [False, True])
def test_uni_path_writes_what_generate_writes_segment_by_segment(
    tiny: Tiny, style: str, cue: bool
) -> None:
    task = a_task()
    # as talkative as chains of several lengths need
    talkative = {"bart": (1, 5.0), "t5gemma": (1, 2.0), "t5gemma2": (2, 2.0)}
    student = tiny(style, *talkative.get(style, ()))
    prepare(student, task, path="uni", cue=cue)
    found = compare(student, task)
    assert len({len(p.segments) for p in found}) > 2, (
        "chains of one length would not test that rows come and go"
    )


@pytest.mark.parametrize("style", ["t5", "bart", "t5gemma", "t5gemma2", "llama", "qwen"])
def test_direct_writes_what_generate_writes(tiny: Tiny, style: str) -> None:
    task = a_task(max_chain_tokens=30)
    student = prepare(tiny(style), task, path="direct")
    items = problems(12)
    for prediction in solve(student, items, task, SolveSettings(batch_size=5)):
        item = next(p for p in items if p.id == prediction.problem_id)
        written, ended = generated(student, student.source_ids(task, item.question), 30)
        assert prediction.text == student.text(written[: -1 if ended else None]).strip()
        assert prediction.tokens == len(written)
        sign = task.ends_chain(prediction.text, item)
        assert prediction.stopped == ("stop_sign" if sign else "end" if ended else "limit")


@pytest.mark.parametrize("style", ["llama", "qwen"])
def test_causal_uni_path_on_one_cache_writes_what_generate_writes(tiny: Tiny, style: str) -> None:
    task = a_task()
    student = marked(prepare(tiny(style), task, path="uni"), 0.8)
    found = compare(student, task)
    assert len({len(p.segments) for p in found}) > 2


@pytest.mark.parametrize("style", ["t5", "llama", "qwen"])
def test_dual_path_takes_turns_and_writes_what_generate_writes(tiny: Tiny, style: str) -> None:
    task = a_task()
    es = prepare(tiny(style, seed=1), task, path="dual", role="ES")
    as_ = prepare(tiny(style, seed=2), task, path="dual", role="AS")
    if style != "t5":
        es, as_ = marked(es, 0.8), marked(as_, 0.8)
    assert es.drive is not None
    found = compare(DualStudent(es, as_, es.drive), task)
    assert any(len(p.segments) > 2 for p in found)


def test_results_do_not_depend_on_batch_size_or_order(tiny: Tiny) -> None:
    task = a_task()
    student = prepare(tiny("t5"), task, path="uni")
    items = problems(15)
    decoding = Decoding(temperature=1.0, top_k=20, top_p=0.9, seed=3)

    def run(order: list[Problem], batch_size: int) -> dict[str, str]:
        solving = SolveSettings(batch_size=batch_size, samples=2)
        return {p.id: p.text for p in solve(student, order, task, solving, decoding)}

    first = run(items, 4)
    assert len(first) == 30
    assert run(items[::-1], 1) == first == run(items, 32)
    pairs = [(first[f"{p.id}/prediction-0"], first[f"{p.id}/prediction-1"]) for p in items]
    assert any(a != b for a, b in pairs), "samples of one question must differ"


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_a_student_writes_as_many_segments_as_its_training_chains_have_whatever_the_task_says(
    tiny: Tiny, style: str
) -> None:
    def lengths(limit: int | None, task: Task) -> list[int]:
        student = prepare(tiny(style), task, path="uni", max_segments=limit)
        student = student if style == "t5" else marked(student, 0.8)
        return [len(p.segments) for p in solve(student, problems(40), task)]

    never = a_task(extract=lambda text, lenient, problem: None)
    few, many = replace(never, max_segments=2), replace(never, max_segments=9)
    assert lengths(2, many) == lengths(None, few)
    assert lengths(9, few) == lengths(None, many) != lengths(None, few)


def test_two_empty_segments_end_a_chain(tiny: Tiny) -> None:
    task = a_task()
    student = prepare(tiny("t5"), task, path="uni")
    with torch.no_grad():
        student.model.get_output_embeddings().weight.zero_()
        student.model.get_output_embeddings().weight[student.end_id] = 0
        # equal logits everywhere: the first id, <pad>, is written until the limit
    found = list(solve(student, problems(3), task, SolveSettings(batch_size=2)))
    assert [p.stopped for p in found] == ["limit"] * 3
    student.end_ids = frozenset({0})
    found = list(solve(student, problems(3), task, SolveSettings(batch_size=2)))
    assert [(p.stopped, p.text, p.tokens) for p in found] == [("empty", "", 2)] * 3


def test_a_question_longer_than_the_student_reads_names_its_record(tiny: Tiny) -> None:
    task = a_task()
    student = prepare(tiny("bart"), task, path="uni")
    long = Problem(id="row-9", question="pens " * 300, answer="7")
    with pytest.raises(
        DataError, match=r"row-9: needs \d+ tokens, tiny-bart reads 128. Shorten the question"
    ):
        list(solve(student, [*problems(2), long], task))
    t5 = prepare(tiny("t5"), task, path="uni")
    with pytest.raises(DataError, match=r"row-9.*reads 64.*raise source_limit"):
        list(solve(t5, [long], task, SolveSettings(source_limit=64)))


def test_duplicate_ids_are_refused(tiny: Tiny) -> None:
    with pytest.raises(DataError, match="p0: two problems have this id"):
        list(solve(tiny("t5"), [*problems(1), *problems(1)], a_task()))


def test_segments_are_told_as_they_are_written(tiny: Tiny) -> None:
    task = a_task()
    student = prepare(tiny("t5"), task, path="uni", cue=True)
    told: list[Any] = []
    items = problems(4)
    found = list(solve(student, items, task, on_segment=lambda *a: told.append(a)))
    for prediction in found:
        mine = [
            (kind, text) for name, _, kind, text in told if name == prediction.problem_id and text
        ]
        assert mine == list(prediction.segments)


def test_the_task_of_a_trained_student_is_known_before_it_is_loaded(
    tiny: Tiny, tmp_path: Path
) -> None:
    prepare(tiny("t5"), get_task("gsm8k"), path="uni").save(tmp_path / "student")
    task = stored_task(str(tmp_path / "student"))
    assert task is not None and task.name == "gsm8k"
    tiny("t5").save(tmp_path / "untrained")
    assert stored_task(str(tmp_path / "untrained")) is None
    assert stored_task("bundled") is stored_task("a\0b") is stored_task("x" * 5000) is None


def test_a_student_that_smallsteps_did_not_train_needs_a_task(tiny: Tiny, tmp_path: Path) -> None:
    tiny("t5").save(tmp_path / "untrained")
    with pytest.raises(StudentError, match=r"was not trained by smallsteps.*Name it: --task"):
        load_with_task(tmp_path / "untrained")
    loaded = load_with_task(tmp_path / "untrained", task=a_task())
    assert loaded("How many pens").problem_id == "question"


@pytest.mark.parametrize(("style", "path"), [("t5", "uni"), ("bart", "uni"), ("t5", "direct")])
def test_a_chain_that_begins_as_the_student_began_it_ends_as_the_student_ended_it(
    tiny: Tiny, style: str, path: str
) -> None:
    task = a_task()
    student = prepare(tiny(style, seed=1, talkative=5.0), task, path=path)  # type: ignore[arg-type]
    items = problems(12)
    chains = {p.problem_id: p for p in solve(student, items, task)}
    given = {}
    for name, chain in chains.items():
        if path == "uni":
            segments: list[tuple[Kind, str]] = [("ES", text) for _, text in chain.segments]
            given[name] = GivenPrefix(tuple(segments[: len(segments) // 2]))
        else:
            given[name] = GivenPrefix(begun=chain.text[: len(chain.text) // 2].rpartition(" ")[0])
    # only where the ids of the text are those that were written
    same = [p for p in items if student.encode(given[p.id].begun) == _written(student, p, given)]
    assert len(same) > 5 and any(given[p.id] != GivenPrefix() for p in same)
    for prediction in solve(student, same, task, given=given):
        assert prediction.text == chains[prediction.problem_id].text


def _written(student: Student, problem: Problem, given: dict[str, GivenPrefix]) -> list[int]:
    """The ids that the student writes first, as many as the beginning of its chain has."""
    count = len(student.encode(given[problem.id].begun))
    ids = student.source_ids(a_task(), problem.question)
    return generated(student, ids, count)[0][:count] if count else []


def test_a_chain_ends_where_it_has_enough(tiny: Tiny) -> None:
    task = a_task()
    student = prepare(tiny("t5"), task, path="uni")
    items = problems(8)
    free = {p.problem_id: p for p in solve(student, items, task)}
    chosen = next(name for name, chain in free.items() if len(chain.segments) > 2)
    asked: list[tuple[str, str]] = []

    def enough(name: str, text: str) -> bool:
        asked.append((name, text))
        return name == chosen and text == free[chosen].segments[0][1]

    found = {p.problem_id: p for p in solve(student, items, task, enough=enough)}
    assert found[chosen].segments == free[chosen].segments[:1]
    assert found[chosen].stopped == "limit"
    assert asked.count((chosen, found[chosen].text)) == 1
    assert [p.text for n, p in found.items() if n != chosen] == [
        free[n].text for n in found if n != chosen
    ]


def test_a_given_part_that_is_longer_than_the_student_reads_ends_its_chain_alone(
    tiny: Tiny,
) -> None:
    """The trap: one gold chain that is too long must not end a run whose questions all fit."""
    task = a_task()
    student = prepare(tiny("t5"), task, path="uni")
    items = problems(4)
    given = {items[1].id: GivenPrefix((("ES", "pens " * 50),))}
    settings = SolveSettings(source_limit=60)
    found = {p.problem_id: p for p in solve(student, items, task, settings, given=given)}
    free = {p.problem_id: p for p in solve(student, items, task, settings)}
    assert found[items[1].id].stopped == "limit" and "pens pens" in found[items[1].id].text
    assert all(found[p.id].text == free[p.id].text for p in items if p.id not in given)
    with pytest.raises(DataError, match="needs"):
        list(solve(student, items, task, SolveSettings(source_limit=5), given=given))
