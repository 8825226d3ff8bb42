"""Llama-class models (Llama, SmolLM, Qwen 2) without the overhead: prompts (on a CPU), and single
steps of many rows (on any device), on a Hugging Face model's weights.

What is gained over the modules: fused projections (Q K V; gate and up) in the layout that the CPU's
products want, prompts without any padding, queries that share a head of keys attend together (keys
and values are never repeated), and a vocabulary head on last positions only. With 30
layers a step is 808 operations instead of the modules' 1,246. On a GPU a small model's step takes
its time for starting them.

Numbers agree with the modules up to rounding (tests compare logits and greedy text). Not here:
which row holds what (`generation/causal_cache.py`). Sources: the Llama modules of transformers;
Touvron et al. 2023, Sec. 2.2; grouped queries: Ainslie et al. 2023; rotary positions: Su et al.
2021."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from smallsteps.students.fused import linear, norm

KeysValues = tuple[Tensor, Tensor]
"""Of one row in one layer, each [heads, length, d]."""

MODEL_TYPES = ("llama", "qwen2")
ROPE_TYPES = ("default", "linear", "llama3", "yarn")
"""Rotary positions that do not depend on the lengths of the other rows."""

LARGEST_MODEL = 2**30
"""Parameters of the largest model whose weights are copied into another layout."""

READ_TOKENS = 1024
"""Tokens of prompts that go through the model at once: more do not fit into a CPU's caches."""


def runs_fast(model: Any) -> bool:
    """Whether `LlamaRunner` can take the place of `model`'s modules."""
    config = model.config
    if config.model_type not in MODEL_TYPES:
        return False
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        rope.get("rope_type", "default") in ROPE_TYPES
        and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
        and config.hidden_act == "silu"
        and sum(weight.numel() for weight in model.parameters()) <= LARGEST_MODEL
    )


class PastLayer(Protocol):
    """The caches of all rows in one layer."""

    def update(self, key_states: Tensor, value_states: Tensor) -> KeysValues:
        """Writes a token's keys and values [rows, heads, 1, d]; all columns that rows may see, the
        new one at the end: [rows, heads, columns, d]."""
        ...


class FusedBlock:
    """Weights of one block, fused."""

    def __init__(self, block: Any, dtype: torch.dtype) -> None:
        attention, mlp = block.self_attn, block.mlp
        q, k, v = attention.q_proj, attention.k_proj, attention.v_proj
        self.d = attention.head_dim
        self.heads, self.group = k.out_features // self.d, q.out_features // k.out_features
        # a norm's weight scales what the next product reads, so it is folded into that product's
        # weight; the scale of attention is folded into the queries
        scales = [attention.scaling, 1.0, 1.0]
        self.qkv = linear(
            stacked([q.weight, k.weight, v.weight], scales) * block.input_layernorm.weight,
            dtype,
            None if q.bias is None else stacked([q.bias, k.bias, v.bias], scales),
        )
        self.out = linear(attention.o_proj.weight, dtype, attention.o_proj.bias)
        gate, up = mlp.gate_proj, mlp.up_proj
        self.gate_up = linear(
            torch.cat([gate.weight, up.weight]) * block.post_attention_layernorm.weight,
            dtype,
            None if gate.bias is None else torch.cat([gate.bias, up.bias]),
        )
        self.down = linear(mlp.down_proj.weight, dtype, mlp.down_proj.bias)
        self.eps = block.input_layernorm.variance_epsilon

    def project(self, hidden: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [tokens, heads, group, d], keys and values [tokens, heads, d] of hidden states
        [tokens, width], at positions whose angles have these cosines and sines [tokens, 1, d /
        2]."""
        fused = self.qkv(norm(hidden, self.eps)).unflatten(-1, (-1, self.d))
        first, second = fused[:, : -self.heads].chunk(2, -1)
        turned = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
        queries = turned[:, : -self.heads].unflatten(1, (self.heads, self.group))
        return queries, turned[:, -self.heads :], fused[:, -self.heads :]

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """The block's output: hidden states [tokens, width] and what attention gave [tokens, heads,
        group, d]."""
        hidden = hidden + self.out(attended.flatten(1))
        gate, up = self.gate_up(norm(hidden, self.eps)).chunk(2, -1)
        after: Tensor = hidden + self.down(F.silu(gate).mul_(up))
        return after


class LlamaRunner:
    """Prompts and steps on the weights that `model` has now."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        base = model.model
        self.dtype = dtype
        self.embedding = base.embed_tokens.weight.detach().to(dtype)
        self.layers = [FusedBlock(block, dtype) for block in base.layers]
        self.norm_weight = base.norm.weight.detach().to(dtype)
        self.eps = base.norm.variance_epsilon
        self.head = linear(model.get_output_embeddings().weight, dtype)
        self.rotary = base.rotary_emb

    def angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines at positions [tokens]: [tokens, 1, d / 2]."""
        cos, sin = self.rotary(self.embedding[:1], position_ids=positions[None])
        half = cos.shape[-1] // 2  # the module gives every angle twice
        return cos[0, :, None, :half], sin[0, :, None, :half]

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [rows, vocab] of the last block's output [rows, width]."""
        logits: Tensor = self.head(norm(hidden, self.eps) * self.norm_weight)
        return logits

    def step(
        self, tokens: Tensor, positions: Tensor, past: Sequence[PastLayer], mask: Tensor
    ) -> Tensor:
        """Logits [rows, vocab] after each row has read its token. On the CPU: `tokens`,
        `positions` [rows]; `mask` [rows, columns]: which columns of the caches, its new one
        included, a row sees."""
        device = self.embedding.device
        hidden = self.embedding[tokens.to(device)]
        cos, sin = self.angles(positions.to(device))
        bias = None
        if not mask.all():
            bias = torch.zeros(mask.shape).masked_fill_(mask == 0, -torch.inf)
            bias = bias[:, None, None].to(device)
        for layer, caches in zip(self.layers, past, strict=True):
            queries, keys, values = layer.project(hidden, cos, sin)
            all_keys, all_values = caches.update(keys[:, :, None], values[:, :, None])
            hidden = layer.finish(hidden, attend(queries, all_keys, all_values, bias))
        return self.logits(hidden)

    def read(
        self, sources: Sequence[Sequence[int]], pasts: Sequence[Sequence[KeysValues]]
    ) -> tuple[Tensor, list[list[KeysValues]]]:
        """(logits [rows, vocab] after each source, keys and values of each row, past ones included,
        layer by layer). On a CPU alone, where many small passes cost little. `pasts`: what each
        row has read before its source; nothing: the source is its beginning."""
        lengths = [len(source) for source in sources]
        starts = [past[0][0].shape[1] if past else 0 for past in pasts]
        # all but attention runs on the tokens of all sources, one after another
        hidden = self.embedding[torch.tensor([i for source in sources for i in source])]
        cos, sin = self.angles(
            torch.cat([torch.arange(n, n + k) for n, k in zip(starts, lengths, strict=True)])
        )
        states: list[list[KeysValues]] = [[] for _ in sources]
        for number, layer in enumerate(self.layers):
            rows = []
            projected = [part.split(lengths) for part in layer.project(hidden, cos, sin)]
            for n, (queries, keys, values) in enumerate(zip(*projected, strict=True)):
                keys, values = keys.transpose(0, 1), values.transpose(0, 1)
                if starts[n]:
                    before = pasts[n][number]
                    keys = torch.cat([before[0], keys], 1)
                    values = torch.cat([before[1], values], 1)
                states[n].append((keys, values))
                rows.append(attend_causally(queries, keys, values))
            hidden = layer.finish(hidden, torch.cat(rows))
        last = torch.tensor(lengths).cumsum(0) - 1
        return self.logits(hidden[last]), states


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of one new token a row: queries [rows, heads, group, d], keys and values [rows,
    heads, columns, d]; float32 mask [rows, 1, 1, columns] added → [rows, heads, group, d].

    Keys times queries is up to three times as fast as the fused kernel, or as queries times keys:
    a group has few queries and the keys are many."""
    weights = torch.matmul(keys, queries.transpose(-1, -2)).transpose(-1, -2).float()
    if mask is not None:
        weights = weights + mask
    return torch.matmul(weights.softmax(-1).to(values.dtype), values)


def attend_causally(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of one row's new tokens: queries [tokens, heads, group, d], keys and values [heads,
    length, d], of which the last are those of the new tokens → [tokens, heads, group, d]."""
    new, _, group, _ = queries.shape
    length = keys.shape[1]
    mask = None
    if 1 < new < length:
        mask = torch.ones(new, length, dtype=torch.bool).tril_(length - new)
    attended = F.scaled_dot_product_attention(
        queries.permute(1, 2, 0, 3).flatten(0, 1)[None],
        keys.repeat_interleave(group, 0)[None],
        values.repeat_interleave(group, 0)[None],
        attn_mask=mask,
        is_causal=new > 1 and new == length,
        scale=1.0,
    )
    return attended[0].unflatten(0, (-1, group)).permute(2, 0, 1, 3)


def stacked(weights: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """The weights below each other, each times its scale."""
    return torch.cat([weight * scale for weight, scale in zip(weights, scales, strict=True)])
