"""The engine `graphs` writes what the local engine writes. On a CPU its steps are not recorded."""

from __future__ import annotations

import pytest
import torch

from smallsteps.errors import RecipeError
from smallsteps.generation import graph_model, graph_t5, seat_cache
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, EngineSettings, Reply, Request
from smallsteps.students.student import Student
from tiny_solving import Tiny, a_task, problems

TASK = a_task()


def requests(student: Student, limits: list[int], **changes: object) -> list[Request]:
    return [
        Request(p.id, student.source_ids(TASK, p.question), max_new_tokens=limit, **changes)  # type: ignore[arg-type]
        for p, limit in zip(problems(len(limits)), limits, strict=True)
    ]


def written(
    student: Student,
    engine: str,
    wanted: list[Request],
    decoding: Decoding | None = None,
    batch_size: int = 4,
) -> dict[tuple[str, int], Reply]:
    opened = open_engine(student, EngineSettings(engine=engine, batch_size=batch_size))
    return {(r.id, r.sample): r for r in opened.generate(wanted, decoding or Decoding())}


def content(replies: dict[tuple[str, int], Reply]) -> dict[tuple[str, int], tuple[object, ...]]:
    return {key: (r.ids, r.text, r.finished, r.tokens) for key, r in replies.items()}


@pytest.mark.parametrize("style", ["llama", "qwen", "t5", "t5-scaled"])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_replies_are_those_of_the_local_engine(tiny: Tiny, style: str, batch_size: int) -> None:
    student = tiny(style)
    wanted = requests(student, [1, 30, 2, 12, 25, 3, 18, 9, 9, 30])
    ours = written(student, "graphs", wanted, batch_size=batch_size)
    assert content(ours) == content(written(student, "local", wanted))
    assert len(ours) == 10


@pytest.mark.parametrize("style", ["llama", "t5"])
def test_drawn_replies_of_several_samples_are_those_of_the_local_engine(
    tiny: Tiny, style: str
) -> None:
    student = tiny(style)
    decoding = Decoding(temperature=0.9, top_p=0.95, seed=3, logprobs=True)
    wanted = requests(student, [12] * 3, samples=3)
    ours, theirs = (written(student, name, wanted, decoding) for name in ("graphs", "local"))
    assert content(ours) == content(theirs)
    for key, reply in ours.items():
        torch.testing.assert_close(
            torch.tensor(reply.logprobs), torch.tensor(theirs[key].logprobs), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("style", ["llama", "t5"])
def test_rows_outgrow_their_seats(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, style: str) -> None:
    student = tiny(style)
    wanted = requests(student, [40, 3, 25, 40])
    theirs = content(written(student, "local", wanted))
    monkeypatch.setattr(seat_cache, "COLUMN_STEP", 8)
    monkeypatch.setattr(graph_t5, "COLUMN_STEP", 8)
    monkeypatch.setattr(graph_t5, "SOURCE_STEP", 8)
    assert content(written(student, "graphs", wanted)) == theirs


def test_what_prompts_share_is_read_once_and_long_prompts_in_several_passes(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = tiny("qwen")
    head = tuple(student.encode("Ann has 3 boxes with 4 pens each, so she has 12 pens. " * 2))
    tails = [student.encode(text) for text in ("Tom sold 2", "She ate 5", "Ann", "so", "away")]
    wanted = [Request(f"r{n}", (*head, *tail), max_new_tokens=8) for n, tail in enumerate(tails)]
    theirs = content(written(student, "local", wanted))
    assert content(written(student, "graphs", wanted)) == theirs
    monkeypatch.setattr(graph_model.GraphModel, "read_tokens", 1)
    assert content(written(student, "graphs", wanted)) == theirs


@pytest.mark.parametrize("lengths", [(5, 5), (3, 9)])
def test_a_reply_goes_on_from_caches_of_any_length(tiny: Tiny, lengths: tuple[int, int]) -> None:
    student = tiny("llama")
    wanted = requests(student, list(lengths), keep_cache=True)
    outcomes = []
    for name in ("graphs", "local"):
        engine = open_engine(student, EngineSettings(engine=name, batch_size=4))
        first = {r.id: r for r in engine.generate(wanted, Decoding())}
        later = [
            Request(
                w.id,
                (*w.prompt, *first[w.id].ids, 7, 9),  # type: ignore[misc]
                max_new_tokens=6,
                cache=first[w.id].cache if n else None,
            )
            for n, w in enumerate(wanted)
        ]
        outcomes.append({r.id: r.ids for r in engine.generate(later, Decoding())})
        both = [w for w in wanted if first[w.id].cache is not None]
        assert len(both) == 2 and all(first[w.id].cache.length for w in both)  # type: ignore[union-attr]
    assert outcomes[0] == outcomes[1]


def test_other_students_are_refused(tiny: Tiny) -> None:
    with pytest.raises(
        RecipeError, match=r"engine 'graphs' drives T5, mT5 and Llama-class students"
    ):
        open_engine(tiny("bart"), EngineSettings(engine="graphs"))
