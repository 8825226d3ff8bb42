"""Bounds on what a prompt template may do while it is rendered.

A prompt file may come from anybody. Every value and message has at most `MAX_CHARACTERS`; a message
takes at most `MAX_STEPS` steps (turns of a loop, operations, calls, filters) and `MAX_SECONDS`. A
value that would exceed its bound is never made. `templates.py` installs these functions in
Jinja2."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jinja2 import Undefined, filters, tests
from jinja2.exceptions import TemplateRuntimeError

MAX_CHARACTERS = 1_000_000
MAX_STEPS = 100_000
MAX_SECONDS = 5.0
MAX_RANGE = 10_000
"""Numbers in a `range`."""
MAX_BITS = 10_000
"""Bits of a whole number."""
ITEM_COST = 50
"""Cost of a list item, in characters: lists of short texts fill memory."""


class _Meter:
    """Steps and time that one rendering has used."""

    def __init__(self) -> None:
        self.steps = 0
        self.deadline = time.monotonic() + MAX_SECONDS

    def add(self, size: int) -> None:
        self.steps += 1 + size // 1000
        if self.steps > MAX_STEPS:
            raise TemplateRuntimeError(f"it takes more than {MAX_STEPS:,} steps")
        if time.monotonic() > self.deadline:
            raise TemplateRuntimeError(f"it takes longer than {MAX_SECONDS:g} seconds")


_METER: ContextVar[_Meter] = ContextVar("meter")


@contextmanager
def metered() -> Iterator[None]:
    """Bounds the steps and the time of what is rendered in this context."""
    token = _METER.set(_Meter())
    try:
        yield
    finally:
        _METER.reset(token)


def count_step(size: int = 0) -> None:
    """Counts a step that handles `size` characters. Raises where the rendering has used its steps
    or its time."""
    _METER.get().add(size)


def check_size(size: int) -> None:
    """Raises where a value of `size` characters or items is too large. Call it before making the
    value."""
    if size > MAX_CHARACTERS:
        raise TemplateRuntimeError(f"a text or list grows beyond {MAX_CHARACTERS:,}")
    count_step(size)


def size_of(value: Any) -> int:
    """Characters or items of a value; 1 for a number."""
    return len(value) if isinstance(value, (str, list, tuple, range)) else 1


def bits_of(value: Any) -> int:
    """Bits of a whole number; 1 for anything else."""
    return value.bit_length() if isinstance(value, int) else 1


def check_scalar(value: Any) -> Any:
    """`value`, which must be text, a number or nothing. Lists are never printed or put into lists:
    they could grow."""
    if isinstance(value, (str, int, float, Undefined)) or value is None:
        return value
    raise TemplateRuntimeError(
        f"a {type(value).__name__} stands where text is expected; join its parts"
    )


def check_number(value: Any) -> Any:
    """`value`, which must not be a very large number."""
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise TemplateRuntimeError("a number is too large")
    return value


def charge_items(values: Any) -> Any:
    """`values`, whose items are charged where they are a new list."""
    if isinstance(values, (list, tuple)):
        count_step(ITEM_COST * len(values))
    return values


def flat_list(values: Any) -> Any:
    """`values`, none of which may be a list."""
    charge_items(values)
    for value in values:
        check_scalar(value)
    return values


def counted_turns(values: Iterable[Any]) -> Iterator[Any]:
    """The values of a loop; each turn is a step."""
    for value in values:
        count_step()
        yield value


def bounded_range(*bounds: int) -> range:
    """Python's `range`, with at most `MAX_RANGE` numbers."""
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise TemplateRuntimeError(
            f"a range of {len(numbers):,} numbers, at most {MAX_RANGE:,} are allowed"
        )
    return numbers


def bounded_join(values: Iterable[Any], separator: str = "") -> str:
    """The values as one text."""
    texts = [str(check_scalar(value)) for value in values]
    check_size(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def bounded_replace(text: Any, old: str, new: str) -> str:
    """`str.replace`."""
    whole = str(check_scalar(text))
    check_size(len(whole) + whole.count(old) * len(new))
    return whole.replace(old, new)


class TextMethod:
    """A method of a text, as a template calls it: its result is bounded."""

    NAMES = frozenset(
        {
            "strip",
            "lstrip",
            "rstrip",
            "upper",
            "lower",
            "title",
            "capitalize",
            "split",
            "splitlines",
            "startswith",
            "endswith",
            "find",
            "count",
            "removeprefix",
            "removesuffix",
            "isdigit",
            "isupper",
            "islower",
            "replace",
            "join",
        }
    )

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name

    def __call__(self, *arguments: Any) -> Any:
        check_size(len(self.text))
        if self.name == "replace":
            return bounded_replace(self.text, *arguments)
        if self.name == "join":
            (values,) = arguments
            return bounded_join(values, self.text)
        return charge_items(getattr(self.text, self.name)(*arguments))


def _one_step(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as a filter that takes one step. Its result is no longer than its argument."""

    def filtered(value: Any, *arguments: Any, **named: Any) -> Any:
        check_size(size_of(value))
        return function(value, *arguments, **named)

    return filtered


def _round(value: Any, digits: int = 0) -> Any:
    if not -100 <= digits <= 100:
        raise TemplateRuntimeError(f"rounding to {digits} digits")
    return round(check_scalar(value), digits)


def _first(values: Any) -> Any:
    return next(iter(values))


def _last(values: Any) -> Any:
    return values[-1]


def _to_list(values: Any) -> Any:
    return charge_items(list(values))


def _to_text(value: Any) -> str:
    return str(check_scalar(value))


def _to_int(value: Any, default: Any = 0) -> Any:
    return check_number(filters.do_int(check_scalar(value), default))


def _to_float(value: Any, default: Any = 0.0) -> Any:
    return filters.do_float(check_scalar(value), default)


def _is_odd(value: Any) -> bool:
    return operator.index(value) % 2 == 1


def _is_even(value: Any) -> bool:
    return operator.index(value) % 2 == 0


def _is_divisible(value: Any, divisor: Any) -> bool:
    return operator.index(value) % operator.index(divisor) == 0


FILTERS: dict[str, Callable[..., Any]] = {
    "trim": _one_step(filters.do_trim),
    "upper": _one_step(filters.do_upper),
    "lower": _one_step(filters.do_lower),
    "capitalize": _one_step(filters.do_capitalize),
    "title": _one_step(filters.do_title),
    "string": _one_step(_to_text),
    "length": _one_step(len),
    "count": _one_step(len),
    "first": _one_step(_first),
    "last": _one_step(_last),
    "list": _one_step(_to_list),
    "int": _one_step(_to_int),
    "float": _one_step(_to_float),
    "round": _one_step(_round),
    "abs": _one_step(abs),
    "default": filters.do_default,
    "d": filters.do_default,
    "join": bounded_join,
    "replace": bounded_replace,
}
_SAFE_TESTS = (
    "defined",
    "undefined",
    "none",
    "string",
    "number",
    "integer",
    "float",
    "boolean",
    "true",
    "false",
    "lower",
    "upper",
    "in",
    "eq",
    "equalto",
    "==",
    "ne",
    "!=",
    "lt",
    "lessthan",
    "<",
    "le",
    "<=",
    "gt",
    "greaterthan",
    ">",
    "ge",
    ">=",
)
TESTS: dict[str, Any] = {
    **{name: tests.TESTS[name] for name in _SAFE_TESTS},
    "odd": _is_odd,  # Jinja2's own tests would format a text with %
    "even": _is_even,
    "divisibleby": _is_divisible,
}
