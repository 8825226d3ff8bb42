"""YAML as recipes use it: plain values, no surprises, every fault in one line.

Refused beside broken YAML: a key that stands twice (the earlier value would be lost), anchors and
aliases (a few lines of them unfold to gigabytes), tags, and nesting beyond any recipe's. Read as
people mean it: `1e-3` is a number, a date is text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from smallsteps.errors import RecipeError

DEEPEST = 20
"""Levels of nesting; recipes need five."""
LONGEST = 10_000_000
"""Bytes of a file."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses what is said above."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _fault(
                "anchors (&name) and aliases (*name) are not read; write the value out", event
            )
        self.depth += 1
        if self.depth > DEEPEST:
            raise _fault(f"nested more than {DEEPEST} levels deep", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _fault(f"expected a name before the colon, got {str(key)[:40]!r}", key_node)
            if key in seen:
                raise _fault(f"the key {key!r} stands twice", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# YAML 1.1 reads 1e-3 as text
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _fault(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def read_yaml(text: str, origin: str) -> Any:
    """What the text says. Raises RecipeError in one line that begins with `origin` and the line."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f":{mark.line + 1}"
        problem = " ".join(str(error.problem or error.context or "broken").split())
        raise RecipeError(f"{origin}{where}: not valid YAML: {problem}.") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError(
            f"{origin}:{line}: not valid YAML: a character that no text has ({error.character:#x})."
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a number of 5,000 digits
        raise RecipeError(f"{origin}: not valid YAML: {str(error).splitlines()[0]}.") from None


def read_yaml_file(path: Path) -> Any:
    """What the file says; None where it is empty. Raises RecipeError that names the file."""
    try:
        if path.stat().st_size > LONGEST:
            raise RecipeError(f"{path}: larger than {LONGEST:,} bytes; this is no recipe.")
        content = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}).") from None
    return read_yaml(decoded(content, str(path)), str(path))


def decoded(content: bytes, origin: str) -> str:
    """Bytes as UTF-8. Raises RecipeError that says what they look like instead."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RecipeError(f"{origin}: UTF-16, expected UTF-8. Save the file as UTF-8.")
    if b"\0" in content:
        raise RecipeError(f"{origin}: expected text, found a binary file.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecipeError(
            f"{origin}:{line}: not UTF-8 (byte {content[error.start]:#x}). Save the file as UTF-8."
        ) from None
