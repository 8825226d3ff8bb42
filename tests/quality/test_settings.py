"""The names of judges."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.quality.settings import JudgeSettings


@pytest.mark.parametrize(
    ("name", "is_chat", "model"),
    [
        ("lexical", False, "lexical"),
        ("org/nli-model", False, "org/nli-model"),
        ("endpoint:org/m:free", True, "org/m:free"),
        ("local:runs/student", True, "runs/student"),
    ],
)
def test_a_prefix_says_that_a_chat_model_judges(name, is_chat, model):
    settings = JudgeSettings(name=name)
    assert (settings.is_chat, settings.model) == (is_chat, model)


@pytest.mark.parametrize("name", ["endpoint:", "local:"])
def test_a_prefix_alone_names_no_model(name):
    with pytest.raises(RecipeError, match=f"{name} names no model. Type {name}"):
        JudgeSettings(name=name)
