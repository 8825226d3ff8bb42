"""Readers for tests, without a model."""

from __future__ import annotations

from smallsteps.generation.generator import Reply
from smallsteps.methods.guided.rationales import WrittenRationale
from smallsteps.quality.rated import Rated
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains

TASK = get_task("facts")
CHAINS = make_chains(8, 4)
PROBLEMS = [chain.problem for chain in CHAINS]
GOLD = [
    WrittenRationale(" ".join(Rated.of(chain.problem, chain.rationale.text).steps), 30)
    for chain in CHAINS
]
"""The right rationale of each problem; its last word is the answer."""


class LastWordModel:
    """With a rationale it replies the last word of it. Without, it replies "Nowhere"; asked to
    reason, the next of `replies`."""

    def __init__(self, *replies):
        self.replies, self.requests = replies, []

    def generate(self, requests, decoding, progress=None):
        for request in requests:
            message = request.prompt[-1][1]
            for sample in range(request.samples):
                self.requests.append(message)
                yield Reply(request.id, sample, (), self.reply(message), "end", 2, read=10)

    def reply(self, message):
        if "Reasoning: " in message:
            words = message.split("Reasoning: ")[1].split("\n")[0].split()
            return words[-1].strip(".") if words else ""
        if "step by step" in message:
            return self.replies[(len(self.requests) - 1) % len(self.replies)]
        return "Nowhere"
