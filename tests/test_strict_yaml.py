"""Strict YAML: plain values as people mean them; every fault is one line that names its place."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.strict_yaml import DEEPEST, LONGEST, decoded, read_yaml, read_yaml_file


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("-2E4", -20000.0),
        ("1e", "1e"),
        ("2024-01-31", "2024-01-31"),
        ("yes", True),
        ("", None),
        ("{a: [1, x]}", {"a": [1, "x"]}),
    ],
)
def test_numbers_are_numbers_and_dates_are_text(text, value):
    read = read_yaml(text, "x")
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"^r\.yaml:3: not valid YAML: the key 'a' stands twice\.$"),
        ("a: &x 1", r"^r\.yaml:1: .*anchors"),
        ("a: *x", r"^r\.yaml:1: .*aliases"),
        (
            "a: !!python/object:os.system x",
            r"^r\.yaml:1: not valid YAML: could not determine a constr",
        ),
        ("1: x", r"^r\.yaml:1: .*expected a name before the colon, got '1'"),
        ("[1]: x", r"^r\.yaml:1: .*expected a name before the colon"),
        ("a: [1", r"^r\.yaml:1: not valid YAML: "),
        ("a: \x07", r"^r\.yaml:1: not valid YAML: a character that no text has \(0x7\)\.$"),
        ("[" * (DEEPEST + 1), rf"^r\.yaml:1: .*nested more than {DEEPEST} levels"),
        ("a: " + "9" * 5000, r"^r\.yaml: not valid YAML: Exceeds the limit"),
    ],
)
def test_a_fault_is_one_line_that_begins_with_file_and_line(text, message):
    with pytest.raises(RecipeError, match=message) as error:
        read_yaml(text, "r.yaml")
    assert "\n" not in str(error.value)


def test_nesting_up_to_the_limit_is_read():
    assert read_yaml("[" * DEEPEST + "]" * DEEPEST, "x") is not None


def test_a_file_is_named_where_it_cannot_be_read_or_is_no_recipe(tmp_path):
    with pytest.raises(RecipeError, match=r"none: cannot be read \(No such file"):
        read_yaml_file(tmp_path / "none")
    (tmp_path / "long").write_bytes(b"#" * (LONGEST + 1))
    with pytest.raises(RecipeError, match=r"long: larger than 10,000,000 bytes"):
        read_yaml_file(tmp_path / "long")
    (tmp_path / "empty").touch()
    assert read_yaml_file(tmp_path / "empty") is None


def test_bytes_that_are_not_utf_8_are_refused_with_what_they_look_like():
    assert decoded("\ufeffé".encode(), "x") == "é"
    for content, message in [
        ("a".encode("utf-16"), "x: UTF-16, expected UTF-8"),
        (b"a\0", "x: expected text, found a binary file"),
        (b"a\n\xff", r"x:2: not UTF-8 \(byte 0xff\)"),
    ]:
        with pytest.raises(RecipeError, match=message):
            decoded(content, "x")
