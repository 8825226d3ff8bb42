"""Settings of a student made from scratch."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.students.settings import ScratchSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"tokenizer": "chars"},
            r"tokenizer: expected one of bytes, characters, got 'chars'\. Did",
        ),
        ({"vocabulary": 261}, "vocabulary: expected a whole number from 262 to 1,000,000 with the"),
        ({"heads": 0}, "heads: expected a whole number of at least 1, got 0"),
        ({"layers": True}, "layers: expected a whole number of at least 1, got true"),
        ({"dropout": 1}, "dropout: expected a number of at least 0 and below 1, got 1"),
        ({"neighbours": "maybe"}, "neighbours: expected true or false, got 'maybe'"),
        ({"width": 3}, "unknown key 'width'"),
    ],
)
def test_invalid_settings_are_refused(values, message):
    with pytest.raises(RecipeError, match=f"^ScratchSettings: {message}"):
        ScratchSettings(**values)


def test_a_value_in_two_sections_names_the_smallest_vocabulary_of_its_tokenizer():
    assert ScratchSettings(tokenizer="characters", vocabulary=8).vocabulary == 8
    with pytest.raises(RecipeError, match="from 8 to 1,000,000 with the tokenizer characters"):
        ScratchSettings(tokenizer="characters", vocabulary=7)
