"""Says in one line what is wrong with a value of a recipe: key, what was expected, what came, what
to type.

    train.learning_rate: expected a number above 0, got inf. Type for example train.learning_rate=0.001

What a key expects is read off its type and bounds in `recipe.py`, so that messages cannot disagree
with what is checked.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from smallsteps.errors import nearest

NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
UNDERSTOOD = 100
"""Upper bounds from here on are named only where a value is above them."""


@dataclass
class _Place:
    """Where a fault stands."""

    key: str
    """`train.learning_rate`, `seeds[0]`; without the names that pydantic gives to types."""
    field: FieldInfo | None
    """None: no known key."""
    annotation: Any
    metadata: Any
    """Bounds of the value."""
    whole: bool
    """Whether the value of the field itself is meant, and not one in it."""


def error_line(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault, and how many more there are."""
    faults = error.errors(include_url=False)
    more = len({_place(model, fault["loc"]).key for fault in faults}) - 1
    rest = "" if not more else f" ({more} more key{'s are' if more > 1 else ' is'} wrong)"
    return _line(faults[0], model) + rest


def _line(fault: Any, model: type[BaseModel]) -> str:
    place, value = _place(model, fault["loc"]), fault["input"]
    key, kind = place.key, fault["type"]
    if kind == "extra_forbidden":
        beside = _section(_place(model, fault["loc"][:-1]).annotation) or model
        return f"unknown key {key!r}.{nearest(str(fault['loc'][-1]), beside.model_fields)}"
    if kind == "value_error":
        said = str(fault["msg"]).removeprefix("Value error, ")
        return f"{key}: {said}" if key else said
    if place.field is None:
        return f"{key or 'recipe'}: expected a section of `key: value` lines, got {shown(value)}."
    wanted = _in_words(place.annotation, place.metadata, kind.startswith("less_than"))
    number = isinstance(value, str) and "number" in wanted and _is_number(value)
    line = f"{key}: expected {wanted}, got {value if number else shown(value)}."
    choices = [str(choice) for choice in _choices(place.annotation)]
    if choices and isinstance(value, str):
        return line + nearest(value, choices).partition(" Known:")[0]
    return line + (_example(key, place.field) if place.whole else "")


def shown(value: Any) -> str:
    """A value as it came, short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return len(text) <= 40


def _in_words(annotation: Any, metadata: Any = (), too_high: bool = False) -> str:
    """What a value has to be."""
    annotation, metadata = _unwrapped(annotation, metadata)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        parts = [
            _in_words(part, metadata, too_high) for part in arguments if part is not type(None)
        ]
        return " or ".join(parts) + (", or null" if type(None) in arguments else "")
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if origin is list:
        filled = any(getattr(limit, "min_length", None) for limit in metadata)
        return f"a list{' (not empty)' if filled else ''} of {_many(_in_words(arguments[0]))}"
    if origin is dict:
        return f"`name: value` lines with {_many(_in_words(arguments[1]))}"
    if _section(annotation):
        return "a section of `key: value` lines"
    if annotation in (int, float):
        return NAMES[annotation] + _bounds(metadata, too_high)
    filled = annotation is str and any(getattr(limit, "min_length", None) for limit in metadata)
    return NAMES.get(annotation, "values") + (" (not empty)" if filled else "")


def _many(words: str) -> str:
    singles = {
        "a whole number": "whole numbers",
        "a number": "numbers",
        "text": "texts",
        "a list": "lists",
    }
    for single, many in singles.items():
        if words.startswith(single):
            return many + words[len(single) :].replace(" (not empty)", "")
    return words


def _unwrapped(annotation: Any, metadata: Any = ()) -> tuple[Any, list[Any]]:
    """`Annotated[int, Field(ge=0)]` as int and its bounds."""
    found = list(metadata)
    while hasattr(annotation, "__metadata__"):
        for one in annotation.__metadata__:
            found += getattr(one, "metadata", [one])
        annotation = get_args(annotation)[0]
    return annotation, found


def _bounds(metadata: Any, too_high: bool) -> str:
    limits = {
        name: value
        for one in metadata
        for name in ("gt", "ge", "lt", "le")
        if (value := getattr(one, name, None)) is not None
    }
    for name in ("lt", "le"):
        if name in limits and not too_high and limits[name] >= UNDERSTOOD:
            del limits[name]
    if "ge" in limits and "le" in limits:
        return f" from {_plain(limits['ge'])} to {_plain(limits['le'])}"
    words = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}
    said = [f"{word} {_plain(limits[name])}" for name, word in words.items() if name in limits]
    return f" {' and '.join(said)}" if said else ""


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _example(key: str, field: FieldInfo) -> str:
    """What to type; nothing where no value is better than another."""
    if field.examples:
        return f" Type for example {key}={field.examples[0]}"
    default = field.get_default(call_default_factory=True)  # type: ignore[call-arg]
    if default is None or isinstance(default, BaseModel) or default in ("", {}, []):
        return ""
    value = f"{default:g}" if isinstance(default, float) else str(default)
    return f" Type for example {key}={value.replace(chr(39), '').replace(' ', '')}"


def _choices(annotation: Any) -> list[Any]:
    found = [annotation, *get_args(annotation)]
    return [choice for one in found if get_origin(one) is Literal for choice in get_args(one)]


def _place(model: type[BaseModel], location: tuple[int | str, ...]) -> _Place:
    place = _Place("", None, model, (), True)
    for part in location:
        section = _section(place.annotation)
        inside = _inside(place.annotation, part)
        if section is not None:
            place.field = section.model_fields.get(str(part))
            place.key += f".{part}" if place.key else str(part)
            place.annotation = place.field.annotation if place.field else None
            place.metadata = place.field.metadata if place.field else ()
        elif inside is not None:
            place.key += f"[{part}]" if isinstance(part, int) else f".{part}"
            place.annotation, place.metadata = inside
            place.whole = False
    return place


def _inside(annotation: Any, part: int | str) -> tuple[Any, list[Any]] | None:
    """The type of an item of a list or of a named value; None where there is none of that name."""
    for one in (annotation, *get_args(annotation)):
        kind, _ = _unwrapped(one)
        if get_origin(kind) is list and isinstance(part, int):
            return _unwrapped(get_args(kind)[0])
        if get_origin(kind) is dict:
            return _unwrapped(get_args(kind)[1])
    return None


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model of a section, also of one that may be left out."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None
