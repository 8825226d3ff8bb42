"""What a run is: one typed, strict value, read from YAML, printed back in full by `--dry-run`.

A recipe names every setting once. Unknown keys are refused with the nearest known one; `key=value`
on the command line (`train.learning_rate=1e-3`) changes a copy before it is checked. The sections
are the settings classes that the Python API takes. Those of a method stand in its `config.py`."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import yaml
from pydantic import BeforeValidator, Field, create_model, model_validator

from smallsteps.config import (
    AnySettings,
    NotNegative,
    Seed,
    Settings,
    applicable,
    apply_changes,
    read_content,
    read_settings,
)
from smallsteps.errors import InternalError, RecipeError, nearest, similar_file
from smallsteps.experiment.method import method_of, methods, methods_of, needs_chains
from smallsteps.experiment.settings import DataSettings, EvaluationSettings
from smallsteps.segments.settings import SegmentationSettings
from smallsteps.students.settings import StudentSettings
from smallsteps.training.settings import TrainSettings

DEFAULT_ARMS = ("base", "answer-only", "direct", "ases-uni-rouge", "ases-uni-ent")


LIMIT = "data.limit"
"""The key of a sweep over numbers of training chains."""


def _flat(sweep: Any) -> Any:
    """`{data: {limit: [...]}}`, as `sweep.data.limit=[...]` on the command line makes it, with the
    key `data.limit`."""
    if not isinstance(sweep, dict) or not isinstance(sweep.get("data"), dict):
        return sweep
    nested = {f"data.{name}": values for name, values in sweep["data"].items()}
    return {**{name: values for name, values in sweep.items() if name != "data"}, **nested}


Sweep = Annotated[
    dict[str, Annotated[list[NotNegative], Field(min_length=1)]], BeforeValidator(_flat)
]
"""Setting → its values."""


class BaseRecipe(Settings):
    """A comparison of arms on one data set by one student."""

    no_effect: ClassVar[frozenset[str]] = frozenset({"title", "about"})

    title: str = "comparison"
    about: str = ""
    """What it reproduces or shows, and whether the full run has been made."""
    arms: list[str] = Field(default_factory=lambda: list(DEFAULT_ARMS), min_length=1)
    """Ways of teaching to compare, of one method or of several: `base`, `base-fewshot`,
    `answer-only`, `direct`, `direct-report`, `self-training`; `ases-PATH-STRATEGY` (PATH uni, cue
    or dual; STRATEGY inter, ent, ent*, loss, bleu, rouge, gold or chunks); `tailored-full`,
    `tailored-t0-only`, ...; `guided-standard`, `guided-distilled`, ..."""
    baseline: str | None = None
    """The arm that the others are compared with. None: the first of direct, tailored-full and
    guided-standard in `arms`, else the first arm."""
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1, max_length=1000)
    """Training seeds."""
    sweep: Sweep = Field(default_factory=dict, examples=["{beta: [0.8, 1.0, 1.2]}"])
    """Figures: beta, gamma or data.limit (training chains) → values; each arm that has the setting
    runs once for each value."""
    data: DataSettings = Field(default_factory=DataSettings)
    student: StudentSettings = Field(default_factory=StudentSettings)
    segmentation: SegmentationSettings = Field(default_factory=SegmentationSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)

    @model_validator(mode="before")
    @classmethod
    def _default_sections(cls, content: Any) -> Any:
        """A method whose arms are named gets its section, with defaults where it is left out."""
        arms = content.get("arms", list(DEFAULT_ARMS)) if isinstance(content, dict) else None
        if not isinstance(arms, list):
            return content
        content = dict(content)
        for arm in arms:
            method = method_of(arm) if isinstance(arm, str) else None
            if method and method.reads_section(arm) and content.get(method.section) is None:
                content[method.section] = {}
        return content

    @model_validator(mode="after")
    def _check(self) -> Self:
        named: dict[str, list[Any]] = {"arms": self.arms, "seeds": self.seeds}
        for key, values in named.items():
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"{key}: {twice} is named twice")
        if self.baseline is not None and self.baseline not in self.arms:
            raise ValueError(f"baseline: {self.baseline!r} is none of the arms")
        self._check_sweep()
        if self.train.until == "plateau" and self.evaluation.checkpoint != "metric":
            raise ValueError(
                "evaluation.checkpoint: with train.until=plateau the metric on validation chooses "
                f"the checkpoint, not {self.evaluation.checkpoint}: take the key out"
            )
        arms = methods_of(self)
        for name, method in methods().items():
            if name in arms:
                method.check(self, arms[name])
            readers = [arm for arm in arms.get(name, ()) if method.reads_section(arm)]
            if method.settings and not readers and getattr(self, method.section) is not None:
                example = method.section_arms[0] if method.section_arms else method.baseline
                raise ValueError(
                    f"{method.section}: no arm reads this section. Name one, such as {example}, or "
                    "take the section out"
                )
        return self

    def _check_sweep(self) -> None:
        for name, values in self.sweep.items():
            if name not in ("beta", "gamma", LIMIT):
                raise ValueError(f"sweep knows beta, gamma and {LIMIT}, not {name!r}")
            if name == "beta" and not all(values):
                raise ValueError("sweep.beta: expected numbers above 0, got 0")
            if name == LIMIT and not all(value >= 1 and value % 1 == 0 for value in values):
                odd = next(value for value in values if value < 1 or value % 1)
                raise ValueError(f"sweep.{LIMIT}: expected whole numbers above 0, got {odd:g}")
            # as in the names of arms
            shown = [f"{value:.0f}" if name == LIMIT else f"{value:g}" for value in values]
            twice = next((value for value in shown if shown.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"sweep.{name}: {twice} is named twice")
        if self.sweep and not needs_chains(self):
            raise ValueError("sweep: only arms that learn from chains have one; leave it out")

    def section(self, settings: type[AnySettings]) -> AnySettings:
        """The section of a method, by its settings class. Raises InternalError where the recipe has
        none: its arms are not in it."""
        for method in methods().values():
            if method.settings is settings:
                content = getattr(self, method.section)
                if isinstance(content, settings):
                    return content
        raise InternalError(f"the recipe has no section of {settings.__name__}")

    def digest(self) -> str:
        """Names the recipe's content: equal digests mean equal runs. Its title, where it runs
        (device), how fast a teacher is asked and what it may cost are left out."""
        content = {key: value for key, value in self.effects().items() if value is not None}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_yaml(self) -> str:
        """The resolved recipe with every setting."""
        return _yaml(self.model_dump(mode="json"))

    def applicable_yaml(self) -> str:
        """The resolved recipe with every setting that means something in it."""
        return _yaml(applicable(type(self), self.model_dump(mode="json")))


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _sections() -> dict[str, Any]:
    """The sections of the methods as fields, null where no arm reads them."""
    return {
        method.section: (
            method.settings | None,
            Field(None, description=f"Read by arms of the method {method.name}."),
        )
        for method in methods().values()
        if method.settings
    }


if TYPE_CHECKING:
    Recipe = BaseRecipe
else:
    Recipe = create_model("Recipe", __base__=BaseRecipe, __module__=__name__, **_sections())
    Recipe.__doc__ = BaseRecipe.__doc__


def of_launch(recipe: Recipe) -> Recipe:
    """The recipe with the precision of training that accelerate's config names.

    Raises TrainingError where recipe and config differ, or the config asks for what smallsteps does
    not do (`training/accelerate_config.py`)."""
    from smallsteps.training.accelerate_config import sharding_of_launch, with_launch_dtype

    sharding_of_launch()
    train = with_launch_dtype(recipe.train)
    return recipe if train is recipe.train else recipe.changed(train=train)


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe of a YAML file or of a bundled name (`demo`, `as-es/gsm8k`), with `key=value`
    changes.

    Raises RecipeError: no such recipe, broken YAML, an unknown or ill-typed key.
    """
    content = recipe_content(name)
    apply_changes(content, changes)
    return make_recipe(content, name)


def recipe_content(name: str) -> dict[str, Any]:
    """The content of a recipe's YAML, unchecked. Raises RecipeError: no such recipe, or no YAML
    mapping."""
    return read_content(_recipe_path(name), name)


def make_recipe(content: dict[str, Any], origin: str = "recipe") -> Recipe:
    """A recipe from a mapping. Raises RecipeError in one line: the key, what was expected, what
    came."""
    return read_settings(Recipe, content, origin)


def applicable_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a recipe for people to read: without settings that mean nothing in it."""
    return applicable(Recipe, content)


def recipe_names() -> list[str]:
    """The bundled recipes."""
    root = resources.files("smallsteps") / "recipes"
    with resources.as_file(root) as folder:
        return sorted(str(p.relative_to(folder).with_suffix("")) for p in folder.rglob("*.yaml"))


def _recipe_path(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            what = " (it is a folder)" if path.is_dir() else ""
            if meant := similar_file(path.name, _recipes_beside(path)):
                raise RecipeError(f"no recipe file {name}. Did you mean {path.parent / meant}?")
            name_alone = str(path.with_suffix(""))
            raise RecipeError(
                f"no recipe file {name}{what}. Bundled recipes go by name."
                f"{nearest(name_alone, recipe_names())}"
            )
        return path
    if _is_file(path):
        raise RecipeError(
            f"{name}: a recipe is a path that ends in .yaml. To compare arms on the chains of a "
            f"file: smallsteps compare {shlex.quote(name)} --student NAME --out DIR"
        )
    if name not in recipe_names():
        raise RecipeError(
            f"no recipe {name!r}.{nearest(name, recipe_names())} "
            "Your own is a path that ends in .yaml"
        )
    with resources.as_file(resources.files("smallsteps") / "recipes") as folder:
        return folder / f"{name}.yaml"


def _recipes_beside(path: Path) -> list[str]:
    """Names of the YAML files in the folder of `path`."""
    try:
        files = [file for file in path.parent.iterdir() if file.is_file()]
    except OSError:
        return []
    return [file.name for file in files if file.suffix in (".yaml", ".yml")]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
