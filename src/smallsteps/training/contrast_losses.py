"""Learning from mistakes: a right rationale against wrong ones, in one pass with the language-model
loss.

    L    = L_lm + weight * L_sr                              (Wang et al. 2023; weight 0.5)
    L_sr = mean over usable items of max(0, margin + cos(h_a, h_n) - cos(h_a, h_p))   (margin 1)

h is the last hidden state at the last token of a rationale, or its mean over the tokens. Gradients
flow through all three. For comparison, losses over the pair (a, n), with x = log p(a) - log p(n):

    dpo            -log sigmoid(beta * (x - x_ref)), x_ref by the student that training began with
                                                                         (Rafailov et al. 2023)
    orpo           -log sigmoid(log odds(a) - log odds(n)), p = geometric mean over tokens
                                                                         (Hong et al. 2024)
    unlikelihood   -mean over the tokens of n of log(1 - p(token))       (Welleck et al. 2020)
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutput

from smallsteps.errors import InternalError
from smallsteps.students.lm_head import HEAD_ELEMENTS, head_inputs, token_log_probs
from smallsteps.training.batches import Batch
from smallsteps.training.contrast_batches import ContrastBatch
from smallsteps.training.losses import SummedLoss

ContrastKind = Literal["triplet", "dpo", "orpo", "unlikelihood"]
ReadState = Literal["last", "mean"]


class ContrastSums(NamedTuple):
    """Sums over the items of a batch, float32 scalars."""

    language: Tensor
    """Weighted cross-entropy of the anchors (causal: and prompts), nats."""
    contrast: Tensor
    """The loss between right and wrong rationales."""
    right: Tensor
    """Triplet: cos(h_a, h_p); else the mean log-probability of a's tokens, nats."""
    wrong: Tensor
    """Triplet: cos(h_a, h_n); else the mean log-probability of n's tokens, nats."""
    active: Tensor
    """Triplet: items with a loss above 0; else items whose right rationale is the likelier one."""


CURVE_NAMES = {
    "triplet": ("triplet", "cos_positive", "cos_negative", "active"),
    "dpo": ("dpo", "logp_right", "logp_wrong", "preferred"),
    "orpo": ("orpo", "logp_right", "logp_wrong", "preferred"),
    "unlikelihood": ("unlikelihood", "logp_right", "logp_wrong", "preferred"),
}
"""Names in the curves of the last four of `ContrastSums`, divided by the number of usable items."""


class ContrastLoss(SummedLoss):
    """A model with both losses inside.

    forward(Batch) → summed cross-entropy; forward(ContrastBatch) → `ContrastSums`. The caller
    divides and weighs."""

    def __init__(
        self,
        model: nn.Module,
        dtype: torch.dtype = torch.float32,
        head_elements: int = HEAD_ELEMENTS,
        compile_head: bool = False,
        *,
        kind: ContrastKind = "triplet",
        margin: float = 1.0,
        state: ReadState = "last",
        beta: float = 0.1,
    ) -> None:
        """compile_head: of rows without a contrast."""
        super().__init__(model, dtype, head_elements, compile_head)
        self.kind, self.margin, self.state, self.beta = kind, margin, state, beta
        # in a list, so that it is no part of what is trained and saved
        self._reference = [deepcopy(model).eval().requires_grad_(False)] if kind == "dpo" else []

    @property
    def parts(self) -> int:
        """Rationales per item: 3 for the triplet loss, 2 for losses over pairs."""
        return 3 if self.kind == "triplet" else 2

    def forward(self, batch: Batch | ContrastBatch) -> Any:
        return super().forward(batch) if isinstance(batch, Batch) else self.item_sums(batch)

    def item_sums(self, batch: ContrastBatch) -> ContrastSums:
        """Both losses of some items, and figures of them."""
        with self._precision(batch):
            hidden, head = hidden_states(self.model, batch)
            log_probs = token_log_probs(
                hidden[batch.places], head, batch.labels, self.head_elements
            )
        language = -(log_probs @ batch.weights.to(log_probs.dtype))
        if self.kind == "triplet":
            return ContrastSums(language, *self._triplet(hidden, batch))
        return ContrastSums(language, *self._pairs(log_probs, batch))

    def _precision(self, batch: ContrastBatch) -> torch.autocast:
        return torch.autocast(
            batch.labels.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32
        )

    def _triplet(
        self, hidden: Tensor, batch: ContrastBatch
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(loss, right, wrong, active) of `ContrastSums`."""
        states = self._rationale_states(hidden, batch)
        a, p, n = states.float() if states.dtype != torch.float64 else states
        near, far = F.cosine_similarity(a, p, dim=-1), F.cosine_similarity(a, n, dim=-1)
        hinges = (self.margin + far - near).clamp(min=0)
        active = (hinges > 0).sum().float()
        return hinges.sum(), near.sum().detach(), far.sum().detach(), active.detach()

    def _rationale_states(self, hidden: Tensor, batch: ContrastBatch) -> Tensor:
        """h of each rationale: [parts, items, width]."""
        if self.state == "last":
            return hidden[batch.ends]
        has_owner = batch.owner >= 0
        owners = batch.owner[has_owner]
        sums = hidden.new_zeros(batch.ends.numel(), hidden.shape[1])
        sums = sums.index_add(0, owners, hidden[has_owner])
        means = sums / owners.bincount(minlength=batch.ends.numel())[:, None]
        return means.view(*batch.ends.shape, -1)

    def _pairs(
        self, log_probs: Tensor, batch: ContrastBatch
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(loss, right, wrong, active) of `ContrastSums`."""
        totals, counts = _per_rationale(log_probs, batch)
        means = totals / counts
        if self.kind == "dpo":
            right, wrong = totals - self._reference_totals(batch)
            losses = -F.logsigmoid(self.beta * (right - wrong))
        elif self.kind == "orpo":
            right, wrong = means - log_of_rest(means)
            losses = -F.logsigmoid(right - wrong)
        else:
            rest, _ = _per_rationale(log_of_rest(log_probs), batch)
            losses = -rest[1] / counts[1]
        right, wrong = means.detach()
        return losses.sum(), right.sum(), wrong.sum(), (right > wrong).sum().float()

    def _reference_totals(self, batch: ContrastBatch) -> Tensor:
        """Log-probability of each rationale by the student that training began with, [2, items]."""
        with torch.no_grad(), self._precision(batch):
            reference = self._reference[0].to(batch.labels.device)
            hidden, head = hidden_states(reference, batch)
            log_probs = token_log_probs(
                hidden[batch.places], head, batch.labels, self.head_elements
            )
        return _per_rationale(log_probs, batch)[0]


def _per_rationale(values: Tensor, batch: ContrastBatch) -> tuple[Tensor, Tensor]:
    """(sums over the tokens of each rationale, number of its tokens), [2, items] each."""
    in_rationale = batch.predicted >= 0
    rationales = batch.predicted[in_rationale]
    size = batch.ends.numel()
    sums = values.new_zeros(size).index_add(0, rationales, values[in_rationale])
    return sums.view(2, -1), rationales.bincount(minlength=size).view(2, -1)


def log_of_rest(log_probs: Tensor) -> Tensor:
    """log(1 - p) of log p, finite where p is 1."""
    return torch.log((-torch.expm1(log_probs)).clamp(min=1e-6))


def hidden_states(model: nn.Module, batch: ContrastBatch) -> tuple[Tensor, nn.Module]:
    """(last hidden states [places, width], the vocabulary head); see `head_inputs`."""
    if batch.source is None:
        return _causal_states(model, batch)
    if batch.source_mask is None:
        raise InternalError("a batch with a source but without its mask")
    base: Any = model
    encoded = base.get_encoder()(input_ids=batch.source, attention_mask=batch.source_mask)[0]
    # looked up at once: each look-up has a gradient as large as the whole embedding
    embedded = base.get_decoder().embed_tokens(
        torch.cat([inputs.flatten() for inputs in batch.inputs])
    )
    groups = embedded.split([inputs.numel() for inputs in batch.inputs])
    states = []
    for inputs, mask, rows in zip(groups, batch.mask, batch.source_rows, strict=True):
        hidden, head = head_inputs(
            model,
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded[rows]),
            attention_mask=batch.source_mask[rows],
            decoder_inputs_embeds=inputs.view(*mask.shape, -1),
            decoder_attention_mask=mask,
        )
        states.append(hidden.flatten(0, 1))
    return torch.cat(states), head


def _causal_states(model: nn.Module, batch: ContrastBatch) -> tuple[Tensor, nn.Module]:
    dtype = next(model.parameters()).dtype
    mask = torch.zeros(batch.mask[0].shape, dtype=dtype, device=batch.labels.device)
    mask.masked_fill_(~batch.mask[0], torch.finfo(dtype).min)
    hidden, head = head_inputs(
        model, input_ids=batch.inputs[0], attention_mask=mask, position_ids=batch.positions
    )
    return hidden.flatten(0, 1), head
