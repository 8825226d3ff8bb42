"""Tailored learning in a recipe: the names of its arms, and what must hold beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smallsteps.experiment.method import Method
from smallsteps.segments.strategies import strategies_for_new_chains

PREFIX = "tailored-"
KINDS = ("full", "t0-only", "blind", "no-contrast")
ARMS = tuple(PREFIX + kind for kind in KINDS)
FULL = f"{PREFIX}full"
"""The arm at whose cost the others are made."""


def check(recipe: Any, names: Sequence[str]) -> None:
    """Raises ValueError where the arms and the other settings of the recipe do not go together."""
    if FULL not in names:
        raise ValueError(
            f"arms of tailored learning are made at the cost of {FULL!r}: name it among them"
        )
    segments = recipe.tailored.segments
    unscored = strategies_for_new_chains()
    if segments not in (None, *unscored):
        raise ValueError(f"tailored.segments: {segments!r} is none of {', '.join(unscored)}")
    if recipe.data.also_test:
        raise ValueError("data.also_test: tailored learning reads one test set")
    if recipe.train.fair == "passes":
        raise ValueError(
            "arms of tailored learning have training tokens in common: train.fair must be tokens"
        )
    if recipe.train.budget is None:
        raise ValueError(
            "tailored learning needs train.budget, the training tokens of an arm over all rounds"
        )


METHOD = Method(
    name="tailored",
    arm_names=lambda: ARMS,
    baseline=FULL,
    section="tailored",
    check=check,
    renamed=dict(zip(KINDS, ARMS, strict=True)),
)
