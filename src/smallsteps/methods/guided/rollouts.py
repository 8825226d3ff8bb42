"""Rollouts of a student by the local engine, for reinforcement learning."""

from __future__ import annotations

from collections.abc import Sequence

from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, EngineSettings, Request
from smallsteps.students.student import Student
from smallsteps.training.rollouts import Roll, Rollout


def roller(
    prompts: Sequence[tuple[str, Sequence[int]]],
    samples: int,
    decoding: Decoding,
    batch_size: int = 64,
) -> Roll:
    """Writes `samples` rollouts of each prompt, given as (id, ids). What is drawn in a step depends
    on its number, the prompt and the sample alone; the decoding's seed tells runs apart."""

    def roll(student: Student, step: int, numbers: Sequence[int]) -> list[list[Rollout]]:
        own = Decoding(
            max_new_tokens=decoding.max_new_tokens,
            temperature=decoding.temperature,
            top_k=decoding.top_k,
            top_p=decoding.top_p,
            seed=decoding.seed * 1_000_003 + step,
            logprobs=True,
        )
        chosen = [prompts[number] for number in numbers]
        groups: dict[str, dict[int, Rollout]] = {id: {} for id, _ in chosen}
        sources = {id: tuple(source) for id, source in chosen}
        end = student.end_id
        engine = open_engine(
            student, EngineSettings(batch_size=batch_size)
        )  # the weights as they are now
        for reply in engine.generate([Request(id, source, samples) for id, source in chosen], own):
            finished = reply.finished == "end"
            ids = (*reply.ids, end) if finished else reply.ids
            groups[reply.id][reply.sample] = Rollout(
                reply.id, reply.sample, sources[reply.id], ids, reply.text, finished, reply.logprobs
            )
        return [[groups[id][sample] for sample in range(samples)] for id, _ in chosen]

    return roll
