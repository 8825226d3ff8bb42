"""Which arms a recipe asks for, once a value of a sweep, and what must hold before hours are spent
on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smallsteps.errors import DataError, RecipeError
from smallsteps.experiment.recipe import ArmSpec, Recipe, parse_arm
from smallsteps.records import Chain
from smallsteps.segments.strategies import get_strategy, needs_trained_scorer
from smallsteps.tasks.base import Task


@dataclass(frozen=True)
class Variant:
    """An arm at one training seed, with the knobs that a sweep turns."""

    spec: ArmSpec
    beta: float
    gamma: float
    seed: int
    swept: tuple[str, ...] = ()
    """The knobs whose values stand in the name."""

    @property
    def name(self) -> str:
        """`ases-uni-ent`, in a sweep `ases-uni-ent-beta=0.8`."""
        return self.spec.name + self._knobs

    @property
    def label(self) -> str:
        """What the arm at its seed is called in messages."""
        return f"{self.name}, seed {self.seed}"

    @property
    def place(self) -> str:
        """The name and the seed as a folder's name."""
        return f"{_plain(self.name)}-seed{self.seed}"

    @property
    def segments_place(self) -> str:
        """The same for every arm that learns the same segments."""
        own = f"-seed{self.seed}" if needs_trained_scorer(self.spec.strategy) else ""
        return _plain(f"{self.spec.strategy}{self._knobs}") + own

    @property
    def _knobs(self) -> str:
        return "".join(f"-{knob}={getattr(self, knob):g}" for knob in self.swept)

    def direct(self) -> Variant:
        """The direct arm on the same chains: the scorer of `ent` and `loss`, and the arm to be
        compared with."""
        return replace(
            self,
            spec=parse_arm("direct"),
            swept=tuple(knob for knob in self.swept if knob == "gamma"),
        )


def _plain(name: str) -> str:
    return name.replace("*", "-star").replace("=", "")


def variants(recipe: Recipe, seed: int | None = None) -> list[Variant]:
    """The recipe's arms at one seed, each once a value of the sweep that concerns it."""
    words = recipe.segmentation
    found: list[Variant] = []
    for name in recipe.arms:
        spec = parse_arm(name)
        own = [Variant(spec, words.beta, words.gamma, recipe.seeds[0] if seed is None else seed)]
        if (
            spec.strategy is not None
            and get_strategy(spec.strategy).direction
            and "beta" in recipe.sweep
        ):
            own = [
                replace(v, beta=value, swept=("beta",))
                for v in own
                for value in recipe.sweep["beta"]
            ]
        if (
            not spec.whole_report and "gamma" in recipe.sweep
        ):  # whole reports hold all their regions
            own = [
                replace(v, gamma=x, swept=(*v.swept, "gamma"))
                for v in own
                for x in recipe.sweep["gamma"]
            ]
        found += own
    return found


def baseline_of(variant: Variant, everything: Sequence[Variant]) -> Variant | None:
    """The arm that `variant` is compared with: direct on the same chains, else the first direct
    arm, else the first arm; None for that arm itself."""
    names = {other.name: other for other in everything}
    wanted = [variant.direct().name, *(v.name for v in everything if v.spec.name == "direct")]
    wanted += [v.name for v in everything if v.spec.path == "direct"]
    base = next((names[name] for name in wanted if name in names), everything[0])
    return None if base.name == variant.name else base


def check_arms(recipe: Recipe, task: Task, causal: bool, chains: Sequence[Chain]) -> None:
    """Raises RecipeError or DataError where an arm cannot be trained on this task, student or data:
    better now than after the arms before it. `chains`: training and validation chains."""
    if "gamma" in recipe.sweep and task.select is None:
        raise RecipeError(
            f"sweep.gamma thins out the normal regions of reports; the task {task.name!r} has none"
        )
    for name in recipe.arms:
        spec = parse_arm(name)
        if spec.whole_report and task.whole_chains is None:
            raise RecipeError(
                f"the arm {name} is for reports; the task {task.name!r} has no parts. Use direct"
            )
        if spec.cue and causal:
            raise RecipeError(
                f"the arm {name} is for encoder-decoder students: a causal one always reads the marker of the segment "
                f"to come. Use ases-uni-{spec.strategy}"
            )
        if spec.strategy and get_strategy(spec.strategy).needs_gold:
            bare = [chain for chain in chains if not chain.rationale.gold]
            if bare:
                raise DataError(
                    f"{bare[0].rationale.id}: the arm {name} needs labelled segments, and {len(bare)} of "
                    f'{len(chains)} chains have none. Give their rows "segments": [{{"kind": "ES" or "AS", "text": '
                    "...}], or choose another strategy."
                )
