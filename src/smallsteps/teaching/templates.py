"""Templates of prompt files: Jinja2, sandboxed and bounded, since a prompt file may come from
anybody.

A template may print fields, choose (`if`), loop (`for`), assign (`set`) and use the filters and
text methods of `template_limits.py`. Nodes that can reach files, define functions or capture output
are refused when the file is read. The rest is bounded while it is rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, meta, nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

from smallsteps.teaching.template_limits import (
    FILTERS,
    MAX_BITS,
    MAX_CHARACTERS,
    TESTS,
    TextMethod,
    bits_of,
    bounded_join,
    bounded_range,
    charge_items,
    check_number,
    check_scalar,
    check_size,
    count_step,
    counted_turns,
    flat_list,
    metered,
    size_of,
)

MAX_TAGS = 5_000
"""`{{` and `{%` in a template: more take seconds to read."""
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
LOOP_ATTRIBUTES = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_GUARDS: dict[str, Callable[..., Any]] = {
    " turns": counted_turns,
    " flat": flat_list,
    " joined": bounded_join,
}
"""Filters around parts of a template. A template cannot write their names."""
_FILE_NAME = "prompt"
"""What Jinja2 calls every template in tracebacks."""


class TemplateFault(Exception):
    """What is wrong with a template."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line
        """Line in the template's own text, from 1."""


@lru_cache(maxsize=64)
def compiled(text: str, fields: tuple[str, ...]) -> Template:
    """The template in `text`, which may name `fields`. Raises TemplateFault."""
    if text.count("{{") + text.count("{%") > MAX_TAGS:
        raise TemplateFault(f"more than {MAX_TAGS:,} places to fill in", 1)
    try:
        tree = _ENVIRONMENT.parse(text)
        _check_nodes(tree, fields)
        code = _ENVIRONMENT.compile(_Guard(_ENVIRONMENT).visit(tree), _FILE_NAME, _FILE_NAME)
        return Template.from_code(_ENVIRONMENT, code, _ENVIRONMENT.globals)
    except TemplateSyntaxError as error:
        raise TemplateFault((error.message or "not a template").rstrip("."), error.lineno) from None
    except (RecursionError, MemoryError, ValueError, SyntaxError, OverflowError) as error:
        raise TemplateFault(f"too deep or too large to read ({type(error).__name__})", 1) from None


def named_fields(text: str) -> frozenset[str]:
    """The fields that a template, which `compiled` has taken, may read."""
    return frozenset(meta.find_undeclared_variables(_ENVIRONMENT.parse(text)))


def render(template: Template, values: Mapping[str, str]) -> str:
    """The template with `values` filled in. Raises TemplateFault."""
    pieces: list[str] = []
    size = 0
    with metered():
        try:
            for piece in template.generate(**values):
                size += len(piece)
                if size > MAX_CHARACTERS:
                    raise TemplateRuntimeError(
                        f"it becomes longer than {MAX_CHARACTERS:,} characters"
                    )
                count_step(len(piece))
                pieces.append(piece)
        except Exception as error:  # a template may fail in any way: arithmetic, types, names
            _raise_fault(error)
    return "".join(pieces)


def _raise_fault(error: Exception) -> NoReturn:
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    message = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    raise TemplateFault(message, line) from None


def _check_nodes(tree: nodes.Template, fields: tuple[str, ...]) -> None:
    for node in tree.find_all(REFUSED_NODES):
        name = type(node).__name__.lower()
        raise TemplateSyntaxError(f"{name!r} is not allowed in a prompt", node.lineno)
    unknown = meta.find_undeclared_variables(tree) - {*fields, "range"}
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            raise TemplateSyntaxError(f"{node.name!r} is undefined", node.lineno)


class _Guard(NodeTransformer):
    """Puts guards around loops, lists and joined texts, which the sandbox does not intercept."""

    def __init__(self, environment: SandboxedEnvironment) -> None:
        self.environment = environment

    def _guarded(self, name: str, node: nodes.Expr) -> nodes.Filter:
        guarded = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
        guarded.set_environment(self.environment)
        return guarded

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        if node.recursive:
            raise TemplateSyntaxError("a recursive loop is not allowed in a prompt", node.lineno)
        node.iter = self._guarded(" turns", node.iter)  # type: ignore[arg-type]
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return self._guarded(" flat", node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return self._guarded(" flat", node) if node.ctx == "load" else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        parts.set_environment(self.environment)
        return self._guarded(" joined", parts)


class _BoundedEnvironment(SandboxedEnvironment):
    """Jinja2's sandbox with bounded operations, calls and attributes."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            trim_blocks=True,
            finalize=check_scalar,
            optimized=False,  # else constants, which may be large, are computed at reading
            cache_size=0,
        )
        self.globals = {"range": bounded_range}
        self.filters = {**FILTERS, **_GUARDS}
        self.tests = TESTS

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sequences = [value for value in (left, right) if isinstance(value, (str, list, tuple))]
        if operator == "+":
            check_size(size_of(left) + size_of(right))
        elif operator == "*" and sequences:
            times = right if sequences[0] is left else left
            is_number = isinstance(times, int)
            check_size(len(sequences[0]) * max(0, times) if is_number else 0)
        elif operator == "%" and sequences:
            raise TemplateRuntimeError("formatting by % is not allowed; print the parts")
        elif operator == "*":
            check_size(bits_of(left) + bits_of(right))
        elif operator == "**" and bits_of(left) * abs(right) > MAX_BITS:
            raise TemplateRuntimeError("a number is too large")
        else:
            count_step()
        return charge_items(check_number(super().call_binop(context, operator, left, right)))

    def call(  # type: ignore[override]
        self, context: Any, function: Any, *arguments: Any, **named: Any
    ) -> Any:
        named = {  # without Jinja2's own arguments
            name: value for name, value in named.items() if not name.startswith("_")
        }
        if isinstance(function, Undefined):
            function._fail_with_undefined_error()
        if function is not bounded_range and not isinstance(function, TextMethod):
            raise SecurityError(f"a call of a {type(function).__name__} is unsafe")
        count_step()
        return function(*arguments, **named)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, str) and attribute in TextMethod.NAMES:
            return TextMethod(obj, attribute)
        if isinstance(obj, LoopContext) and attribute in LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        return self.unsafe_undefined(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, (str, list, tuple, range, Undefined)) and isinstance(argument, int):
            return obj[argument]
        return self.unsafe_undefined(obj, str(argument)[:50])


_ENVIRONMENT = _BoundedEnvironment()
