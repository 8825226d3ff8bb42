"""Settings say in one line what is wrong, from Python, YAML and the command line alike."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from pydantic import Field

from smallsteps.config import (
    Count,
    Name,
    Settings,
    applicable,
    apply_changes,
    json_schema,
    read_content,
    read_settings,
)
from smallsteps.errors import RecipeError


class Inner(Settings):
    """A section."""

    rate: float = Field(0.1, gt=0)
    """Per second."""
    extra: dict[str, Any] = Field(default_factory=dict)


class Outer(Settings):
    """Everything."""

    count: Count = 3
    """Number of things."""
    names: list[Name] = Field(default_factory=list)
    sweep: dict[str, list[float]] = Field(default_factory=dict)
    flag: bool = False
    inner: Inner = Field(default_factory=Inner)


def test_a_call_from_python_raises_the_same_line_as_yaml():
    with pytest.raises(RecipeError, match=r"^Outer: count: expected a whole number of at least 1,"):
        Outer(count=0)
    with pytest.raises(
        RecipeError, match=r"^my.yaml: count: expected a whole number of at least 1"
    ):
        read_settings(Outer, {"count": 0}, "my.yaml")


def test_a_nested_value_is_named_with_its_section():
    line = r"^Outer: inner\.rate: expected a number above 0, got -1\. Type for example inner\.rate="
    with pytest.raises(RecipeError, match=line):
        Outer(inner={"rate": -1})  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"^Inner: rate: expected a number above 0, got -1"):
        Inner(rate=-1)


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(
        RecipeError, match=r"^Outer: unknown key 'inner\.rat'\. Did you mean 'rate'"
    ):
        Outer(inner={"rat": 1})  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"unknown key 'cont'\. Did you mean 'count'\?"):
        Outer(cont=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "values",
    [{"count": True}, {"names": [True]}, {"sweep": {"beta": [0.5, True]}}, {"inner": True}],
)
def test_true_is_no_number_no_text_and_no_section(values):
    key = next(iter(values))
    with pytest.raises(RecipeError, match=rf"^Outer: {key}: expected "):
        Outer(**values)


def test_a_field_that_takes_anything_takes_truth_values():
    extra = {"thinking": False, "stop": [True]}
    assert Inner(extra=extra).extra == extra
    assert Outer(flag=True).flag


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value):
    with pytest.raises(
        RecipeError, match=r"^Inner: rate: expected a number above 0, got (nan|inf)"
    ):
        Inner(rate=value)


def test_settings_are_frozen_and_a_changed_copy_is_checked():
    settings = Outer(count=5, inner=Inner(rate=2))
    assert settings.changed(count=6) == Outer(count=6, inner=Inner(rate=2))
    with pytest.raises(RecipeError, match=r"^Outer: count: expected a whole number .* got 'many'"):
        settings.changed(count="many")
    with pytest.raises(RecipeError, match=r"^Outer: unknown key 'cuont'"):
        settings.changed(cuont=6)


def test_a_changed_copy_knows_what_was_set_by_hand():
    copy = Outer(count=5).changed(inner=Inner(rate=2))
    assert copy.model_fields_set == {"count", "inner"}
    assert copy.changed(count=5).model_fields_set == {"count", "inner"}
    assert Inner().changed().model_fields_set == set()


def test_a_password_in_a_value_is_not_repeated():
    with pytest.raises(RecipeError, match=r"got 'http://…@host'") as raised:
        Outer(count="http://me:secret@host")  # type: ignore[arg-type]
    assert "secret" not in str(raised.value)


def test_changes_open_sections_that_are_missing_or_null():
    content: dict[str, Any] = {"inner": None}
    apply_changes(content, ["inner.rate=1e-3", "other.count=2", "names=[a, b]"])
    assert content == {"inner": {"rate": 0.001}, "other": {"count": 2}, "names": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("count", r"expected key=value, found 'count'; for example"),
        ("=3", r"expected key=value, found '=3'"),
        ("inner..rate=1", r"expected key=value, found 'inner\.\.rate=1'"),
        ("count.of=1", r"'count\.of=1': 'count' is a value, it holds no key 'of'"),
        ("count=[", r"'count=\[':1: not valid YAML: "),
    ],
)
def test_a_change_that_cannot_be_made_is_named(change, message):
    with pytest.raises(RecipeError, match=f"^{message}"):
        apply_changes({"count": 1}, [change])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected `key: value` lines"),
        ("- a", "expected `key: value` lines, found a list"),
    ],
)
def test_a_file_without_a_mapping_is_refused(tmp_path, text, message):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(RecipeError, match=f"^x: {message}"):
        read_content(tmp_path / "x.yaml", "x")


def test_the_json_schema_describes_fields_by_their_docstrings():
    schema = json_schema(Outer)
    assert schema["additionalProperties"] is False
    count = schema["properties"]["count"]
    assert count["description"] == "Number of things."
    assert (count["minimum"], count["maximum"], count["default"]) == (1, 1_000_000, 3)
    assert schema["$defs"]["Inner"]["properties"]["rate"]["description"] == "Per second."


class Source(Settings):
    only_with: ClassVar[Mapping[str, tuple[str, str]]] = {"size": ("kind", "made")}
    kind: str = "made"
    size: int = 3


class Whole(Settings):
    source: Source | None = None
    named: int = 1


def test_keys_that_mean_nothing_beside_another_are_not_shown_in_nested_sections_either():
    for kind, shown in (("made", {"kind": "made", "size": 3}), ("file", {"kind": "file"})):
        content = Whole(source=Source(kind=kind)).model_dump()
        assert applicable(Whole, content) == {"source": shown, "named": 1}
    assert applicable(Whole, {"source": None}) == {"source": None}
    assert applicable(Whole, {"source": {"size": 4}, "old": 1}) == {"source": {"size": 4}, "old": 1}
