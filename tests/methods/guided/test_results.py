"""The records of LM-guided chain of thought in results.json."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from smallsteps.experiment.results import method_results
from smallsteps.methods.guided.results import GuidedResults, RefinementResult


def test_the_record_is_found_by_the_name_of_the_method() -> None:
    assert method_results("guided") is GuidedResults


def test_a_gauge_that_was_not_measured_at_one_end_is_null_there() -> None:
    """`measured` is 1 at steps with an evaluation; the first tenth of the steps may have none."""
    ends = {"arm": "both", "seed": 0, "steps": 2, "stopped": None, "update": 0}
    values = {"value": 12.5, "start": None, "first": {"measured": None}, "last": {"measured": 1.0}}
    refinement = RefinementResult(**ends, **values)
    assert RefinementResult.model_validate(refinement.model_dump()) == refinement
    with pytest.raises(ValidationError, match="valid number"):
        RefinementResult(**ends, **{**values, "last": {"measured": "often"}})
