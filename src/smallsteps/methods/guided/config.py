"""LM-guided chain of thought in a recipe: the names of its arms, and what must hold beside them.

guided-KIND          who writes the rationale with which the reader answers (`KINDS`)
guided-WRITER-HOW    rationales of a writer that vote, are chosen from, or are controlled"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smallsteps.experiment.method import Method

PREFIX = "guided-"
STANDARD = f"{PREFIX}standard"
"""The reader without a rationale: what the others are compared with."""
KINDS = (
    "standard",
    "cot",
    "cot-sc",
    "small",
    "untrained",
    "unfiltered",
    "distilled",
    "aspects",
    "task",
    "both",
    "raft",
    "dpo",
)
WRITERS = ("untrained", "unfiltered", "distilled", "aspects", "task", "both", "raft", "dpo")
"""Kinds whose rationales can also vote (`-sc`), be chosen from (`-quality`, `-confidence`,
`-gold`), or be controlled (`-other`, `-masked`)."""
FURTHER = ("sc", "quality", "confidence", "gold", "other", "masked")
WITHOUT_A_STUDENT = ("gold-facts", "random-context")
"""Controls that need no student; as long as the distilled student's rationales."""
REFINED_ARMS = ("aspects", "task", "both", "raft", "dpo")
"""Writers that begin as the distilled student and are refined by reinforcement learning."""
NO_METHOD = ("gold", "other", "masked")
"""Further kinds that are ceilings or controls."""


def kinds() -> list[str]:
    """All arms, controls included, without prefix."""
    further = [f"{writer}-{how}" for writer in WRITERS for how in FURTHER]
    return [*KINDS, *further, *WITHOUT_A_STUDENT]


def arm_names() -> list[str]:
    """All arms of LM-guided chain of thought."""
    return [PREFIX + kind for kind in kinds()]


def guided_parts(kind: str) -> tuple[str, str | None]:
    """An arm's name, without prefix, taken apart.

    >>> guided_parts("distilled-sc"), guided_parts("both"), guided_parts("gold-facts")
    (('distilled', 'sc'), ('both', None), ('gold-facts', None))
    """
    writer, _, how = kind.partition("-")
    return (writer, how or None) if writer in WRITERS else (kind, None)


def guided_students(kinds: Sequence[str]) -> list[str]:
    """The students that have to be trained for these arms (without prefix), at one seed.

    >>> guided_students(["standard", "cot", "both-sc", "small"])
    ['small', 'distilled', 'both']
    """
    writers = {guided_parts(kind)[0] for kind in kinds}
    if writers & {*REFINED_ARMS, "random-context"}:
        writers.add("distilled")
    return [name for name in ("small", "unfiltered", "distilled", *REFINED_ARMS) if name in writers]


def check(recipe: Any, names: Sequence[str]) -> None:
    """Raises ValueError where the arms and the other settings of the recipe do not go together."""
    if STANDARD not in names and len(names) == len(recipe.arms):
        raise ValueError(
            f"arms of guided chain of thought are compared with {STANDARD!r}: name it among them"
        )
    if recipe.data.also_test:
        raise ValueError("data.also_test: guided chain of thought reads one test set")
    if recipe.train.budget is None:
        raise ValueError(
            "guided chain of thought needs train.budget, the training tokens of the distilled "
            "student"
        )
    if recipe.guided.reader.name == "trained" and recipe.data.task != "facts":
        raise ValueError(
            "guided.reader.name: `trained` reads the bundled facts only; name a model or a folder"
        )


METHOD = Method(
    name="guided",
    arm_names=arm_names,
    baseline=STANDARD,
    section="guided",
    check=check,
    renamed={kind: PREFIX + kind for kind in kinds()},
)
