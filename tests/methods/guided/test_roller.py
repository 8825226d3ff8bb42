"""Rollouts for reinforcement learning: what is drawn depends on step, prompt and sample alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
import torch

from smallsteps.generation.generator import Decoding
from smallsteps.methods.guided.roller import roller

PROMPTS = [("a", (5, 6, 7, 1)), ("b", (8, 9, 1)), ("c", (10, 11, 12, 1))]
DECODING = Decoding(max_new_tokens=8, temperature=1.0, seed=3)


@pytest.mark.parametrize("style", ["t5-scaled", "llama"])
def test_a_group_is_the_same_in_whatever_batch_and_company_it_is_drawn(tiny, style):
    student = tiny(style)
    together = roller(PROMPTS, 3, DECODING)(student, 4, [2, 0, 1])
    alone = roller(PROMPTS, 3, DECODING, batch_size=1)
    apart = [*alone(student, 4, [2]), *alone(student, 4, [0, 1])]
    for batched, single in zip(chain(*together), chain(*apart), strict=True):
        assert replace(batched, logprobs=()) == replace(single, logprobs=())
        assert batched.logprobs == pytest.approx(single.logprobs, rel=1e-4, abs=1e-4)
    assert [[rollout.prompt for rollout in group] for group in together] == [
        ["c"] * 3,
        ["a"] * 3,
        ["b"] * 3,
    ]
    assert [[rollout.sample for rollout in group] for group in together] == [[0, 1, 2]] * 3
    assert {group[0].source for group in together} == {source for _, source in PROMPTS}


def test_steps_samples_and_seeds_draw_different_rollouts(tiny):
    student = tiny("t5-scaled")
    roll = roller(PROMPTS, 4, DECODING)
    first = roll(student, 0, [0, 1, 2])
    targets = [rollout.target for group in first for rollout in group]
    assert len(set(targets)) > len(PROMPTS)
    assert roll(student, 1, [0, 1, 2]) != first
    other_seed = roller(PROMPTS, 4, Decoding(max_new_tokens=8, temperature=1.0, seed=4))
    assert other_seed(student, 0, [0, 1, 2]) != first


def test_a_finished_rollout_holds_its_end_and_each_of_its_tokens_a_log_probability(tiny):
    """The end is learnt too: without it, refinement could not teach when to stop."""
    student = tiny("t5-scaled", talkative=6.0)
    groups = roller(PROMPTS, 8, DECODING)(student, 0, [0, 1, 2])
    rollouts = [rollout for group in groups for rollout in group]
    assert {rollout.finished for rollout in rollouts} == {True, False}
    for rollout in rollouts:
        assert (rollout.target[-1] == student.end_id) == rollout.finished
        assert len(rollout.logprobs) == len(rollout.target)
        assert max(rollout.logprobs) <= 0


def test_rollouts_are_drawn_from_the_weights_as_they_are_now(tiny):
    student = tiny("t5-scaled")
    roll = roller(PROMPTS, 2, DECODING)
    before = roll(student, 0, [0, 1, 2])
    with torch.no_grad():
        student.model.get_output_embeddings().weight.mul_(-1)
    assert roll(student, 0, [0, 1, 2]) != before
