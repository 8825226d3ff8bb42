"""Checks of AS-ES arms before a run, and their part of its plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain as chained

from smallsteps.errors import DataError, RecipeError
from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.data import RunData
from smallsteps.experiment.method_modules import solve_command
from smallsteps.experiment.recipe import Recipe
from smallsteps.generation.access import Access
from smallsteps.methods.as_es.arms import as_es_arms
from smallsteps.methods.as_es.config import parse_arm
from smallsteps.records import Chain
from smallsteps.segments.strategies import get_strategy
from smallsteps.tasks.base import Task


def check(
    recipe: Recipe, names: Sequence[str], task: Task, access: Access, causal: bool | None
) -> None:
    """Raises RecipeError where an arm cannot be trained on this task or student."""
    for name in names:
        arm = parse_arm(name)
        if arm.cue and causal:
            raise RecipeError(
                f"the arm {name} is for encoder-decoder students: a causal student always reads "
                f"the marker of the next segment. Use ases-uni-{arm.strategy}"
            )


def check_data(recipe: Recipe, names: Sequence[str], data: RunData) -> None:
    """Raises DataError where an arm needs labelled segments and chains have none."""
    for name in names:
        if get_strategy(parse_arm(name).strategy).needs_gold:
            _check_gold(name, chained(data.train_chains, data.validation_chains))


def _check_gold(name: str, chains: Iterable[Chain]) -> None:
    count, bare = 0, list[str]()
    for count, chain in enumerate(chains, start=1):  # noqa: B007 - read after the loop
        if not chain.rationale.gold:
            bare.append(chain.rationale.id)
    if bare:
        raise DataError(
            f"{bare[0]}: the arm {name} needs labelled segments, and {len(bare)} of "
            f'{count} chains have none. Give their rows "segments": [{{"kind": "ES" or "AS", '
            '"text": ...}], or choose another strategy.'
        )


def variants(recipe: Recipe, names: Sequence[str]) -> list[str]:
    """The arms as they run, once for each value of a sweep."""
    return [arm.name for name in names for arm in as_es_arms(recipe, name)]


def models(recipe: Recipe, names: Sequence[str]) -> int:
    """Two for each dual pair, else one."""
    arms = [arm for name in names for arm in as_es_arms(recipe, name)]
    return sum(2 if arm.spec.path == "dual" else 1 for arm in arms)


def chain_arms(recipe: Recipe, names: Sequence[str]) -> list[ChainArm]:
    """All arms."""
    return [arm for name in names for arm in as_es_arms(recipe, name)]


def plan(recipe: Recipe, names: Sequence[str], questions: int, in_all: int) -> list[str]:
    """Nothing beside the sizes of the chains."""
    return []


next_command = solve_command
