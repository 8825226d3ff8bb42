"""Which steps of a chain are right, and the accuracy of each step: how errors accumulate.

A step is an equation. The gold steps of a problem are the equations of its gold chain whose
arithmetic holds, or what the generator of a bundled problem says. A written equation is gold step k
where its arithmetic holds and it has the same result; of bundled problems also the same numbers and
signs.

    free-running   the equations of the chain that the student wrote are aligned with the gold
                   steps, in order, as many as possible (longest common subsequence); a step is
                   right where it is aligned
    gold prefix    the student reads the gold chain up to step k - 1 and writes on; step k is right
                   where it is among the next `NEXT_EQUATIONS` equations

Further equations between two steps do no harm in either case: a student may take smaller steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from smallsteps.evaluation.shares import Share, share, share_difference
from smallsteps.evaluation.significance import Rows
from smallsteps.tasks.equations import Equation, find_equations

NEXT_EQUATIONS = 4
"""Equations after a gold prefix among which the next step may be."""
LEAST_CHAINS = 30
"""Steps that fewer chains have are pooled with all later ones."""
MOST_ROWS = 5
"""Rows of a table of steps; the last pools all later steps."""


@dataclass(frozen=True)
class GoldSteps:
    """The steps that a chain must take."""

    equations: tuple[Equation, ...]
    exact: bool = False
    """Whether numbers and signs must be equal too, and not only the result."""

    def __len__(self) -> int:
        return len(self.equations)

    def is_step(self, written: Equation, place: int) -> bool:
        """Whether `written` is the step at `place`, from 0."""
        step = self.equations[place]
        if not written.holds or (self.exact and not written.same_expression(step)):
            return False
        return written.same_result(step)

    def align(self, written: Sequence[Equation]) -> list[int | None]:
        """For each step the place of its equation in `written`, None where it has none: in order,
        as many as possible, earlier steps first."""
        steps, equations = len(self), len(written)
        longest = [[0] * (equations + 1) for _ in range(steps + 1)]
        for i in reversed(range(steps)):
            for j in reversed(range(equations)):
                longest[i][j] = max(longest[i + 1][j], longest[i][j + 1])
                if self.is_step(written[j], i):
                    longest[i][j] = max(longest[i][j], 1 + longest[i + 1][j + 1])
        places: list[int | None] = []
        first = 0
        for i in range(steps):
            aligned = next(
                (
                    j
                    for j in range(first, equations)
                    if self.is_step(written[j], i)
                    and 1 + longest[i + 1][j + 1] == longest[i][first]
                ),
                None,
            )
            places.append(aligned)
            first = first if aligned is None else aligned + 1
        return places

    def right(self, text: str) -> list[bool]:
        """For each step whether the chain `text` takes it (free-running)."""
        return [place is not None for place in self.align(find_equations(text))]


@dataclass(frozen=True)
class NextStep:
    """The step that follows a gold prefix, and when a continuation has shown whether it is
    right."""

    steps: GoldSteps
    place: int
    """Of the step, from 0."""
    prefix: str
    """The gold chain up to the step before, as it stands in the continued chain."""

    def right(self, text: str) -> bool:
        """Whether the step is right in `text`, the prefix with what follows it."""
        return any(self.steps.is_step(equation, self.place) for equation in self._next(text))

    def decided(self, text: str) -> bool:
        """Whether more text would change nothing. A result at the very end may have more digits to
        come."""
        following = [e for e in self._next(text) if text[e.end :].strip(" .,")]
        seen = any(self.steps.is_step(equation, self.place) for equation in following)
        return seen or len(following) == NEXT_EQUATIONS

    @cached_property
    def _given(self) -> int:
        return len(find_equations(self.prefix))

    def _next(self, text: str) -> list[Equation]:
        return find_equations(text)[self._given : self._given + NEXT_EQUATIONS]


class StepAccuracy(NamedTuple):
    """The accuracy of one step, or of several pooled."""

    first: int
    """From 1."""
    last: int
    n: int
    """Chains (and seeds) that have the first of these steps."""
    free_running: Share
    gold_prefix: Share | None
    """None: not measured."""
    lost: Share | None
    """Gold prefix minus free-running, in points, paired."""


Verdicts = Sequence[Sequence[Sequence[bool]]]
"""(seeds, chains, steps): whether each step is right. Every seed has the same chains."""


def step_accuracies(
    free_running: Verdicts, gold_prefix: Verdicts | None = None
) -> list[StepAccuracy]:
    """The accuracy of each step, in order; rare and late steps are pooled."""
    lengths = [len(chain) for chain in free_running[0]]
    table = []
    for first, last in pooled(lengths):
        free = _rows(free_running, first, last)
        given = None if gold_prefix is None else _rows(gold_prefix, first, last)
        running = share(free)
        assert running, "some chain has the step"
        on_gold = None if given is None else share(given)
        lost = None if given is None else share_difference(given, free)
        n = len(free_running) * sum(length >= first for length in lengths)
        table.append(StepAccuracy(first, last, n, running, on_gold, lost))
    return table


def pooled(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """(first, last) step of each row, from 1: steps that at least `LEAST_CHAINS` of the chains
    with these numbers of steps have stand alone, up to `MOST_ROWS` rows.

    >>> pooled([2] * 40 + [3] * 20 + [4] * 5)
    [(1, 1), (2, 2), (3, 4)]
    """
    longest = max(lengths, default=0)
    frequent = [
        step for step in range(1, longest + 1) if sum(n >= step for n in lengths) >= LEAST_CHAINS
    ]
    alone = frequent[: MOST_ROWS - 1] if longest > MOST_ROWS else frequent
    rows = [(step, step) for step in alone]
    return rows + ([(len(alone) + 1, longest)] if longest > len(alone) else [])


def _rows(verdicts: Verdicts, first: int, last: int) -> Rows:
    """(seeds, chains, [right, steps]) over the steps `first` to `last` of each chain."""
    return np.array(
        [
            [(sum(chain[first - 1 : last]), len(chain[first - 1 : last])) for chain in chains]
            for chains in verdicts
        ],
        dtype=np.float64,
    )
