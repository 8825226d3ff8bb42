"""Each perturbation spoils a rationale in its own way, and always in the same one."""

from __future__ import annotations

import random

import pytest

from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.perturb import PERTURBATIONS
from smallsteps.quality.rated import Rated

from .conftest import GOOD, ITEMS, PROBLEM


def spoilt(name, item, other=ITEMS[0], seed=0):
    return PERTURBATIONS[name](item, other, random.Random(seed))


def test_every_perturbation_belongs_to_an_aspect():
    assert {name for a in ASPECTS.values() for name in a.lowered_by} == set(PERTURBATIONS)


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_every_perturbation_changes_the_text_and_is_repeatable(name):
    item = ITEMS[1]
    text = spoilt(name, item)
    assert text and text != item.text and text == spoilt(name, item)


def test_the_closing_stays_where_it_was():
    item = Rated.of(PROBLEM, GOOD)
    for name in ("swap", "negate", "drop", "repeat", "shuffle", "insert", "garble", "bloat"):
        assert spoilt(name, item).endswith(" The answer is Italy."), name


def test_by_hand():
    item = Rated.of(PROBLEM, "Ann lives in Rome. So Ann lives in Italy. The answer is Italy.")
    assert spoilt("drop", item) == "So Ann lives in Italy. The answer is Italy."
    assert spoilt("other", item) == ITEMS[0].text
    assert "never lives" in spoilt("negate", item)
    auxiliary = Rated.of(PROBLEM, "Rome is a town.")
    assert spoilt("negate", auxiliary) == "Rome is not a town."


def test_what_cannot_be_spoilt_in_this_way_is_none():
    short = Rated.of(PROBLEM, "ok")
    for name in ("swap", "negate", "drop", "shuffle"):
        assert spoilt(name, short) is None, name
    assert spoilt("insert", Rated.of(PROBLEM, GOOD), other=Rated.of(PROBLEM, GOOD)) is None
