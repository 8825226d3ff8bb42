"""The dropout of a model, whatever its architecture."""

from __future__ import annotations

from typing import Any

import torch


def set_dropout(model: Any, rate: float) -> None:
    """Sets every dropout of a model, those that its configuration names included."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = rate
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = rate
    for name in (
        "dropout_rate",
        "dropout",
        "attention_dropout",
        "hidden_dropout",
        "activation_dropout",
    ):
        if hasattr(model.config, name):
            setattr(model.config, name, rate)
