"""Facts about a run are typed strictly: a wrong key or type in a file is an error."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from smallsteps.experiment.run_facts import BudgetFacts, DataFacts, Provenance


def test_what_is_not_known_is_null_and_not_nought() -> None:
    """The trap: 0 chains with a wrong answer says that they were looked for."""
    facts = DataFacts(source="a", task="numbers", train=8, validation=2, test=2, overlap=0)
    assert (facts.chains, facts.wrong, facts.closed, facts.odd, facts.feedback) == (None,) * 5
    budget = BudgetFacts(until="passes", tokens=None)
    assert budget.update_examples is None and budget.smallest_plateau is None


def test_a_key_or_a_type_that_is_not_meant_is_an_error() -> None:
    with pytest.raises(ValidationError, match="until"):
        BudgetFacts(until="weeks", tokens=None)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="tokens"):
        BudgetFacts(until="tokens", tokens="9000")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="Extra inputs"):
        BudgetFacts(until="tokens", tokens=9000, cap=1)  # type: ignore[call-arg]


def test_a_run_is_of_one_command_unless_it_says_otherwise() -> None:
    assert Provenance.model_fields["commands"].default == 1
