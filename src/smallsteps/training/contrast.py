"""Learning from mistakes: a right rationale set against wrong ones, beside the language-model loss
and in one pass with it.

    L    = L_lm + weight * L_sr
    L_sr = mean over usable items of max(0, margin + cos(h_a, h_n) - cos(h_a, h_p))       (Wang et al. 2023; margin 1)

a: the right rationale being trained; p: another right one of the same question; n: a wrong one of
the student's. h: the last hidden state at the last real token of each, or its mean over their
tokens. An item is usable where it has both p and n; they are drawn afresh each time, among at most
ten and four.

On the same items, for comparison, losses over the pair (a, n), x = log p(a) - log p(n) and
likewise:

    dpo            -log sigmoid(beta * (x - x_ref)), x_ref by the student as training found it   (Rafailov et al. 2023)
    orpo           -log sigmoid(log odds(a) - log odds(n)), p = geometric mean over tokens        (Hong et al. 2024)
    unlikelihood   -mean over the tokens of n of log(1 - p(token))                                (Welleck et al. 2020)

a, p and n answer the same question, so it is read once: an encoder-decoder's encoder runs once for
the three, and a causal model reads `question a p n` as one sequence in which the three see the
question and themselves, never each other, at positions that go on from the question. (The authors'
code reads p and n with a's cache where caches grow, so that the three see each other, and lets all
attend to padding.) Gradients flow through all three. An AS-ES student is compared in its last
segment; an encoder-decoder's then has a source of its own for each of the three."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutput

from smallsteps.records import Kind
from smallsteps.students.batching import batches_by_length
from smallsteps.students.lm_head import HEAD_ELEMENTS, head_inputs, token_log_probs
from smallsteps.students.padding import pad
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Batch, Encoded
from smallsteps.training.losses import SummedLoss

POSITIVES, NEGATIVES = 10, 4
"""Most that are drawn from, of each question (the authors' code)."""

ContrastKind = Literal["triplet", "dpo", "orpo", "unlikelihood"]
ReadState = Literal["last", "mean"]

Written = tuple[tuple[Kind | None, str], ...]
"""A rationale as its student writes it: one whole chain of kind None, or segments."""


@dataclass(frozen=True)
class Contrast:
    """What a right rationale is set against; rationales of the same question."""

    question: str
    """As the task renders it."""
    positives: tuple[Written, ...]
    """Other right rationales, with other words."""
    negatives: tuple[Written, ...]
    """Wrong ones."""


# ---- items as the model reads them ----


@dataclass(frozen=True, slots=True)
class Reading:
    """One rationale in ids: what is read before it, and itself with its end."""

    source: tuple[int, ...]
    target: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """Rationales read together, the anchor first: a, p, n, or a, n for losses over pairs. Causal
    students: one source."""

    readings: tuple[Reading, ...]

    @property
    def source(self) -> tuple[int, ...]:
        """With `target`, the lengths by which micro-batches are cut."""
        sources = dict.fromkeys(reading.source for reading in self.readings)
        return tuple(token for source in sources for token in source)

    @property
    def target(self) -> tuple[int, ...]:
        return tuple(token for reading in self.readings for token in reading.target)

    @property
    def tokens(self) -> int:
        """Tokens that go through the model; the budget counts those of the anchor and its source
        only."""
        return len(self.source) + len(self.target)


def read(student: Student, task: Task, question: str, written: Written) -> Reading:
    """The ids of one rationale: whole, or (segments) an encoder-decoder's last segment after the
    earlier ones, a causal student's markers and all."""
    kind, text = written[-1]
    if kind is None:
        return Reading(
            tuple(student.source_ids(task, question)),
            tuple(student.target_ids(task, text, last=True)),
        )
    segments = [(kind or "ES", text) for kind, text in written]
    if student.architecture == "encoder-decoder":
        source = student.source_ids(task, question, segments[:-1])
        return Reading(tuple(source), tuple(student.target_ids(task, text, last=True)))
    ids, counted = student.chain_ids(task, question, segments)
    asked = counted.index(True)
    return Reading(tuple(ids[:asked]), tuple(ids[asked:]))


def anchor(row: Encoded) -> Reading:
    """The rationale that `row` trains; a causal row begins with its question."""
    asked = 0 if row.source else row.counted.index(True)
    return Reading(row.source or row.target[:asked], row.target[asked:])


@dataclass(frozen=True)
class Readings:
    """A contrast in ids."""

    positives: tuple[Reading, ...]
    negatives: tuple[Reading, ...]

    @classmethod
    def of(cls, student: Student, task: Task, contrast: Contrast, limit: int | None) -> Readings:
        """The first of each; rationales of more than `limit` tokens are left out."""

        def ids(found: Sequence[Written]) -> tuple[Reading, ...]:
            readings = (read(student, task, contrast.question, written) for written in found)
            return tuple(
                reading for reading in readings if limit is None or len(reading.target) <= limit
            )

        return cls(ids(contrast.positives[:POSITIVES]), ids(contrast.negatives[:NEGATIVES]))

    @property
    def usable(self) -> bool:
        return bool(self.positives and self.negatives)

    def draw(self, seed: int, update: int, place: int) -> tuple[Reading, Reading]:
        """(positive, negative) of the item at `place` of `update`: a function of its arguments."""
        chance = np.random.default_rng((seed, update, place))
        positive = self.positives[chance.integers(len(self.positives))]
        return positive, self.negatives[chance.integers(len(self.negatives))]


# ---- tensors ----


class ItemBatch(NamedTuple):
    """The tensors of some items. With I items of P parts, rationale number part * I + item is the
    item's part. What the decoder (causal: the model) reads lies in groups of rows; `places` count
    through the rows of all groups, laid end to end."""

    source: Tensor | None
    """int64 [I or P * I, source]: the encoder's; None: causal."""
    source_mask: Tensor | None
    inputs: tuple[Tensor, ...]
    """int64 [rows, width] each. Encoder-decoder: a row each rationale with its end, those of like
    length in a group. Causal: one group, a row each item, question and all."""
    mask: tuple[Tensor, ...]
    """Encoder-decoder: int64 like `inputs`; causal: bool [I, 1, length, length], what each token
    may see."""
    asked: tuple[Tensor, ...]
    """Encoder-decoder: int64 [rows] each, the row of `source` that is read."""
    positions: Tensor | None
    """Causal: int64 like `inputs`."""
    owner: Tensor
    """int64 [places]: the rationale that the token there belongs to; -1: none."""
    ends: Tensor
    """int64 [P, I]: place of the last token of each rationale."""
    labels: Tensor
    """int64 [counted]: tokens to predict: of anchors, of prompts with a weight, in pairs of the
    wrong rationales too."""
    places: Tensor
    """int64 [counted]: the places that predict them; a causal question's last place predicts the
    first token of each rationale."""
    weights: Tensor
    """float32 [counted]: in the language-model loss; 0 for wrong rationales."""
    predicted: Tensor
    """int64 [counted]: the rationale that each label belongs to; -1: a prompt."""

    def to(self, device: torch.device) -> ItemBatch:
        def moved(part: Any) -> Any:
            return (
                tuple(map(moved, part))
                if isinstance(part, tuple)
                else None
                if part is None
                else part.to(device)
            )

        return ItemBatch(*map(moved, self))


def collate_pairs(items: Sequence[Items], start_id: int) -> ItemBatch:
    """Items for an encoder-decoder."""
    parts = len(items[0].readings)
    rows = [item.readings[part] for part in range(parts) for item in items]
    shared = all(
        reading.source == item.readings[0].source for item in items for reading in item.readings
    )
    source, source_mask = pad([row.source for row in (rows[: len(items)] if shared else rows)])
    learnt = {0, 1} if parts == 2 else {0}
    groups = batches_by_length([(0, 1 + len(row.target)) for row in rows])
    laid = [pad([(start_id, *rows[number].target) for number in group]) for group in groups]
    asked = [
        torch.tensor([number % len(items) if shared else number for number in group])
        for group in groups
    ]
    starts = torch.zeros(len(rows), dtype=torch.long)
    at = 0
    for group, (inputs, _) in zip(groups, laid, strict=True):
        starts[group] = at + inputs.shape[1] * torch.arange(len(group))
        at += inputs.numel()
    owner = torch.full((at,), -1)
    labels: list[int] = []
    places: list[int] = []
    predicted: list[int] = []
    for number, (row, start) in enumerate(zip(rows, starts.tolist(), strict=True)):
        owner[start + 1 : start + 1 + len(row.target)] = number
        if number // len(items) in learnt:
            labels += row.target
            places += range(start, start + len(row.target))
            predicted += [number] * len(row.target)
    ends = starts + torch.tensor([len(row.target) for row in rows])
    whose = torch.tensor(predicted)
    weights = (whose < len(items)).float()
    return ItemBatch(
        source,
        source_mask,
        tuple(inputs for inputs, _ in laid),
        tuple(mask for _, mask in laid),
        tuple(asked),
        None,
        owner,
        ends.view(parts, -1),
        torch.tensor(labels),
        torch.tensor(places),
        weights,
        whose,
    )


def collate_sequences(items: Sequence[Items], prompt_weight: float = 0.0) -> ItemBatch:
    """Items for a causal model: one sequence each, `question a p n`."""
    parts = len(items[0].readings)
    inputs, real = pad([(*item.source, *item.target) for item in items])
    length = inputs.shape[1]
    part = torch.full(inputs.shape, -1)  # 0 the question, 1 a, 2 p, 3 n, -1 nothing
    owner = torch.full(inputs.shape, -1)
    positions = torch.zeros_like(inputs)
    ends = torch.zeros(parts, len(items), dtype=torch.long)
    labels: list[int] = []
    places: list[int] = []
    weights: list[float] = []
    predicted: list[int] = []
    for row, item in enumerate(items):
        asked = at = len(item.source)
        part[row, :asked] = 0
        positions[row, :asked] = torch.arange(asked)
        if prompt_weight:
            labels += item.source[1:]
            places += range(row * length, row * length + asked - 1)
            weights += [prompt_weight] * (asked - 1)
            predicted += [-1] * (asked - 1)
        for number, reading in enumerate(item.readings):
            count = len(reading.target)
            own = number * len(items) + row
            part[row, at : at + count] = number + 1
            owner[row, at : at + count] = own
            positions[row, at : at + count] = torch.arange(asked, asked + count)
            ends[number, row] = row * length + at + count - 1
            if number == 0 or parts == 2:
                labels += reading.target
                places += [
                    row * length + asked - 1,
                    *range(row * length + at, row * length + at + count - 1),
                ]
                weights += [float(number == 0)] * count
                predicted += [own] * count
            at += count
    before = torch.ones(length, length, dtype=torch.bool).tril()
    seen = (part[:, :, None] == part[:, None, :]) | (part[:, None, :] == 0)
    mask = before & seen & real.bool()[:, None, :] | torch.eye(length, dtype=torch.bool)
    return ItemBatch(
        None,
        None,
        (inputs,),
        (mask[:, None],),
        (),
        positions,
        owner.flatten(),
        ends,
        torch.tensor(labels),
        torch.tensor(places),
        torch.tensor(weights),
        torch.tensor(predicted),
    )


# ---- the losses ----


class ContrastSums(NamedTuple):
    """Sums over the items of a batch, float32 scalars."""

    language: Tensor
    """Weighted cross-entropy of the anchors (causal: and prompts), nats."""
    contrast: Tensor
    """The loss that sets them against each other."""
    right: Tensor
    """Triplet: cos(h_a, h_p); else the mean log-probability of a's tokens, nats."""
    wrong: Tensor
    """Triplet: cos(h_a, h_n); else the mean log-probability of n's tokens."""
    active: Tensor
    """Items that the triplet loss still moves; else items of which the right rationale is the
    likelier one."""


COLUMNS = {
    "triplet": ("triplet", "cos_positive", "cos_negative", "active"),
    **{
        kind: (kind, "logp_right", "logp_wrong", "preferred")
        for kind in ("dpo", "orpo", "unlikelihood")
    },
}
"""What the curves call the last four of `ContrastSums`, divided by the usable items."""


class ContrastLoss(SummedLoss):
    """A model with both losses inside. forward(batch) → of rows their summed cross-entropy, of
    items the sums; the caller divides and weighs."""

    def __init__(
        self,
        model: nn.Module,
        dtype: torch.dtype = torch.float32,
        head_elements: int = HEAD_ELEMENTS,
        *,
        kind: ContrastKind = "triplet",
        margin: float = 1.0,
        state: ReadState = "last",
        beta: float = 0.1,
    ) -> None:
        super().__init__(model, dtype, head_elements)
        self.kind, self.margin, self.state, self.beta = kind, margin, state, beta
        # in a list, so that it is no part of what is trained and saved
        self._reference = [deepcopy(model).eval().requires_grad_(False)] if kind == "dpo" else []

    @property
    def parts(self) -> int:
        """Rationales of an item: 3 for the triplet loss, 2 for losses over pairs."""
        return 3 if self.kind == "triplet" else 2

    def forward(self, batch: Batch | ItemBatch) -> Any:
        return super().forward(batch) if isinstance(batch, Batch) else self.items(batch)

    def items(self, batch: ItemBatch) -> ContrastSums:
        """Both losses of some items."""
        with self._precision(batch):
            hidden, head = hidden_states(self.model, batch)
            log_probs = token_log_probs(
                hidden[batch.places], head, batch.labels, self.head_elements
            )
        language = -(log_probs @ batch.weights.to(log_probs.dtype))
        if self.kind == "triplet":
            return ContrastSums(language, *self._triplet(hidden, batch))
        return ContrastSums(language, *self._pairs(log_probs, batch))

    def _precision(self, batch: ItemBatch) -> torch.autocast:
        return torch.autocast(
            batch.labels.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32
        )

    def _triplet(self, hidden: Tensor, batch: ItemBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        states = self._states(hidden, batch)
        a, p, n = states.float() if states.dtype != torch.float64 else states
        near, far = F.cosine_similarity(a, p, dim=-1), F.cosine_similarity(a, n, dim=-1)
        hinges = (self.margin + far - near).clamp(min=0)
        return (
            hinges.sum(),
            near.sum().detach(),
            far.sum().detach(),
            (hinges > 0).sum().float().detach(),
        )

    def _states(self, hidden: Tensor, batch: ItemBatch) -> Tensor:
        """h of each rationale: [parts, items, width]."""
        if self.state == "last":
            return hidden[batch.ends]
        owned = batch.owner >= 0
        whose = batch.owner[owned]
        sums = hidden.new_zeros(batch.ends.numel(), hidden.shape[1]).index_add(
            0, whose, hidden[owned]
        )
        return (sums / whose.bincount(minlength=batch.ends.numel())[:, None]).view(
            *batch.ends.shape, -1
        )

    def _pairs(self, log_probs: Tensor, batch: ItemBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        totals, counts = self._of_rationales(log_probs, batch)
        means = totals / counts
        if self.kind == "dpo":
            with torch.no_grad(), self._precision(batch):
                hidden, head = hidden_states(self._reference[0].to(batch.labels.device), batch)
                found = token_log_probs(
                    hidden[batch.places], head, batch.labels, self.head_elements
                )
            right, wrong = totals - self._of_rationales(found, batch)[0]
            losses = -F.logsigmoid(self.beta * (right - wrong))
        elif self.kind == "orpo":
            right, wrong = means - log_of_rest(means)
            losses = -F.logsigmoid(right - wrong)
        else:
            rest, _ = self._of_rationales(log_of_rest(log_probs), batch)
            losses = -rest[1] / counts[1]
        seen = means.detach()
        return losses.sum(), seen[0].sum(), seen[1].sum(), (seen[0] > seen[1]).sum().float()

    def _of_rationales(self, values: Tensor, batch: ItemBatch) -> tuple[Tensor, Tensor]:
        """Sums over the tokens of each rationale, and their number: [2, items] each."""
        owned = batch.predicted >= 0
        whose = batch.predicted[owned]
        size = batch.ends.numel()
        sums = values.new_zeros(size).index_add(0, whose, values[owned])
        return sums.view(2, -1), whose.bincount(minlength=size).view(2, -1)


def log_of_rest(log_probs: Tensor) -> Tensor:
    """log(1 - p) of log p, finite where p is 1."""
    return torch.log((-torch.expm1(log_probs)).clamp(min=1e-6))


def hidden_states(model: nn.Module, batch: ItemBatch) -> tuple[Tensor, nn.Module]:
    """Last hidden states, [places, width], and the vocabulary head."""
    if batch.source is None:
        dtype = next(model.parameters()).dtype
        seen = torch.zeros(batch.mask[0].shape, dtype=dtype, device=batch.labels.device)
        seen.masked_fill_(~batch.mask[0], torch.finfo(dtype).min)
        hidden, head = head_inputs(
            model, input_ids=batch.inputs[0], attention_mask=seen, position_ids=batch.positions
        )
        return hidden.flatten(0, 1), head
    assert batch.source_mask is not None
    base: Any = model
    encoded = base.get_encoder()(input_ids=batch.source, attention_mask=batch.source_mask)[0]
    # looked up at once: each lookup has a gradient as large as the whole embedding
    embedded = base.get_decoder().embed_tokens(
        torch.cat([inputs.flatten() for inputs in batch.inputs])
    )
    rows = embedded.split([inputs.numel() for inputs in batch.inputs])
    found = []
    for inputs, mask, asked in zip(rows, batch.mask, batch.asked, strict=True):
        hidden, head = head_inputs(
            model,
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded[asked]),
            attention_mask=batch.source_mask[asked],
            decoder_inputs_embeds=inputs.view(*mask.shape, -1),
            decoder_attention_mask=mask,
        )
        found.append(hidden.flatten(0, 1))
    return torch.cat(found), head
