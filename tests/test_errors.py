"""Wording that messages share."""

import pytest

from smallsteps.errors import counted


@pytest.mark.parametrize(
    ("count", "noun", "told"),
    [
        (0, "chain", "0 chains"),
        (1, "chain", "1 chain"),
        (2, "round", "2 rounds"),
        (12_000, "token", "12,000 tokens"),
    ],
)
def test_only_a_single_thing_is_singular(count, noun, told):
    assert counted(count, noun) == told
