"""Settings of a student made from scratch."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.students.settings import ScratchSettings, StudentSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"tokenizer": "chars"},
            r"tokenizer: expected one of bytes, characters, got 'chars'\. Did",
        ),
        ({"vocabulary": 261}, "vocabulary: expected a whole number from 262 to 1,000,000 with the"),
        (
            {"architecture": "gpt"},
            "architecture: expected one of encoder-decoder, causal, got 'gpt'",
        ),
        (
            {"architecture": "causal", "d_kv": 7},
            "d_kv: expected an even number for a causal student, got 7",
        ),
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


def test_each_tokenizer_has_a_smallest_vocabulary_of_its_own():
    assert ScratchSettings(tokenizer="characters", vocabulary=8).vocabulary == 8
    with pytest.raises(RecipeError, match="from 8 to 1,000,000 with the tokenizer characters"):
        ScratchSettings(tokenizer="characters", vocabulary=7)


@pytest.mark.parametrize("scratch", [{}, None])
def test_nothing_named_is_no_student_from_scratch(scratch):
    assert StudentSettings(scratch=scratch).scratch is None
    assert StudentSettings(scratch={"layers": 2}).scratch == ScratchSettings(layers=2)


def test_the_device_changes_no_result():
    assert StudentSettings(device="cpu").effects() == StudentSettings(device="cuda").effects()
    assert StudentSettings(lora=8).effects() != StudentSettings().effects()
