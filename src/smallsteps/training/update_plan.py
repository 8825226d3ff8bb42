"""Which examples each update trains, fixed before the first one.

An update is a fixed random set of examples (AS-ES paper: 64). A set that the end of a pass leaves
short is filled from the next pass: no row is lost. The budget is counted in training tokens without
padding; the plan ends at the update that reaches it, which repeats exactly. How an update goes
through the model stands in `batches.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count as counting
from itertools import islice

import numpy as np

from smallsteps.training.settings import TrainSettings, suited_update


@dataclass(frozen=True)
class Plan:
    """All updates of a run, fixed before it starts."""

    count: int
    """Sequences there are."""
    update_examples: int
    seed: int
    tokens: tuple[int, ...]
    """Training tokens of each update."""

    @property
    def updates(self) -> int:
        return len(self.tokens)

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens)

    @property
    def passes(self) -> float:
        """How often each sequence is read, on average."""
        return self.passes_after(self.updates)

    def tokens_after(self, update: int) -> int:
        """Training tokens by the end of `update` (counted from 1)."""
        return sum(self.tokens[:update])

    def passes_after(self, update: int) -> float:
        """How often each sequence is read by the end of `update` (counted from 1), on average."""
        return update * self.update_examples / self.count

    def members(self, update: int) -> list[int]:
        """Indices of the sequences of `update` (counted from 0), in the order in which they were
        drawn."""
        first = update * self.update_examples
        return [self._at(place) for place in range(first, first + self.update_examples)]

    def _at(self, place: int) -> int:
        turn, offset = divmod(place, self.count)
        return int(_permutation(self.seed, turn, self.count)[offset])

    def rates(self, schedule: str, warmup_share: float) -> list[float]:
        """The learning rate of each update as a share of the highest, read off at the middle of the
        update's tokens."""
        ends = np.cumsum(self.tokens)
        at = (ends - np.asarray(self.tokens) / 2) / ends[-1]
        rest = np.clip((at - warmup_share) / (1 - warmup_share), 0, 1)
        shape = {
            "cosine": 0.5 * (1 + np.cos(np.pi * rest)),
            "linear": 1 - rest,
            "constant": np.ones_like(rest),
        }[schedule]
        return [float(x) for x in np.where(at < warmup_share, at / max(warmup_share, 1e-12), shape)]

    def marks(self, times: int) -> list[int]:
        """After how many updates j / times of the tokens are read, for j = 1 to `times`, the last
        at the end. A short run has the same update more than once."""
        ends = np.cumsum(self.tokens)
        shares = [ends[-1] * j / times for j in range(1, times)]
        return [*(int(np.searchsorted(ends, share)) + 1 for share in shares), self.updates]

    def evaluations(self, times: int) -> list[int]:
        """After which updates a run is evaluated: its `marks`, each once."""
        return sorted(set(self.marks(times)))


_permutations: dict[tuple[int, int, int], np.ndarray] = {}


def _permutation(seed: int, turn: int, count: int) -> np.ndarray:
    """The order of pass `turn`; the last few are kept because an update asks for 64 of the same."""
    key = (seed, turn, count)
    if key not in _permutations:
        while len(_permutations) >= 4:
            _permutations.pop(next(iter(_permutations)))
        _permutations[key] = np.random.default_rng((seed, turn)).permutation(count)
    return _permutations[key]


def plan_updates(tokens: Sequence[int], settings: TrainSettings, seed: int = 0) -> Plan:
    """The plan for sequences with these numbers of tokens (source + target). If there are fewer
    sequences than `update_examples`, each update has every one once."""
    count = len(tokens)
    passes = settings.passes if settings.budget is None else settings.budget / max(1, sum(tokens))
    size = min(settings.update_examples or suited_update(passes * count), count)
    of_updates = _tokens_of_updates(np.asarray(tokens, dtype=np.int64), size, seed)
    if settings.budget is None:
        updates = max(1, -(-round(settings.passes * count) // size))
        return Plan(count, size, seed, tuple(islice(of_updates, updates)))
    planned: list[int] = []
    left = settings.budget
    while left > 0:
        planned.append(next(of_updates))
        left -= planned[-1]
    return Plan(count, size, seed, tuple(planned))


def _tokens_of_updates(tokens: np.ndarray, size: int, seed: int) -> Iterator[int]:
    """Training tokens of each update of `size` sequences, without end."""
    rest = tokens[:0]
    for turn in counting():
        drawn = np.concatenate([rest, tokens[_permutation(seed, turn, len(tokens))]])
        whole = len(drawn) // size * size
        yield from drawn[:whole].reshape(-1, size).sum(1).tolist()
        rest = drawn[whole:]
