"""Templates of prompt files: Jinja2 within bounds, since a prompt file may come from anybody.

A template may print fields, choose (`if`), loop (`for`), assign (`set`) and use the filters and
text methods below. What can reach files, define functions or capture output is refused when the
file is read. The rest is bounded while it is rendered: every value and message has at most
`MOST_CHARACTERS`, and a message takes at most `MOST_STEPS` steps (turns of a loop, operations,
calls, filters) and `MOST_SECONDS`. Values that could grow beyond that are never made."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import (
    StrictUndefined,
    Template,
    TemplateSyntaxError,
    Undefined,
    filters,
    meta,
    nodes,
    tests,
)
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

MOST_CHARACTERS = 1_000_000
MOST_STEPS = 100_000
MOST_SECONDS = 5.0
MOST_TURNS = 10_000
"""Of a `range`."""
MOST_BITS = 10_000
"""Of a whole number."""
MOST_TAGS = 5_000
"""Of `{{` and `{%` in a template: more take seconds to read."""
ITEM_COST = 50
"""What an item of a list weighs beside a character: lists of short texts fill memory."""

REFUSED_NODES = (
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.Extends,
    nodes.Block,
    nodes.Macro,
    nodes.CallBlock,
    nodes.AssignBlock,
    nodes.FilterBlock,
    nodes.Dict,
    nodes.EvalContextModifier,
)
TEXT_METHODS = frozenset(
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
    }
)
LOOP_FACTS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})


class _Meter:
    """What one rendering has used."""

    def __init__(self) -> None:
        self.steps = 0
        self.until = time.monotonic() + MOST_SECONDS

    def step(self, size: int = 0) -> None:
        self.steps += 1 + size // 1000
        if self.steps > MOST_STEPS:
            raise TemplateRuntimeError(f"it takes more than {MOST_STEPS:,} steps")
        if time.monotonic() > self.until:
            raise TemplateRuntimeError(f"it takes longer than {MOST_SECONDS:g} seconds")


_METER: ContextVar[_Meter] = ContextVar("meter")


def _step(size: int = 0) -> None:
    _METER.get().step(size)


def _fits(size: int) -> None:
    """Raises where a value of `size` characters or items would be too large; before it is made."""
    if size > MOST_CHARACTERS:
        raise TemplateRuntimeError(f"a text or list grows beyond {MOST_CHARACTERS:,}")
    _step(size)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, tuple, range)) else 1


def _scalar(value: Any) -> Any:
    """`value`, where it is text, a number, or nothing. Lists are never printed or put into lists:
    they could grow."""
    if isinstance(value, (str, int, float, Undefined)) or value is None:
        return value
    raise TemplateRuntimeError(
        f"a {type(value).__name__} stands where text is expected; join its parts"
    )


def _number(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise TemplateRuntimeError("a number is too large")
    return value


def _joined(values: Iterable[Any], separator: str = "") -> str:
    texts = [str(_scalar(value)) for value in values]
    _fits(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _replaced(text: Any, old: str, new: str) -> str:
    whole = str(_scalar(text))
    _fits(len(whole) + whole.count(old) * len(new))
    return whole.replace(old, new)


def _listed(values: Any) -> Any:
    """`values`, whose items are paid for where they are a new list."""
    if isinstance(values, (list, tuple)):
        _step(ITEM_COST * len(values))
    return values


def _flat(values: Any) -> Any:
    _listed(values)
    for value in values:
        _scalar(value)
    return values


def _turns(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _step()
        yield value


def _range(*bounds: int) -> range:
    turns = range(*bounds)
    if len(turns) > MOST_TURNS:
        raise TemplateRuntimeError(
            f"a range of {len(turns):,} numbers, at most {MOST_TURNS:,} are allowed"
        )
    return turns


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose result is no longer than its arguments, as one step."""

    def filtered(value: Any, *arguments: Any, **named: Any) -> Any:
        _fits(_size(value))
        return function(value, *arguments, **named)

    return filtered


def _round(value: Any, digits: int = 0) -> Any:
    if not -100 <= digits <= 100:
        raise TemplateRuntimeError(f"rounding to {digits} digits")
    return round(_scalar(value), digits)


def _first(values: Any) -> Any:
    return next(iter(values))


def _last(values: Any) -> Any:
    return values[-1]


FILTERS: dict[str, Callable[..., Any]] = {
    "trim": _counted(filters.do_trim),
    "upper": _counted(filters.do_upper),
    "lower": _counted(filters.do_lower),
    "capitalize": _counted(filters.do_capitalize),
    "title": _counted(filters.do_title),
    "string": _counted(lambda value: str(_scalar(value))),
    "length": _counted(len),
    "count": _counted(len),
    "first": _counted(_first),
    "last": _counted(_last),
    "list": _counted(lambda values: _listed(list(values))),
    "int": _counted(lambda value, default=0: _number(filters.do_int(_scalar(value), default))),
    "float": _counted(lambda value, default=0.0: filters.do_float(_scalar(value), default)),
    "round": _counted(_round),
    "abs": _counted(abs),
    "default": filters.do_default,
    "d": filters.do_default,
    "join": lambda values, separator="": _joined(values, separator),
    "replace": _replaced,
}
SAFE_TESTS = (
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
    **{name: tests.TESTS[name] for name in SAFE_TESTS},
    "odd": lambda value: operator.index(value) % 2 == 1,  # Jinja2's own would format a text by %
    "even": lambda value: operator.index(value) % 2 == 0,
    "divisibleby": lambda value, divisor: operator.index(value) % operator.index(divisor) == 0,
}
_GUARDS: dict[str, Callable[..., Any]] = {" turns": _turns, " flat": _flat, " joined": _joined}
"""Put around parts of a template when it is read; no template can write their names."""


class _Guarded(NodeTransformer):
    """Puts guards around loops, lists and joined texts, which the sandbox does not intercept."""

    def __init__(self, environment: SandboxedEnvironment) -> None:
        self.environment = environment

    def _guard(self, name: str, node: nodes.Expr) -> nodes.Filter:
        guarded = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
        guarded.set_environment(self.environment)
        return guarded

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        if node.recursive:
            raise TemplateSyntaxError("a recursive loop is not allowed in a prompt", node.lineno)
        node.iter = self._guard(" turns", node.iter)  # type: ignore[arg-type]
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return self._guard(" flat", node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return self._guard(" flat", node) if node.ctx == "load" else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        parts.set_environment(self.environment)
        return self._guard(" joined", parts)


class _Bounded(SandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            trim_blocks=True,
            finalize=_scalar,
            optimized=False,
            cache_size=0,
        )  # optimized: would compute constants, which may be large, while a file is read
        self.globals = {"range": _range}
        self.filters = {**FILTERS, **_GUARDS}
        self.tests = TESTS

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        long = [value for value in (left, right) if isinstance(value, (str, list, tuple))]
        if operator == "+":
            _fits(_size(left) + _size(right))
        elif operator == "*" and long:
            times = right if long[0] is left else left
            _fits(len(long[0]) * max(0, times) if isinstance(times, int) else 0)
        elif operator == "%" and long:
            raise TemplateRuntimeError("formatting by % is not allowed; print the parts")
        elif operator == "*":
            _fits(_bits(left) + _bits(right))
        elif operator == "**" and _bits(left) * abs(right) > MOST_BITS:
            raise TemplateRuntimeError("a number is too large")
        else:
            _step()
        return _listed(_number(super().call_binop(context, operator, left, right)))

    def call(self, context: Any, function: Any, *arguments: Any, **named: Any) -> Any:  # type: ignore[override]
        named = {
            name: value for name, value in named.items() if not name.startswith("_")
        }  # Jinja's own
        if isinstance(function, Undefined):
            function._fail_with_undefined_error()
        if function is not _range and not isinstance(function, _Method):
            raise SecurityError(f"a call of a {type(function).__name__} is unsafe")
        _step()
        return function(*arguments, **named)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, str) and (attribute in TEXT_METHODS or attribute in ("replace", "join")):
            return _Method(obj, attribute)
        if isinstance(obj, LoopContext) and attribute in LOOP_FACTS:
            return getattr(obj, attribute)
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        return self.unsafe_undefined(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, (str, list, tuple, range, Undefined)) and isinstance(argument, int):
            return obj[argument]
        return self.unsafe_undefined(obj, str(argument)[:50])


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 1


class _Method:
    """A method of a text that makes nothing long."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name

    def __call__(self, *arguments: Any) -> Any:
        _fits(len(self.text))
        if self.name == "replace":
            return _replaced(self.text, *arguments)
        if self.name == "join":
            (values,) = arguments
            return _joined(values, self.text)
        return _listed(getattr(self.text, self.name)(*arguments))


_ENVIRONMENT = _Bounded()


class TemplateFault(Exception):
    """What is wrong with a template, and in which line of its own text (from 1)."""

    def __init__(self, words: str, line: int) -> None:
        super().__init__(words)
        self.line = line


@lru_cache(maxsize=64)
def compiled(text: str, fields: tuple[str, ...]) -> Template:
    """The template of `text`, which may name `fields`. Raises TemplateFault."""
    if text.count("{{") + text.count("{%") > MOST_TAGS:
        raise TemplateFault(f"more than {MOST_TAGS:,} places to fill in", 1)
    try:
        tree = _ENVIRONMENT.parse(text)
        for node in tree.find_all(REFUSED_NODES):
            name = type(node).__name__.lower()
            raise TemplateSyntaxError(f"{name!r} is not allowed in a prompt", node.lineno)
        unknown = meta.find_undeclared_variables(tree) - {*fields, "range"}
        for node in tree.find_all(nodes.Name):
            if node.name in unknown:
                raise TemplateSyntaxError(f"{node.name!r} is undefined", node.lineno)
        code = _ENVIRONMENT.compile(_Guarded(_ENVIRONMENT).visit(tree), "prompt", "prompt")
        return Template.from_code(_ENVIRONMENT, code, _ENVIRONMENT.globals)
    except TemplateSyntaxError as error:
        raise TemplateFault((error.message or "not a template").rstrip("."), error.lineno) from None
    except (RecursionError, MemoryError, ValueError, SyntaxError, OverflowError) as error:
        raise TemplateFault(f"too deep or too large to read ({type(error).__name__})", 1) from None


def render(template: Template, values: Mapping[str, str]) -> str:
    """What the template makes of the values. Raises TemplateFault."""
    token = _METER.set(_Meter())
    pieces: list[str] = []
    size = 0
    try:
        for piece in template.generate(**values):
            size += len(piece)
            if size > MOST_CHARACTERS:
                raise TemplateRuntimeError(f"it becomes longer than {MOST_CHARACTERS:,} characters")
            _step(len(piece))
            pieces.append(piece)
    except Exception as error:  # arithmetic, types, names: whatever a template may do wrong
        _fault(error)
    finally:
        _METER.reset(token)
    return "".join(pieces)


def _fault(error: Exception) -> NoReturn:
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "prompt":
            line = trace.tb_lineno
        trace = trace.tb_next
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    raise TemplateFault(words, line) from None
