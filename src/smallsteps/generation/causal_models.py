"""What computes the logits of a causal student: fast passes, or transformers' modules.

Positions are given explicitly, so models with absolute positions work as well. Not here: which row
holds what (`causal_cache.py`), who enters and leaves (`causal.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from smallsteps.generation.caches import cache_argument
from smallsteps.generation.causal_cache import BatchCache, RowCache, joined, rows_of
from smallsteps.students.llama import READ_TOKENS, LlamaRunner
from smallsteps.students.padding import pad

PREFILL_TOKENS = 8192
"""Maximum number of padded tokens that entering rows read at a time."""


class CausalModel(Protocol):
    """What computes the logits of a causal student."""

    read_tokens: int
    """Maximum number of tokens, as `padded` counts them, that entering rows read at a time."""

    def new_cache(self) -> Any:
        """The cache of a batch without rows, `BatchCache` or one with its methods."""
        ...

    def padded(self, lengths: Sequence[int]) -> int:
        """Tokens that pass through the model where sources of these lengths are read together."""
        ...

    def read(
        self, sources: Sequence[Sequence[int]], caches: Sequence[RowCache | None]
    ) -> tuple[Tensor, list[RowCache]]:
        """Logits [rows, vocab] after each source, and each row's cache: what it brought along, and
        its source."""
        ...

    def step(self, tokens: Sequence[int], cache: Any) -> Tensor:
        """Logits [rows, vocab] after each row has read its token, which is written into `cache`, of
        `new_cache`."""
        ...


class FusedModel:
    """`LlamaRunner`'s fast passes, on a CPU."""

    read_tokens = READ_TOKENS

    def __init__(self, runner: LlamaRunner) -> None:
        self.runner = runner

    def new_cache(self) -> BatchCache:
        """Of a batch without rows."""
        return BatchCache()

    def padded(self, lengths: Sequence[int]) -> int:
        return sum(lengths)

    def read(
        self, sources: Sequence[Sequence[int]], caches: Sequence[RowCache | None]
    ) -> tuple[Tensor, list[RowCache]]:
        logits, states = self.runner.read(
            sources, [cache.layers if cache else () for cache in caches]
        )
        return logits, [RowCache(tuple(row), row[0][0].shape[1]) for row in states]

    def step(self, tokens: Sequence[int], cache: BatchCache) -> Tensor:
        layers, mask, positions = cache.before_token()
        return self.runner.step(torch.tensor(tokens), positions.squeeze(1), layers, mask)


class ModuleModel:
    """Any causal model of transformers, by its own modules; on a GPU with fast steps, where the
    model has them."""

    read_tokens = PREFILL_TOKENS

    def __init__(self, model: Any, pad_id: int, runner: LlamaRunner | None = None) -> None:
        """runner: of the same weights and type; it takes the steps."""
        self.model, self.pad_id, self.runner = model, pad_id, runner
        self.cache_argument = cache_argument(model)

    def new_cache(self) -> BatchCache:
        """Of a batch without rows."""
        return BatchCache()

    def padded(self, lengths: Sequence[int]) -> int:
        return max(lengths) * len(lengths)

    def read(
        self, sources: Sequence[Sequence[int]], caches: Sequence[RowCache | None]
    ) -> tuple[Tensor, list[RowCache]]:
        """Columns are the caches that rows bring along, right-aligned, then the new tokens,
        right-aligned; the mask skips both paddings."""
        layers, before = joined(caches, self.model.config.get_text_config().num_hidden_layers)
        ids, unread_mask = pad(sources, fill=self.pad_id, left=True)
        read_mask = torch.zeros(len(sources), before, dtype=torch.long)
        positions = torch.zeros_like(ids)
        for n, (source, cache) in enumerate(zip(sources, caches, strict=True)):
            start = cache.length if cache else 0
            read_mask[n, before - start :] = 1
            positions[n, -len(source) :] = torch.arange(start, start + len(source))
        mask = torch.cat([read_mask, unread_mask], dim=1)
        return self._logits(ids, mask, positions, layers), rows_of(layers, mask)

    def step(self, tokens: Sequence[int], cache: BatchCache) -> Tensor:
        layers, mask, positions = cache.before_token()
        if self.runner is not None:
            return self.runner.step(torch.tensor(tokens), positions.squeeze(1), layers, mask)
        return self._logits(torch.tensor(tokens)[:, None], mask, positions, layers)

    def _logits(
        self, ids: Tensor, mask: Tensor, positions: Tensor, layers: Sequence[DynamicLayer]
    ) -> Tensor:
        device = self.model.device
        out = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            use_cache=True,
            logits_to_keep=1,
            **{self.cache_argument: Cache(layers=list(layers))},
        )
        logits: Tensor = out.logits[:, -1]
        return logits
