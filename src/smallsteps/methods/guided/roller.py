"""Writes rollouts of a student with the local engine, for reinforcement learning."""

from __future__ import annotations

from collections.abc import Sequence

from smallsteps import team
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
        step_decoding = Decoding(
            max_new_tokens=decoding.max_new_tokens,
            temperature=decoding.temperature,
            top_k=decoding.top_k,
            top_p=decoding.top_p,
            seed=decoding.seed * 1_000_003 + step,
            logprobs=True,
        )
        chosen = [prompts[number] for number in numbers]
        sources = {id: tuple(source) for id, source in chosen}
        # a new engine in each step: it takes the weights as they are now
        engine = open_engine(student, EngineSettings(batch_size=batch_size))

        def write(share: Sequence[tuple[str, Sequence[int]]]) -> list[list[Rollout]]:
            requests = [Request(id, source, samples) for id, source in share]
            groups: dict[str, dict[int, Rollout]] = {id: {} for id, _ in share}
            for reply in engine.generate(requests, step_decoding):
                finished = reply.finished == "end"
                target = (*reply.ids, student.end_id) if finished else reply.ids
                groups[reply.id][reply.sample] = Rollout(
                    prompt=reply.id,
                    sample=reply.sample,
                    source=sources[reply.id],
                    target=target,
                    text=reply.text,
                    finished=finished,
                    logprobs=reply.logprobs,
                )
            return [[groups[id][sample] for sample in range(samples)] for id, _ in share]

        return team.share_out(chosen, write)

    return roll
