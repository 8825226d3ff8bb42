"""Dropout is set wherever a model keeps it."""

import pytest
import torch

from smallsteps.students.dropout import set_dropout


@pytest.mark.parametrize("style", ["t5", "bart", "t5gemma", "t5gemma2", "llama"])
def test_dropout_is_set_wherever_a_model_keeps_it(tiny, style):
    model = tiny(style).model
    set_dropout(model, 0.5)
    assert all(m.p == 0.5 for m in model.modules() if isinstance(m, torch.nn.Dropout))
    for name in ("dropout_rate", "dropout", "attention_dropout", "activation_dropout"):
        assert getattr(model.config, name, 0.5) == 0.5
