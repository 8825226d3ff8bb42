"""What a model of transformers calls its cache of keys and values.

Releases before 5.24 call the argument `past_key_values`; later ones call it `cache` and warn about
the old name. The supported range holds both, so the model is asked."""

from __future__ import annotations

import inspect
from typing import Any


def cache_argument(model: Any) -> str:
    """The name of the argument by which `model.forward` takes a cache.

    >>> class New:
    ...     def forward(self, input_ids, cache=None): ...
    >>> class Old:
    ...     def forward(self, input_ids, past_key_values=None): ...
    >>> cache_argument(New()), cache_argument(Old())
    ('cache', 'past_key_values')
    """
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
