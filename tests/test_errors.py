"""The tree of errors with its exit codes, and wording that messages share."""

import pytest

from smallsteps import errors
from smallsteps.errors import counted, nearest


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "chain", "0 chains"),
        (1, "chain", "1 chain"),
        (2, "round", "2 rounds"),
        (12_000, "token", "12,000 tokens"),
    ],
)
def test_only_a_single_thing_is_singular(count, noun, text):
    assert counted(count, noun) == text


def test_the_tree_in_the_docstring_is_the_tree():
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.SmallstepsError):
            assert name in errors.__doc__
            assert kind.exit_code == (2 if issubclass(kind, errors.UserError) else 1)


def test_a_name_like_no_other_gets_the_list_alone():
    assert nearest("zzz", ["b", "a"]) == " Known: a, b."


def test_of_a_long_list_only_the_most_similar_names_are_named():
    names = [f"guided-{n}" for n in range(80)] + ["direct", "direct-report"]
    message = nearest("dirct", names)
    assert message.startswith(" Did you mean 'direct'? Known, among 82: direct, direct-report, ")
    assert len(message) < 120
