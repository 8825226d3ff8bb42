"""The registry of methods: every folder below `smallsteps/methods` that has a `config.py` with a
`METHOD` is one. Adding a method means adding such a folder; nothing else changes.

    methods/<name>/config.py   METHOD: its arms' names, and what must hold in a recipe that has them
    methods/<name>/before.py   what is checked and said before a run: `method_modules.BeforeModule`
    methods/<name>/arms.py     its arms in a run: `method_modules.ArmsModule`"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol

from smallsteps.config import Settings
from smallsteps.errors import similar


class Arms(Protocol):
    """What of a recipe is needed here."""

    @property
    def arms(self) -> Sequence[str]: ...

    @property
    def baseline(self) -> str | None: ...


@dataclass(frozen=True)
class Method:
    """One method of teaching."""

    name: str
    """`as-es`; the module of its folder is `as_es`."""
    arm_names: Callable[[], Sequence[str]]
    """All arms that a recipe may name."""
    baseline: str | None = None
    """The arm that the others are compared with."""
    typical: str | None = None
    """The arm that is suggested first; None: the baseline."""
    needs_chains: bool = False
    """Whether its arms learn from chains of thought; else questions and answers are enough."""
    chainless: Sequence[str] = ()
    """Arms that need no chains although the others do."""
    reads_rationales: Callable[[Any], bool] = lambda recipe: False
    """(recipe): whether its arms, which need no chains, learn from rationales of the data all the
    same."""
    contrasts: bool = False
    """Whether its arms learn from wrong chains too, as negatives."""
    section: str = ""
    """The key of the recipe's section that only this method reads; "": it has none."""
    settings: type[Settings] | None = None
    """The class of that section."""
    section_arms: Sequence[str] | None = None
    """The arms that read the section; None: all."""
    check: Callable[[Any, Sequence[str]], None] = lambda recipe, names: None
    """(recipe, the method's arms in it): raises ValueError where they do not go together."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Earlier name of an arm → its name."""

    def reads_section(self, arm: str) -> bool:
        """Whether one of the method's arms reads its section of the recipe."""
        return self.settings is not None and (self.section_arms is None or arm in self.section_arms)


@cache
def methods() -> dict[str, Method]:
    """Name → method, baselines first."""
    package = import_module("smallsteps.methods")
    by_name = {}
    for info in iter_modules(package.__path__):
        if info.ispkg:
            method = import_module(f"smallsteps.methods.{info.name}.config").METHOD
            by_name[method.name] = method
    return dict(sorted(by_name.items(), key=lambda item: (item[0] != "baselines", item[0])))


def method_of(arm: str) -> Method:
    """The method that has the arm `arm`. Raises ValueError with its new name or the nearest one."""
    known: list[str] = []
    for method in methods().values():
        if arm in method.arm_names():
            return method
        known += method.arm_names()
    for method in methods().values():
        if arm in method.renamed:
            raise ValueError(f"the arm {arm!r} is called {method.renamed[arm]!r} now")
    meant = _arm_of_words(arm) or similar(arm, known)
    hint = f" Did you mean {meant!r}?" if meant is not None else ""
    alike = get_close_matches(arm, known, n=8, cutoff=0.3) or [
        method.arm_names()[0] for method in methods().values()
    ]
    raise ValueError(f"unknown arm {arm!r}.{hint} Known are for example {', '.join(alike)}.")


LIKE = 0.75
"""How like two words must be, from 0 to 1, for one to be taken for the other."""


def _arm_of_words(name: str) -> str | None:
    """The arm whose name has all words of `name`, or words like them: `rouge`, `ases-rouge` and
    `ases_uni_rogue` mean ases-uni-rouge. Of several, the one most like the typical arm of its
    method. None: there is none."""
    typed = re.findall(r"[^\W_]+\*?", name.casefold().replace("as-es", "ases"))
    best: tuple[float, float, str] | None = None
    for method in methods().values():
        typical = (method.typical or method.baseline or "").split("-")
        for arm in method.arm_names():
            words = arm.split("-")
            likeness = [max(_likeness(word, other) for other in words) for word in typed]
            if not typed or min(likeness) < LIKE:
                continue
            common = sum(word in typical for word in words) - len(words) / 100
            if best is None or (sum(likeness), common) > best[:2]:
                best = sum(likeness), common, arm
    return None if best is None else best[2]


def _likeness(word: str, other: str) -> float:
    """1: the same; a beginning of three letters or more: `distill` for `distilled`."""
    if len(word) >= 3 and word != other and other.startswith(word):
        return 0.9
    return SequenceMatcher(None, word, other).ratio()


def methods_of(recipe: Arms) -> dict[str, list[str]]:
    """Method → its arms in the recipe, in the order of the recipe."""
    arms: dict[str, list[str]] = {}
    for arm in recipe.arms:
        arms.setdefault(method_of(arm).name, []).append(arm)
    return arms


def needs_chains(recipe: Arms) -> bool:
    """Whether an arm of the recipe learns from chains of thought."""
    return any(
        method_of(arm).needs_chains and arm not in method_of(arm).chainless for arm in recipe.arms
    )


def needs_rationales(recipe: Arms) -> bool:
    """Whether arms that need no chains learn from the rationales of the data all the same."""
    return any(methods()[name].reads_rationales(recipe) for name in methods_of(recipe))


def contrasts(recipe: Arms) -> bool:
    """Whether an arm of the recipe learns from wrong chains, as negatives."""
    return any(methods()[name].contrasts for name in methods_of(recipe))


def baseline_of(recipe: Arms) -> str:
    """The arm that all others are compared with: the one that the recipe names, else the first that
    is the baseline of its method, else the first."""
    if recipe.baseline is not None:
        return recipe.baseline
    return next((arm for arm in recipe.arms if arm == method_of(arm).baseline), recipe.arms[0])


def recipe_arm(recipe: Arms, name: str) -> str:
    """The arm of the recipe whose name an arm of a sweep begins with."""
    return next(arm for arm in recipe.arms if name == arm or name.startswith(f"{arm}-"))
