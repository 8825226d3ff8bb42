"""Writes rollouts of a student, for reinforcement learning."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from smallsteps import team
from smallsteps.errors import EngineError
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, Engine, EngineSettings, Renewable, Request
from smallsteps.students.student import Student
from smallsteps.training.policy import target_log_probs
from smallsteps.training.rollouts import Rollout

Prompt = tuple[str, Sequence[int]]
"""(id, ids that the student reads)."""
CHECKED = 4
"""Rollouts of each step that are compared with the student, where a server wrote them."""
LARGEST_GAP = 0.1
"""Nats a token by which a server's log-probabilities may differ from the student's."""


class Roller:
    """Writes `samples` rollouts of each prompt: a `Roll`. What is drawn in a step depends on its
    number, the prompt and the sample alone; the decoding's seed tells runs apart.

    A server (engine `vllm`) is started by the first step, takes the student's weights anew in each
    further one, and ends with `close`."""

    def __init__(
        self,
        prompts: Sequence[Prompt],
        samples: int,
        decoding: Decoding,
        settings: EngineSettings | None = None,
    ) -> None:
        self.prompts, self.samples = prompts, samples
        self.decoding = decoding.changed(logprobs=True)
        self.settings = settings or EngineSettings(batch_size=64)
        self._engine: Engine | None = None
        self._student: Student | None = None

    def __call__(self, student: Student, step: int, numbers: Sequence[int]) -> list[list[Rollout]]:
        """The groups of the prompts with these numbers, written with the weights as they are now.
        Raises EngineError, and RecipeError where the engine cannot write rollouts."""
        decoding = self.decoding.changed(seed=self.decoding.seed * 1_000_003 + step)

        def write(share: Sequence[Prompt]) -> list[list[Rollout]]:
            requests = [Request(id, source, self.samples) for id, source in share]
            sources = {id: tuple(source) for id, source in share}
            groups: dict[str, dict[int, Rollout]] = {id: {} for id, _ in share}
            engine = self._open(student)
            for reply in engine.generate(requests, decoding):
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
            written = [[groups[id][sample] for sample in range(self.samples)] for id, _ in share]
            if isinstance(engine, Renewable):
                check_written_by(student, [group[0] for group in written[:CHECKED]], step)
            return written

        return team.share_out([self.prompts[number] for number in numbers], write)

    def _open(self, student: Student) -> Engine:
        """An engine that has the weights as they are now: the one that is open where it can take
        them, else a new one."""
        engine = self._engine
        if engine is None or student is not self._student or not isinstance(engine, Renewable):
            self.close()
            engine = self._engine = open_engine(student, self.settings)
            self._student = student
        if isinstance(engine, Renewable):
            engine.renew()
        return engine

    def close(self) -> None:
        """Ends a server. The next step would start another one."""
        if self._engine is not None:
            self._engine.close()
        self._engine = self._student = None


def check_written_by(student: Student, rollouts: Sequence[Rollout], step: int) -> None:
    """Raises EngineError where a server's log-probabilities are not the student's: it did not take
    the weights that it was given. Reduced precision moves them by some hundredths of a nat."""
    rollouts = [rollout for rollout in rollouts if rollout.target]
    pairs = [(rollout.source, rollout.target) for rollout in rollouts]
    gaps = [
        abs(sum(rollout.logprobs) - logprob) / len(rollout.target)
        for rollout, logprob in zip(rollouts, target_log_probs(student, pairs), strict=True)
    ]
    if gaps and fmean(gaps) > LARGEST_GAP:
        raise EngineError(
            f"step {step + 1}: what the server wrote has log-probabilities that are "
            f"{fmean(gaps):.2g} nats a token from the student's: it does not write with the "
            "student's weights. Use another version of the server, or engine local."
        )
