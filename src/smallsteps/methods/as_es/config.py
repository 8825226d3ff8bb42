"""AS-ES learning in a recipe: the names of its arms.

ases-PATH-STRATEGY    PATH: uni, cue (uni-path with a cue that names the next kind) or dual
                      STRATEGY: how chains are cut, see `segments.strategies.STRATEGIES`"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smallsteps.errors import nearest
from smallsteps.experiment.method import Method
from smallsteps.segments.strategies import STRATEGIES

PATHS = ("uni", "cue", "dual")


@dataclass(frozen=True)
class ArmSpec:
    """An arm's name taken apart."""

    name: str
    path: Literal["uni", "dual"]
    strategy: str
    cue: bool = False


def arm_names() -> list[str]:
    """All AS-ES arms."""
    return [f"ases-{path}-{strategy}" for path in PATHS for strategy in STRATEGIES]


def parse_arm(name: str) -> ArmSpec:
    """`ases-uni-ent` → its parts. Raises ValueError with the nearest arm."""
    if name not in arm_names():
        raise ValueError(f"unknown arm {name!r}.{nearest(name, arm_names())}")
    _, path, strategy = name.split("-", 2)
    return ArmSpec(name, "dual" if path == "dual" else "uni", strategy, cue=path == "cue")


METHOD = Method(
    name="as-es",
    arm_names=arm_names,
    typical="ases-uni-rouge",
    needs_chains=True,
)
