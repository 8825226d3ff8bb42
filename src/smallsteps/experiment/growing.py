"""Growing a run: the same command with further arms or seeds continues in the folder of the smaller
recipe, and trains only what is new.

It is allowed where nothing changes for what is there. Arms and seeds may be added, none taken away,
and no other setting may differ. The first seed stays, because learning rates are searched and
examples checked at it. Further arms must need the same data, leave out the same odd chains
(`check.py`), and leave the budget as it is (`run.py`). Else one line says what differs.

Nothing is written before all of that is checked (`RunFolder.grow`). What was made from all arms
together is made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from smallsteps.errors import RunFolderError, UserError
from smallsteps.experiment.method import methods, needs_chains, needs_rationales
from smallsteps.experiment.recipe import Recipe, make_recipe

OTHER_OUT = "Choose another --out for a run of all arms."


@dataclass(frozen=True)
class Growth:
    """A run's folder and the larger recipe that is to continue in it."""

    smaller: Recipe
    arms: list[str]
    """The further arms."""
    seeds: list[int]
    """The further seeds."""

    def __str__(self) -> str:
        """`arms ases-uni-ent, base; seeds 1, 2`."""
        arms = [f"arms {', '.join(self.arms)}"] if self.arms else []
        seeds = [f"seeds {', '.join(map(str, self.seeds))}"] if self.seeds else []
        return "; ".join([*arms, *seeds])


def growth_of(recipe_file: Path, digest: str, recipe_yaml: str) -> Growth | None:
    """How the recipe grows out of the one in `recipe_file`, which has the digest `digest`. None: it
    does not, because something else differs, or the file is not that recipe.

    Raises RunFolderError where only arms and seeds were added, and the folder cannot take them."""
    there = _recipe(recipe_file, digest)
    if there is None:
        return None
    here = make_recipe(yaml.safe_load(recipe_yaml))
    if not _only_adds(there, here):
        return None
    growth = Growth(
        there,
        [arm for arm in here.arms if arm not in there.arms],
        [seed for seed in here.seeds if seed not in there.seeds],
    )
    folder = recipe_file.parent
    if here.seeds[0] != there.seeds[0]:
        raise RunFolderError(
            f"{folder} was begun with seed {there.seeds[0]}, at which learning rates are searched "
            f"and examples checked. Name it first: seeds={_first(there.seeds[0], here.seeds)}"
        )
    needs = [(needs_chains(recipe), needs_rationales(recipe)) for recipe in (there, here)]
    if needs[0] != needs[1]:
        raise RunFolderError(
            f"{folder} cannot grow by {growth}: arms that learn from chains of thought read other "
            f"data than arms that learn from questions. {OTHER_OUT}"
        )
    return growth


def _first(seed: int, seeds: list[int]) -> str:
    return f"[{','.join(map(str, [seed, *(other for other in seeds if other != seed)]))}]"


def _recipe(file: Path, digest: str) -> Recipe | None:
    """The recipe in a file; None where it cannot be read, or was edited."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        recipe = make_recipe(content if isinstance(content, dict) else {})
    except (OSError, ValueError, RecursionError, yaml.YAMLError, UserError):
        return None
    return recipe if recipe.digest() == digest else None


def _only_adds(there: Recipe, here: Recipe) -> bool:
    """Whether the second recipe has all arms and seeds of the first, and differs in nothing else. A
    section that no arm of the first reads may be added with the arms that read it."""
    if not (set(there.arms) <= set(here.arms) and set(there.seeds) <= set(here.seeds)):
        return False
    sections = {method.section for method in methods().values() if method.settings}
    before, after = there.effects(), here.effects()
    return all(
        before.get(key) == value or (key in sections and before.get(key) is None)
        for key, value in after.items()
        if key not in ("arms", "seeds")
    )
