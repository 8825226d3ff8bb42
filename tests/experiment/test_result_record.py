"""What all records of results.json share: they are frozen and refuse what they do not know."""

import pytest
from pydantic import ValidationError

from smallsteps.experiment.result_record import Figure


def test_a_record_cannot_be_changed_and_refuses_unknown_keys_and_wrong_types() -> None:
    figure = Figure(value=1.0, low=0.5, high=1.5)
    with pytest.raises(ValidationError, match="frozen"):
        figure.value = 2.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Figure.model_validate({"value": 1.0, "low": 0.5, "high": 1.5, "hgih": 2.0})
    with pytest.raises(ValidationError, match="valid number"):
        Figure.model_validate({"value": "1.0", "low": 0.5, "high": 1.5})
