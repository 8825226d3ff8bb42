"""How chains are cut."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.segments.settings import SegmentationSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"beta": 0}, "beta: expected a number above 0, got 0"),
        ({"reduce": "max"}, "reduce: expected one of mean, sum, got 'max'"),
        ({"folds": 0}, "folds: expected a whole number of at least 1"),
        ({"max_segments": 0}, "max_segments: expected a whole number of at least 1, or null"),
    ],
)
def test_invalid_settings_are_refused(values, message):
    with pytest.raises(RecipeError, match=f"^SegmentationSettings: {message}"):
        SegmentationSettings(**values)
