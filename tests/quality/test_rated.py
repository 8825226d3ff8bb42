"""A rationale with its context, and the references that it is compared with."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError
from smallsteps.quality.rated import Rated, References
from smallsteps.records import Problem
from smallsteps.tasks import get_task

from .conftest import GOOD, PROBLEM


def test_a_pronoun_is_read_with_the_title_of_its_paragraph():
    rated = Rated.of(PROBLEM, GOOD)
    assert rated.context == (
        "Ann lives in Rome.",
        "Rome: It is a town in Italy.",
        "Rome: The sky is blue.",
    )
    assert rated.steps == [
        "Ann lives in Rome.",
        "Rome is a town in Italy.",
        "So Ann lives in Italy.",
    ]


def test_a_closing_alone_is_a_step():
    assert Rated.of(PROBLEM, "The answer is Italy.").steps == ["The answer is Italy."]


def test_a_task_of_contexts_needs_them():
    with pytest.raises(DataError, match="no context"):
        Rated.of(Problem("p", "Where?", "x"), GOOD, get_task("hotpotqa"))
    with pytest.raises(DataError, match="no reference rationales"):
        References.of([])


def test_references_know_the_lengths_that_all_but_one_per_cent_have():
    references = References.of(["word " * n for n in range(1, 102)])
    assert (references.shortest, references.longest) == (2, 100)
    assert References.of(["a b"]) == References(2, 2, 0.0, 1.0)


def test_references_that_do_not_vary_have_a_spread_that_can_be_divided_by():
    assert References.of(["a", "b"], [-0.5, -0.5]) == References(1, 1, -0.5, 1.0)
