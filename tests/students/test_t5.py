"""The fused T5 against the modules: same numbers, whoever sits beside whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from smallsteps.students.student import Student
from smallsteps.students.t5 import T5Runner

Tiny = Callable[..., Student]
TEXTS = ["Ann has 3 boxes with 4 pens", "Tom bought 16", "Is it true that the sky is blue? Yes"]
TARGETS = [[0, 5, 7, 9, 11, 13, 15, 17], [0, 4, 4, 4], [0, 9, 8, 7, 6, 5, 4]]


def material(student: Student) -> tuple[list[list[int]], list[torch.Tensor]]:
    """Sources, and the modules' logits of each row alone. The weights are halved first: at full
    size they magnify rounding."""
    sources = [[*student.encode(text), student.end_id] for text in TEXTS]
    with torch.no_grad():
        for parameter in student.model.parameters():
            parameter.mul_(0.5)
        wanted = [
            student.model(
                input_ids=torch.tensor([s], device=student.device),
                decoder_input_ids=torch.tensor([t], device=student.device),
            ).logits[0]
            for s, t in zip(sources, TARGETS, strict=True)
        ]
    return sources, wanted


def close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return bool((found - wanted).abs().max() < 5e-5 * wanted.abs().max())


@pytest.mark.parametrize("style", ["t5", "t5-scaled"])
@torch.inference_mode()
def test_whole_rows_in_one_padded_batch(tiny: Tiny, style: str) -> None:
    student = tiny(style)
    sources, wanted = material(student)
    runner = T5Runner(student.model, torch.float32)
    states = runner.decode(TARGETS, runner.encode(sources))
    rows = runner.head(states).split([len(t) for t in TARGETS])
    assert all(close(found, one) for found, one in zip(rows, wanted, strict=True))


@pytest.mark.parametrize("style", ["t5", "t5-scaled"])
@pytest.mark.parametrize("steps", [1, 4, 9, 64])
@torch.inference_mode()
def test_rows_that_enter_at_different_steps_of_one_time_axis(
    tiny: Tiny, style: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few steps the caches move and grow while rows are under way; a slot is used twice."""
    monkeypatch.setattr("smallsteps.students.t5.STEPS", steps)
    student = tiny(style)
    sources, wanted = material(student)
    runner = T5Runner(student.model, torch.float32)
    runner.open(2)
    # (row, slot, step at which it enters); row 2 takes the slot of row 1
    plan = [(0, 0, 0), (1, 1, 1), (2, 1, 6), (0, 0, 9), (1, 0, 18)]
    found: list[list[torch.Tensor]] = [[] for _ in plan]
    for now in range(23):
        inputs, active = [0, 0], []
        for place, (row, slot, start) in enumerate(plan):
            if now == start:
                runner.enter([slot], runner.encode([sources[row]]))
            if 0 <= now - start < len(TARGETS[row]):
                inputs[slot] = TARGETS[row][now - start]
                active.append((slot, place))
        if not active:
            continue
        logits = runner.step(inputs, [slot for slot, _ in active])
        for slot, place in active:
            found[place].append(logits[slot].clone())
    for rows, (row, _, _) in zip(found, plan, strict=True):
        assert close(torch.stack(rows), wanted[row])


@torch.inference_mode()
def test_caches_are_as_long_as_their_rows_need_and_shrink_after_a_long_one(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallsteps.students.t5.STEPS", 8)
    student = tiny("t5")
    runner = T5Runner(student.model, torch.float32)
    source = runner.encode([student.encode(TEXTS[0])])
    runner.open(1)
    rooms = []
    for length in (40, *[3] * 10):  # rows one after another in one slot
        runner.enter([0], source)
        for _ in range(length):
            runner.step([0], [0])
        rooms.append(runner.past.shape[4])
    assert rooms[0] == 64 and rooms[-1] == 8


@torch.inference_mode()
def test_rows_go_on_after_others_were_dropped(tiny: Tiny) -> None:
    student = tiny("t5")
    sources, wanted = material(student)
    runner = T5Runner(student.model, torch.float32)
    runner.open(3)
    runner.enter([0, 1, 2], runner.encode(sources))
    for now in range(4):
        logits = runner.step([t[now] for t in TARGETS], [0, 1, 2])
    runner.keep([2, 0])
    logits = runner.step([TARGETS[2][4], TARGETS[0][4]], [0, 1])
    assert close(logits[0], wanted[2][4]) and close(logits[1], wanted[0][4])


@torch.inference_mode()
def test_a_head_too_large_to_copy_gives_the_same(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = tiny("t5-scaled")
    sources, wanted = material(student)
    monkeypatch.setattr("smallsteps.students.fused.LARGEST_COPY", 0)
    runner = T5Runner(student.model, torch.float32)
    states = runner.decode(TARGETS[:1], runner.encode(sources[:1]))
    assert close(runner.head(states), wanted[0])


@torch.inference_mode()
def test_reduced_precision_is_close_to_the_modules(tiny: Tiny) -> None:
    student = tiny("t5-scaled")
    sources, wanted = material(student)
    runner = T5Runner(student.model, torch.bfloat16)
    states = runner.decode(TARGETS[:1], runner.encode(sources[:1]))
    logits = runner.head(states)
    assert logits.dtype is torch.bfloat16
    assert (logits.float() - wanted[0]).abs().mean() < 0.05 * wanted[0].abs().mean()


@torch.inference_mode()
def test_sources_attend_alike_one_by_one_and_padded(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Padded is what other devices than the CPU do."""
    runner = T5Runner(tiny("t5-scaled").model, torch.float32)
    lengths = [5, 9, 2]
    fused = torch.randn(sum(lengths), 3 * runner.heads * runner.d_kv).to(runner.device)
    one_by_one = runner._attend(fused, lengths)
    monkeypatch.setattr("smallsteps.students.t5.ONE_BY_ONE", ())
    assert (runner._attend(fused, lengths) - one_by_one).abs().max() < 1e-5
