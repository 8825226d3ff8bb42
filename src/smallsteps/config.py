"""Strict typed configuration: settings classes, YAML, `key=value` changes, JSON Schema.

A settings class names every setting of one thing once. The class that the Python API takes is the
section of a recipe is what the command line fills, so that the three cannot disagree. This module
knows no method and no section; `experiment/recipe.py` puts the sections of a run together.

    class TrainSettings(Settings):
        learning_rate: float = Field(5e-4, gt=0, le=100)
        \"\"\"Highest learning rate.\"\"\"

    TrainSettings(learning_rate=-1)
    # RecipeError: TrainSettings: learning_rate: expected a number above 0, got -1. Type for ...
    read_settings(TrainSettings, {"learning_rate": -1}, "my.yaml")
    # RecipeError: my.yaml: learning_rate: expected a number above 0, got -1. Type for ...

Settings are frozen. An unknown key is refused with the nearest known one, and so are `true` where a
number is expected, nan and inf. `changed` makes a checked copy with other values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticCustomError

from smallsteps.config_errors import error_line
from smallsteps.errors import RecipeError
from smallsteps.strict_yaml import read_yaml, read_yaml_file

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

LARGEST_COUNT = 2**53
"""Upper bound for counts of tokens and calls: whole numbers up to here are exact as floats and in
SQLite."""
Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""A number of things of which nobody has more than a million."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
NotNegative = Annotated[float, Field(ge=0, le=1e12)]
Share = Annotated[float, Field(ge=0, le=1)]
LEAST_TEMPERATURE = 0.01
"""Below it sampling is greedy but for ties, and logits divided by it may overflow."""
MOST_TEMPERATURE = 1000.0
Temperature = Annotated[float, Field(ge=LEAST_TEMPERATURE, le=MOST_TEMPERATURE)]
"""Of sampling only; see TemperatureOrZero."""
Name = Annotated[str, Field(min_length=1, max_length=4000)]


def _zero_or_temperature(value: int | float) -> int | float:
    """Zero keeps its type: 0 and 0.0 are different requests to the store of paid replies."""
    if value == 0:
        return value
    if not LEAST_TEMPERATURE <= value <= MOST_TEMPERATURE:
        raise ValueError(
            f"expected 0 (greedy) or a number from {LEAST_TEMPERATURE:g} to {MOST_TEMPERATURE:g}, "
            f"got {value:g}."
        )
    return float(value)


TemperatureOrZero = Annotated[
    int | float,
    AfterValidator(_zero_or_temperature),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": 0},
                {"type": "number", "minimum": LEAST_TEMPERATURE, "maximum": MOST_TEMPERATURE},
            ]
        }
    ),
]
"""Of sampling; 0: greedy."""


class _SettingsMeta(ModelMetaclass):
    """Turns pydantic's ValidationError of a direct call into a RecipeError of one line.

    Pydantic checks nested sections without calling their class, so that the line names the whole
    key (`reinforce.kl`), not the nested class."""

    def __call__(cls, *arguments: Any, **values: Any) -> Any:
        try:
            return super().__call__(*arguments, **values)
        except ValidationError as error:
            model: Any = cls
            raise _recipe_error(error, model, model.__name__) from None


class Settings(BaseModel, metaclass=_SettingsMeta):
    """Base of every settings class. Raises RecipeError for an unknown key or an invalid value."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    no_effect: ClassVar[frozenset[str]] = frozenset()
    """Keys that change no result."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """Earlier name of a key → its name."""
    only_with: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Key that means something only beside another key's value → (that key, its value)."""
    synonyms: ClassVar[Mapping[str, str]] = {}
    """Name of a key in other tools → its name."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """`true` is not 1."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if annotation is not bool and (
            isinstance(value, bool) or (not _allows_anything(annotation) and _lists_a_bool(value))
        ):
            raise PydanticCustomError("truth_value", "a truth value")
        return value

    def changed(self, **values: Any) -> Self:
        """A copy with other values, checked like any other. Raises RecipeError."""
        copy = type(self)(**{**dict(self), **values})
        # what nobody set in the original counts as not set in the copy either
        copy.__pydantic_fields_set__.intersection_update(self.model_fields_set | values.keys())
        return copy

    def effects(self) -> dict[str, Any]:
        """The settings as JSON values, without the keys that change no result, in nested sections
        too."""
        content = self.model_dump(mode="json", exclude=set(self.no_effect))
        for name in content:
            value = getattr(self, name)
            if isinstance(value, Settings):
                content[name] = value.effects()
        return content


def applicable(settings: type[Settings], content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a settings class for people to read: without keys that mean nothing beside
    the others (`only_with`), in nested sections too."""
    shown = {}
    for key, value in content.items():
        other, needed = settings.only_with.get(key, (None, None))
        if other is not None:
            there = content.get(other, settings.model_fields[other].default)
            if there not in (needed, [needed]):
                continue
        nested = _section_class(settings, key)
        is_section = nested is not None and isinstance(value, Mapping)
        shown[key] = applicable(nested, value) if nested is not None and is_section else value
    return shown


def _section_class(settings: type[Settings], key: str) -> type[Settings] | None:
    """The class of a nested section; None: the key holds none."""
    info = settings.model_fields.get(key)
    options = [] if info is None else [info.annotation, *get_args(info.annotation)]
    for option in options:
        if isinstance(option, type) and issubclass(option, Settings):
            return option
    return None


AnySettings = TypeVar("AnySettings", bound=Settings)


def read_settings(
    settings: type[AnySettings], content: Mapping[str, Any], origin: str
) -> AnySettings:
    """The settings that a mapping describes. Raises RecipeError in one line that begins with
    `origin`: the key, what was expected, what came."""
    try:
        return settings.model_validate(content)
    except ValidationError as error:
        raise _recipe_error(error, settings, origin) from None


def read_content(path: Path, origin: str) -> dict[str, Any]:
    """The mapping that a YAML file holds, unchecked. Raises RecipeError: no file, or no mapping."""
    content = read_yaml_file(path)
    if content is None:
        raise RecipeError(
            f"{origin}: empty; expected `key: value` lines, for example `arms: [direct]`."
        )
    if not isinstance(content, dict):
        raise RecipeError(
            f"{origin}: expected `key: value` lines, found a {type(content).__name__}."
        )
    return content


def apply_changes(content: dict[str, Any], changes: Sequence[str]) -> None:
    """Sets each `key.of.section=value` (value as YAML) in place. Raises RecipeError that names the
    change.

    >>> content = {"train": {"passes": 20}}
    >>> apply_changes(content, ["train.learning_rate=1e-3", "seeds=[0, 1]"])
    >>> content
    {'train': {'passes': 20, 'learning_rate': 0.001}, 'seeds': [0, 1]}
    """
    for change in changes:
        _apply_change(content, change)


def json_schema(settings: type[Settings]) -> dict[str, Any]:
    """The JSON Schema of a settings class: types, bounds, defaults, docstrings as descriptions."""
    return settings.model_json_schema(schema_generator=_WithoutTitles)


class _WithoutTitles(GenerateJsonSchema):
    """Keys are their own titles."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _recipe_error(error: ValidationError, model: type[BaseModel], origin: str) -> RecipeError:
    """The error in one line, without the user names and passwords of URLs in it."""
    return RecipeError(re.sub(r"//\S*@", "//…@", f"{origin}: {error_line(error, model)}"))


def _allows_anything(annotation: Any) -> bool:
    return annotation is Any or any(_allows_anything(part) for part in get_args(annotation))


def _lists_a_bool(value: Any) -> bool:
    if isinstance(value, dict):
        return any(isinstance(item, list) and _lists_a_bool(item) for item in value.values())
    return isinstance(value, list) and any(isinstance(item, bool) for item in value)


def _apply_change(content: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    *sections, last = key.split(".")
    if not equals or not all(part.strip() for part in (*sections, last)):
        raise RecipeError(
            f"expected key=value, found {change!r:.100}; for example train.learning_rate=1e-3"
        )
    section = content
    for name in sections:
        if section.get(name) is None:  # also a section that was left out by `null`
            section[name] = {}
        section = section[name]
        if not isinstance(section, dict):
            raise RecipeError(f"{change!r:.100}: {name!r} is a value, it holds no key {last!r}")
    section[last] = read_yaml(value, f"{change!r:.100}")
