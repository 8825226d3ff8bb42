"""One line for an invalid value: the key, what was expected, what came, what to type.

    train.passes: expected a number above 0, got inf. Type for example train.passes=20

What a key expects is read off its type and bounds, so that messages cannot disagree with what is
checked. Used by `config.py` for every settings class."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from smallsteps.errors import nearest, similar

TYPE_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
PLURALS = {
    "a whole number": "whole numbers",
    "a number": "numbers",
    "text": "texts",
    "a list": "lists",
}
MAX_MEANT = 3
"""Maximum number of keys that a message offers for an unknown one."""
OBVIOUS_BOUND = 100
"""Upper bounds from here on are named only where the value is above them."""


@dataclass
class _Location:
    """The place of an invalid value in a settings class."""

    key: str
    """`train.learning_rate`, `seeds[0]`; without the names that pydantic gives to types."""
    field: FieldInfo | None
    """None: an unknown key."""
    annotation: Any
    metadata: Any
    """Bounds of the value."""
    whole: bool
    """Whether the value is the field itself, not an item in it."""


def error_line(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error, and the number of further wrong keys."""
    errors: list[Any] = error.errors(include_url=False)
    keys = [_locate(model, details["loc"]).key for details in errors]
    # of a number or a list of numbers both fail: what is wrong in the list says more
    item = next((n for n, key in enumerate(keys) if key.startswith(f"{keys[0]}[")), 0)
    further = len({key for key in keys if not key.startswith(f"{keys[0]}[")}) - 1
    rest = f" ({further} more key{'s are' if further > 1 else ' is'} wrong)" if further else ""
    return _line(errors[item], model) + rest


def _line(details: Any, model: type[BaseModel]) -> str:
    location, value = _locate(model, details["loc"]), details["input"]
    key, kind = location.key, details["type"]
    if kind == "extra_forbidden":
        section = _section(_locate(model, details["loc"][:-1]).annotation) or model
        name = str(details["loc"][-1])
        renamed = getattr(section, "renamed", {}).get(name)
        if renamed is not None:
            return f"unknown key {key!r}. It is called {key.removesuffix(name) + renamed!r} now."
        return f"unknown key {key!r}.{_meant(name, section, model)}"
    if kind == "value_error":
        message = str(details["msg"]).removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    if location.field is None:
        return f"{key or 'recipe'}: expected a section of `key: value` lines, got {shown(value)}."
    if kind == "missing":
        return f"{key}: expected {describe_type(location.annotation, location.metadata)}, got none."
    expected = describe_type(
        location.annotation, location.metadata, upper_bound=kind.startswith("less_than")
    )
    number = isinstance(value, str) and "number" in expected and _is_number(value)
    line = f"{key}: expected {expected}, got {value if number else shown(value)}."
    choices = [str(choice) for choice in _choices(location.annotation)]
    if choices and isinstance(value, str):
        return line + nearest(value, choices).partition(" Known:")[0]
    return line + (_example(key, location.field) if location.whole else "")


def _meant(name: str, section: type[BaseModel], model: type[BaseModel]) -> str:
    """The end of a message about the unknown key `name` of a section: the keys that were most
    likely meant, in this section or in others, or all of this section."""
    keys = list(_keys(model))
    meant = [key for key, other_names in keys if name in other_names]
    meant += [key for key, _ in keys if key.rpartition(".")[2] == name]
    if not meant and similar(name, section.model_fields) is not None:
        return nearest(name, section.model_fields)
    if not meant:
        last = similar(name, [key.rpartition(".")[2] for key, _ in keys])
        meant = [key for key, _ in keys if key.rpartition(".")[2] == last]
    if not meant:
        return nearest(name, section.model_fields)
    first, *others = map(repr, meant[:MAX_MEANT])
    return (
        f" Did you mean {', '.join([first, *others[:-1]])}{f' or {others[-1]}' if others else ''}?"
    )


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """The keys of `model` and its sections, such as `train.budget`, each with its names in other
    tools."""
    synonyms = getattr(model, "synonyms", {})
    for key, field in model.model_fields.items():
        yield f"{prefix}{key}", [name for name, ours in synonyms.items() if ours == key]
        section = _section(field.annotation)
        if section is not None:
            yield from _keys(section, f"{prefix}{key}.")


def shown(value: Any) -> str:
    """A value as it came, at most 60 characters."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def describe_type(annotation: Any, metadata: Any = (), upper_bound: bool = False) -> str:
    """What a value has to be. `upper_bound`: name the upper bound however large it is.

    >>> describe_type(list[int]), describe_type(float | None)
    ('a list of whole numbers', 'a number, or null')
    """
    annotation, metadata = _unwrap(annotation, metadata)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        parts = [
            describe_type(part, metadata, upper_bound)
            for part in arguments
            if part is not type(None)
        ]
        return " or ".join(parts) + (", or null" if type(None) in arguments else "")
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if origin in (list, tuple):
        not_empty = " (not empty)" if _has_minimum_length(metadata) else ""
        return f"a list{not_empty} of {_plural(describe_type(arguments[0]))}"
    if origin is dict:
        return f"`name: value` lines with {_plural(describe_type(arguments[1]))}"
    if _section(annotation):
        return "a section of `key: value` lines"
    if annotation in (int, float):
        return TYPE_NAMES[annotation] + _bounds(metadata, upper_bound)
    empty_refused = annotation is str and _has_minimum_length(metadata)
    return TYPE_NAMES.get(annotation, "values") + (" (not empty)" if empty_refused else "")


def _has_minimum_length(metadata: Any) -> bool:
    return any(getattr(constraint, "min_length", None) for constraint in metadata)


def _plural(description: str) -> str:
    for singular, plural in PLURALS.items():
        if description.startswith(singular):
            return plural + description[len(singular) :].replace(" (not empty)", "")
    return description


def _unwrap(annotation: Any, metadata: Any = ()) -> tuple[Any, list[Any]]:
    """`Annotated[int, Field(ge=0)]` as int and its bounds."""
    constraints = list(metadata)
    while hasattr(annotation, "__metadata__"):
        for constraint in annotation.__metadata__:
            constraints += getattr(constraint, "metadata", [constraint])
        annotation = get_args(annotation)[0]
    return annotation, constraints


def _bounds(metadata: Any, upper_bound: bool) -> str:
    limits = {
        name: value
        for constraint in metadata
        for name in ("gt", "ge", "lt", "le")
        if (value := getattr(constraint, name, None)) is not None
    }
    for name in ("lt", "le"):
        if name in limits and not upper_bound and limits[name] >= OBVIOUS_BOUND:
            del limits[name]
    if "ge" in limits and "le" in limits:
        return f" from {_plain(limits['ge'])} to {_plain(limits['le'])}"
    phrases = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}
    bounds = [
        f"{phrase} {_plain(limits[name])}" for name, phrase in phrases.items() if name in limits
    ]
    return f" {' and '.join(bounds)}" if bounds else ""


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return len(text) <= 40


def _example(key: str, field: FieldInfo) -> str:
    """What to type; nothing where no value is better than another."""
    if field.examples:
        return f" Type for example {key}={field.examples[0]}"
    if field.is_required():
        return ""
    default = field.get_default(call_default_factory=True)  # type: ignore[call-arg]
    if default is None or isinstance(default, BaseModel) or default in ("", {}, [], ()):
        return ""
    value = f"{default:g}" if isinstance(default, float) else str(default)
    return f" Type for example {key}={value.replace(chr(39), '').replace(' ', '')}"


def _choices(annotation: Any) -> list[Any]:
    literals = [part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal]
    return [choice for literal in literals for choice in get_args(literal)]


def _locate(model: type[BaseModel], keys: tuple[int | str, ...]) -> _Location:
    location = _Location("", None, model, (), True)
    for key in keys:
        section = _section(location.annotation)
        item = _item_type(location.annotation, key)
        if section is not None:
            location.field = section.model_fields.get(str(key))
            location.key += f".{key}" if location.key else str(key)
            location.annotation = location.field.annotation if location.field else None
            location.metadata = location.field.metadata if location.field else ()
        elif item is not None:
            location.key += f"[{key}]" if isinstance(key, int) else f".{key}"
            location.annotation, location.metadata = item
            location.whole = False
    return location


def _item_type(annotation: Any, key: int | str) -> tuple[Any, list[Any]] | None:
    """The type of an item of a list or of a named value; None where `key` names no item but a
    member of a union."""
    for part in (annotation, *get_args(annotation)):
        kind, _ = _unwrap(part)
        if get_origin(kind) in (list, tuple) and isinstance(key, int):
            return _unwrap(get_args(kind)[0])
        if get_origin(kind) is dict:
            return _unwrap(get_args(kind)[1])
    return None


def _section(annotation: Any) -> type[BaseModel] | None:
    """The settings class of a section, also of one that may be null."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None
