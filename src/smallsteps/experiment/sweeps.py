"""Arms of a sweep over `data.limit`: each arm once for each number of training chains.

The subsets are nested: a smaller one is the beginning of a larger one in an order that the seed of
the split draws. Validation and test stay as they are. So arms differ in the number of chains alone,
and arms of one number learn from the same chains: their scorers too."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from smallsteps.errors import RecipeError, counted
from smallsteps.experiment.outcome import ChainSelection
from smallsteps.experiment.recipe import LIMIT, Recipe
from smallsteps.experiment.stored_rows import at
from smallsteps.records import Chain
from smallsteps.tasks.base import Task


class SweptArm(Protocol):
    """An arm, a dataclass, that learns from selected chains."""

    @property
    def selection(self) -> ChainSelection: ...

    @property
    def swept(self) -> tuple[str, ...]:
        """Settings of a sweep whose values stand in the name."""
        ...


A = TypeVar("A", bound=SweptArm)


def limits(recipe: Recipe) -> list[int]:
    """The numbers of training chains; empty: no sweep."""
    return [int(value) for value in recipe.sweep.get(LIMIT, ())]


def with_limits(arms: Sequence[A], recipe: Recipe) -> list[A]:
    """Each arm once for each number of training chains; as it is where they are not swept."""
    if not limits(recipe):
        return list(arms)
    return [_with_limit(arm, limit) for arm in arms for limit in limits(recipe)]


def _with_limit(arm: Any, limit: int) -> Any:
    selection = replace(arm.selection, limit=limit)
    return replace(arm, selection=selection, swept=(*arm.swept, "limit"))


def swept_suffix(swept: Sequence[str], values: Mapping[str, float | int | None]) -> str:
    """The end of an arm's name in a sweep.

    >>> swept_suffix(["beta", "limit"], {"beta": 0.80, "gamma": 1.0, "limit": 2000000})
    '-beta=0.8-limit=2000000'
    """
    shown = {
        name: f"{value:d}" if isinstance(value, int) else f"{value:g}"
        for name, value in values.items()
        if name in swept and value is not None
    }
    return "".join(f"-{name}={shown[name]}" for name in swept)


def first_chains(chains: Sequence[Chain], limit: int | None, seed: int) -> Sequence[Chain]:
    """The first `limit` chains (None: all) in the seeded order; returned in the order of the
    data."""
    if limit is None or limit >= len(chains):
        return chains
    order = random.Random(f"limit/{seed}").sample(range(len(chains)), len(chains))
    return at(chains, sorted(order[:limit]))


def check_task(recipe: Recipe, task: Task) -> None:
    """Raises RecipeError where chains cannot be left out one by one."""
    if limits(recipe) and task.whole_chains is not None:
        raise RecipeError(
            f"sweep.{LIMIT} leaves out single chains; those of the task {task.name!r} are parts of "
            "a report. Take it out"
        )


def check_counts(recipe: Recipe, chains: int) -> None:
    """Raises RecipeError where a sweep asks for more than the `chains` of the training part."""
    over = [limit for limit in limits(recipe) if limit > chains]
    if over:
        raise RecipeError(
            f"sweep.{LIMIT}: {over[0]:,} chains, but the training part has "
            f"{counted(chains, 'chain')}. Name smaller numbers, or give more chains"
        )
