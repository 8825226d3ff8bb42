"""T5 and mT5 without the overhead: encoder, whole decoder pass and single decoder step on a Hugging
Face model's weights.

What is gained over the modules: fused projections (Q K V; both gates), fused attention with the
relative bias as its mask, caches that are written in place instead of copied longer at each step,
and a vocabulary head on the last position only.

The decoder of a T5 knows relative positions only. So all rows can share one time axis: a row that
enters at step s masks what lies before s, and the bias of the last w steps is the same for every
row. Rows come and go without anyone waiting.

Numbers agree with the modules up to rounding (tests compare logits and greedy text). Not here:
which row holds what (`generation/encoder_decoder.py`). Source: the T5 modules of transformers;
Raffel et al. 2020, Sec. 2.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from smallsteps.students.fused import linear, norm

ONE_BY_ONE = ("cpu",)
"""Devices on which each source attends in a separate call, and the long rows of a step apart from
the others."""

STEPS = 64
"""Room of new caches, in steps; caches grow and shrink by as many."""

COPIED, SPLIT_GAIN = 4, 0.85
"""What the keys of a long row cost more when it attends apart, and what attending apart must save
to be done."""


class Layer:
    """Weights of one block, fused."""

    def __init__(self, block: Any, dtype: torch.dtype, decoder: bool) -> None:
        attention = block.layer[0].SelfAttention
        # a norm's weight scales what the next product reads, so it is folded into that product's
        # weight
        before = block.layer[0].layer_norm.weight
        self.qkv = linear(
            torch.cat([attention.q.weight, attention.k.weight, attention.v.weight]) * before, dtype
        )
        self.out = linear(attention.o.weight, dtype)
        if decoder:
            cross = block.layer[1].EncDecAttention
            self.cross_q = linear(cross.q.weight * block.layer[1].layer_norm.weight, dtype)
            self.cross_out = linear(cross.o.weight, dtype)
        dense = block.layer[-1].DenseReluDense
        self.gated = hasattr(dense, "wi_0")
        wi = torch.cat([dense.wi_0.weight, dense.wi_1.weight]) if self.gated else dense.wi.weight
        self.wi = linear(wi * block.layer[-1].layer_norm.weight, dtype)
        self.wo = linear(dense.wo.weight, dtype)

    def feed_forward(self, hidden: Tensor, eps: float, act: Any) -> Tensor:
        inner = self.wi(norm(hidden, eps))
        if self.gated:
            gate, value = inner.chunk(2, -1)
            return hidden + self.wo(act(gate).mul_(value))
        return hidden + self.wo(act(inner))


class T5Runner:
    """The encoder, and decoder steps over `slots` rows; see the module's abstract for the shared
    time axis.

    Caches: self-attention [slots, heads, steps, d_kv] per layer; cross-attention [slots, heads,
    source, d_kv] per layer."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        config = model.config
        self.dtype, self.device = dtype, model.device
        self.heads, self.d_kv, self.eps = config.num_heads, config.d_kv, config.layer_norm_epsilon
        # the modules' tanh approximation in a dozen kernels; this one is fused
        tanh = config.dense_act_fn == "gelu_new"
        self.act = (lambda x: F.gelu(x, approximate="tanh")) if tanh else _activation(model)
        self.embedding = model.get_input_embeddings().weight.detach().to(dtype)
        self.encoder = [Layer(block, dtype, False) for block in model.encoder.block]
        self.decoder = [Layer(block, dtype, True) for block in model.decoder.block]
        scale = config.d_model**-0.5 if getattr(config, "scale_decoder_outputs", False) else 1.0
        # keys and values of the source for all decoder layers in one product
        crosses = [block.layer[1].EncDecAttention for block in model.decoder.block]
        both = torch.cat([w for c in crosses for w in (c.k.weight, c.v.weight)])
        self.cross_kv = linear(both * model.encoder.final_layer_norm.weight, dtype)
        # not folded into the head, which may be the largest weight by far and is then not worth a
        # copy
        self.head_scale = (model.decoder.final_layer_norm.weight.detach() * scale).to(dtype)
        self.head_weight = linear(model.get_output_embeddings().weight, dtype)
        self._encoder_attention = model.encoder.block[0].layer[0].SelfAttention
        self._decoder_attention = model.decoder.block[0].layer[0].SelfAttention
        self._encoder_bias = torch.empty(0, 0, 0, 0)
        self._step_bias = torch.empty(0, 0)

    def head(self, states: Tensor) -> Tensor:
        """Logits [..., vocab] of decoder states."""
        logits: Tensor = self.head_weight(states * self.head_scale)
        return logits

    # encoder

    def encode(self, sources: Sequence[Sequence[int]]) -> list[Tensor]:
        """Keys and values of each source for every decoder layer: [its length, layers * 2 * heads *
        d_kv]."""
        lengths = [len(source) for source in sources]
        # all but attention runs on the tokens of all sources, one after another
        hidden = self.embedding[
            torch.tensor([i for source in sources for i in source], device=self.device)
        ]
        for layer in self.encoder:
            hidden = hidden + layer.out(self._attend(layer.qkv(norm(hidden, self.eps)), lengths))
            hidden = layer.feed_forward(hidden, self.eps, self.act)
        return list(self.cross_kv(norm(hidden, self.eps)).split(lengths))

    def _attend(self, fused: Tensor, lengths: list[int]) -> Tensor:
        """Bidirectional self-attention within each source: Q K V [tokens, 3 * heads * d_kv] →
        [tokens, heads * d_kv].

        One by one there is no padding; with many small calls that is the faster way on a CPU only.
        """
        longest = max(lengths)
        bias = self._bias_for(longest)
        if self.device.type not in ONE_BY_ONE:
            sizes = torch.tensor(lengths)
            inside = torch.arange(longest) < sizes[:, None]
            places = inside.flatten().nonzero().squeeze(1).to(self.device)
            mask = bias.expand(len(lengths), -1, -1, -1).masked_fill(
                ~inside.to(self.device)[:, None, None], -torch.inf
            )
            q, k, v = self._split(self._spread(fused, places, sizes, longest))
            return self._gather(
                F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0), places
            )
        rows = []
        for row in fused.split(lengths):
            q, k, v = self._split(row[None])
            row_bias = bias[:, :, : len(row), : len(row)]
            rows.append(
                F.scaled_dot_product_attention(q, k, v, attn_mask=row_bias, scale=1.0)[0]
                .transpose(0, 1)
                .flatten(1)
            )
        return torch.cat(rows)

    @staticmethod
    def _spread(packed: Tensor, places: Tensor, lengths: Tensor, longest: int) -> Tensor:
        """Real tokens one after another [tokens, d] → rows padded with zeros [rows, longest, d]."""
        if len(packed) == len(lengths) * longest:
            return packed.view(len(lengths), longest, -1)
        padded = packed.new_zeros(len(lengths) * longest, packed.shape[1])
        padded[places] = packed
        return padded.view(len(lengths), longest, -1)

    @staticmethod
    def _gather(attended: Tensor, places: Tensor) -> Tensor:
        """Padded [rows, heads, longest, d_kv] → real tokens one after another [tokens, heads *
        d_kv]."""
        flat = attended.transpose(1, 2).flatten(2).flatten(0, 1)
        return flat if len(flat) == len(places) else flat[places]

    def _split(self, fused: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = fused.view(*fused.shape[:2], 3, self.heads, self.d_kv).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _bias_for(self, length: int) -> Tensor:
        if self._encoder_bias.shape[-1] < length:
            size = -(-length // 64) * 64
            self._encoder_bias = (
                self._encoder_attention.compute_bias(size, size).detach().to(self.dtype)
            )
        return self._encoder_bias[:, :, :length, :length]

    # decoder

    def decode(self, inputs: Sequence[Sequence[int]], keys_values: Sequence[Tensor]) -> Tensor:
        """Teacher-forced: states of all decoder inputs, rows one after another [all inputs,
        d_model], to which `head` may be applied. `keys_values` of the sources, as `encode` gives
        them."""
        sizes = torch.tensor([len(row) for row in inputs])
        lengths = torch.tensor([len(row) for row in keys_values])
        width, read = int(sizes.max()), int(lengths.max())
        places = (
            (torch.arange(width) < sizes[:, None]).flatten().nonzero().squeeze(1).to(self.device)
        )
        # what lies beyond a row's end needs no mask: nothing before it can see it
        bias = self._decoder_attention.compute_bias(width, width).detach().to(self.dtype)
        mask = bias.masked_fill(
            torch.ones(width, width, dtype=torch.bool, device=self.device).triu_(1), -torch.inf
        )
        beyond = torch.arange(read) >= lengths[:, None]
        unread = torch.zeros(beyond.shape, dtype=self.dtype).masked_fill_(beyond, -torch.inf)[
            :, None, None
        ]
        unread = unread.to(self.device)
        crosses = torch.nn.utils.rnn.pad_sequence(list(keys_values), batch_first=True)
        crosses = crosses.view(len(inputs), read, len(self.decoder), 2, self.heads, self.d_kv)
        crosses = crosses.permute(2, 3, 0, 4, 1, 5)
        hidden = self.embedding[
            torch.tensor([i for row in inputs for i in row], device=self.device)
        ]
        for layer, (keys, values) in zip(self.decoder, crosses, strict=True):
            q, k, v = self._split(
                self._spread(layer.qkv(norm(hidden, self.eps)), places, sizes, width)
            )
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
            hidden = hidden + layer.out(self._gather(attended, places))
            q = self._spread(layer.cross_q(norm(hidden, self.eps)), places, sizes, width)
            q = q.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            attended = F.scaled_dot_product_attention(q, keys, values, attn_mask=unread, scale=1.0)
            hidden = hidden + layer.cross_out(self._gather(attended, places))
            hidden = layer.feed_forward(hidden, self.eps, self.act)
        return norm(hidden, self.eps)

    def open(self, slots: int, steps: int = STEPS) -> None:
        """Empty caches for `slots` rows, with room for `steps` steps to begin with."""
        self.slots, self.steps = slots, steps
        shape = (len(self.decoder), 2, slots, self.heads, steps, self.d_kv)
        self.past = torch.zeros(shape, dtype=self.dtype, device=self.device)
        self.cross = torch.zeros(*shape[:4], 0, self.d_kv, dtype=self.dtype, device=self.device)
        self.lengths = torch.ones(slots, dtype=torch.long)
        """Source length of each slot; at least 1, so that an empty slot has something to attend
        to."""
        self.starts = torch.zeros(slots, dtype=torch.long)
        """Step at which each slot's row entered."""
        self.now = 0
        self._step_bias = self.bias_of_steps(steps)
        self._cross_mask: Tensor | None = None

    def grow(self, slots: int) -> None:
        """Adds empty slots up to `slots`; rows under way stay where they are."""
        more = slots - self.slots
        past = self.past.new_zeros((*self.past.shape[:2], slots, *self.past.shape[3:]))
        past[:, :, : self.slots, :, : self.now] = self.past[..., : self.now, :]
        self.past = past
        self.cross = F.pad(self.cross, (0, 0, 0, 0, 0, 0, 0, more))
        self.lengths = F.pad(self.lengths, (0, more), value=1)
        self.starts = F.pad(self.starts, (0, more), value=self.now)
        self.slots, self._cross_mask = slots, None

    def bias_of_steps(self, steps: int) -> Tensor:
        """The bias of the present step to the last `steps` ones, itself at the end: [heads,
        steps]."""
        attention = self._decoder_attention
        distances = -torch.arange(steps - 1, -1, -1, device=self.device)
        buckets = attention._relative_position_bucket(
            distances,
            bidirectional=False,
            num_buckets=attention.relative_attention_num_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        bias: Tensor = attention.relative_attention_bias(buckets).detach().T.to(self.dtype)
        return bias

    def enter(self, slots: Sequence[int], keys_values: Sequence[Tensor]) -> None:
        """Puts encoded sources (of `encode`) into `slots`, whose rows start at the present step."""
        lengths = [len(row) for row in keys_values]
        if self.cross.shape[4] < max(lengths):
            room = -(-max(lengths) // 64) * 64 - self.cross.shape[4]
            self.cross = F.pad(self.cross, (0, 0, 0, room))
        for slot, row in zip(slots, keys_values, strict=True):
            # what an earlier row left beyond this one's length is masked
            self.cross[:, :, slot, :, : len(row)] = row.view(
                -1, len(self.decoder), 2, self.heads, self.d_kv
            ).permute(1, 2, 3, 0, 4)
        self.lengths[slots] = torch.as_tensor(lengths)
        self.starts[slots] = self.now
        self._cross_mask = None

    def leave(self, slots: Sequence[int]) -> None:
        """Empties `slots`, so that their length no longer counts."""
        self.lengths[slots] = 1
        self._cross_mask = None

    def keep(self, slots: Sequence[int]) -> None:
        """Goes on with `slots` alone, in that order."""
        index = torch.as_tensor(slots, device=self.device)
        written = self.past[:, :, index, :, : self.now]
        self.past = self.past.new_empty((*self.past.shape[:2], len(slots), *self.past.shape[3:]))
        self.past[..., : self.now, :] = written  # what lies beyond is written before it is read
        self.cross = self.cross[:, :, index]
        self.lengths, self.starts = self.lengths[slots], self.starts[slots]
        self.slots, self._cross_mask = len(slots), None

    def step(self, tokens: Sequence[int], active: Sequence[int]) -> Tensor:
        """Logits [slots, vocab] after each slot has read its token. Slots not in `active` give
        garbage."""
        idle = torch.ones(self.slots, dtype=torch.bool)
        idle[active] = False
        self.starts[idle] = self.now
        front = int(self.starts.min())
        if self.now == self.steps:
            self._make_room(front)
            front = 0
        now = self.now
        recent, old = self._windows(now, front)
        mask, old_mask = self._step_mask(recent, None), self._step_mask(front, old) if old else None
        if self._cross_mask is None:
            beyond = torch.arange(int(self.lengths.max())) >= self.lengths[:, None]
            zeros = torch.zeros(beyond.shape, dtype=self.dtype)
            self._cross_mask = zeros.masked_fill_(beyond, -torch.inf)[:, None, None].to(self.device)
        read = self._cross_mask.shape[-1]
        hidden = self.embedding[torch.as_tensor(tokens, device=self.device)]
        for number, layer in enumerate(self.decoder):
            fused = layer.qkv(norm(hidden, self.eps)).view(self.slots, 3, self.heads, self.d_kv)
            past, cross = self.past[number], self.cross[number, ..., :read, :]
            past[:, :, :, now] = fused[:, 1:].transpose(0, 1)
            query = fused[:, 0, :, None]
            keys, values = past[..., recent : now + 1, :]
            attended = attend_one(query, keys, values, mask)
            if old:
                keys, values = past[:, old, :, front : now + 1]
                attended[old] = attend_one(query[old], keys, values, old_mask)
            hidden = hidden + layer.out(attended.flatten(1))
            q = layer.cross_q(norm(hidden, self.eps)).view(self.slots, self.heads, 1, self.d_kv)
            attended = attend_one(q, cross[0], cross[1], self._cross_mask)
            hidden = hidden + layer.cross_out(attended.flatten(1))
            hidden = layer.feed_forward(hidden, self.eps, self.act)
        self.now += 1
        return self.head(norm(hidden, self.eps))

    def _make_room(self, front: int) -> None:
        """Moves the steps from `front` on, which rows still see, to caches with as much room again,
        so that moves are rare and no cache is much larger than its rows."""
        kept = self.past[..., front : self.now, :]
        self.now -= front
        self.starts -= front
        self.steps = STEPS * max(1, -(-2 * self.now // STEPS))
        self.past = self.past.new_empty((*self.past.shape[:4], self.steps, self.d_kv))
        self.past[..., : self.now, :] = kept  # what lies beyond is written before it is read
        self._step_bias = self.bias_of_steps(self.steps)

    def _windows(self, now: int, front: int) -> tuple[int, list[int]]:
        """(first step that most rows attend to, slots that need more), so that a few long rows do
        not make all the others attend to steps before their time: one row more among the long ones
        costs about COPIED times its keys."""
        if self.device.type not in ONE_BY_ONE:
            return front, []
        ordered, slots = self.starts.sort()
        width, count = now + 1 - front, self.slots
        costs = count * (now + 1 - ordered) + COPIED * width * torch.arange(count)
        best = int(costs.argmin())
        best = best if costs[best] < SPLIT_GAIN * count * width else 0
        return int(ordered[best]), slots[:best].tolist()

    def _step_mask(self, first: int, slots: list[int] | None) -> Tensor:
        """Bias of the present step to the steps from `first` on, for all slots or these; those
        before a row's start are not seen: [slots, heads, 1, steps]."""
        starts = self.starts if slots is None else self.starts[slots]
        late = (torch.arange(first, self.now + 1) < starts[:, None]).to(self.device)
        bias = self._step_bias[:, self.steps - late.shape[1] :].expand(len(starts), -1, -1)
        return bias.masked_fill(late[:, None], -torch.inf)[:, :, None]


def attend_one(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of one new token a row, unscaled as T5's is: query [rows, heads, 1, d_kv], mask
    added. On a CPU in float32 two plain products read keys and values a fifth faster than the fused
    kernel."""
    if query.device.type != "cpu" or query.dtype is not torch.float32:
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=1.0)
    weights = torch.matmul(query, keys.transpose(-1, -2))
    if mask is not None:
        weights += mask
    return torch.matmul(weights.softmax(-1), values)


def _activation(model: Any) -> Any:
    return model.decoder.block[0].layer[-1].DenseReluDense.act
