"""The vocabulary head without its logits in memory: the only chunked head in the package.

With the 250,112 words of mT5, logits of 16 rows of 512 tokens would take 8 GB. So the head runs on
the positions that are needed and a slice of them at a time; with gradients, each slice is computed
again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from smallsteps.students.weights import base_model

HEAD_ELEMENTS = 2**26
"""Maximum number of logits (positions x vocabulary) at a time in training: 256 MiB in float32."""

PLAIN_HEADS = frozenset(
    {"t5", "mt5", "umt5", "longt5"}
    | {"llama", "qwen2", "qwen3", "mistral", "gpt2", "gpt_neox", "phi", "phi3", "smollm3"}
    | {"olmo2", "opt", "stablelm"}
)
"""Model types whose logits are the head's output and no more: no bias, cap or scale after it."""

CAPPED_HEADS = frozenset({"t5gemma", "t5gemma2"})
"""Model types that cap the head's output, if their configuration names a cap, and do no more. Other
models compute their logits themselves, at every position."""


class CappedHead(nn.Module):
    """A vocabulary head whose logits stay between -cap and cap."""

    def __init__(self, head: nn.Module, cap: float) -> None:
        super().__init__()
        self.head, self.cap = head, cap
        self.out_features = vocabulary_of(head)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits [positions, vocabulary]."""
        return torch.tanh(self.head(hidden) / self.cap) * self.cap


def head_slices(positions: int, vocabulary: int, limit: int) -> Iterator[slice]:
    """Slices of `positions` in order, each with at most about `limit` logits.

    >>> list(head_slices(5, vocabulary=100, limit=250))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    rows = max(1, limit // max(1, vocabulary))
    for start in range(0, positions, rows):
        yield slice(start, min(start + rows, positions))


def head_inputs(model: nn.Module, **inputs: Any) -> tuple[Tensor, nn.Module]:
    """(what the vocabulary head would read at every position [rows, positions, width], the head).

    The head itself is not run. Models that are neither in `PLAIN_HEADS` nor in `CAPPED_HEADS` give
    their logits [rows, positions, vocabulary] instead, and the head is then the identity."""
    base: Any = base_model(model)
    head = base.get_output_embeddings()
    if base.config.model_type not in PLAIN_HEADS | CAPPED_HEADS or head is None:
        return model(**inputs, use_cache=False).logits, nn.Identity()
    seen: list[Tensor] = []

    def catch(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        # what is caught here includes any scaling before the head; one position goes through and
        # is thrown away
        seen.append(args[0])
        return (args[0][:, :1], *args[1:])

    hook = head.register_forward_pre_hook(catch)
    try:
        model(**inputs, use_cache=False)
    finally:
        hook.remove()
    cap = getattr(base.config.get_text_config(decoder=True), "final_logit_softcapping", None)
    return seen[0], CappedHead(head, cap) if cap else head


def summed_cross_entropy(
    hidden: Tensor,
    head: nn.Module,
    labels: Tensor,
    head_elements: int = HEAD_ELEMENTS,
    weights: Tensor | None = None,
    compiled: bool = False,
) -> Tensor:
    """Sum over positions of the cross-entropy (nats) of `head(hidden)` against `labels`, float32.

    hidden: [positions, width]; labels: int64 [positions]; weights: float32 [positions], None:
    1 each. At most about `head_elements` logits exist at once, forward and backward. compiled: by
    torch.compile, one form for all sizes."""
    piece = _compiled_summed_piece() if compiled else _summed_piece
    pieces = _in_pieces(piece, hidden, head, labels, head_elements, weights)
    return pieces[0] if len(pieces) == 1 else sum(pieces, torch.zeros((), device=hidden.device))


def token_log_probs(
    hidden: Tensor, head: nn.Module, labels: Tensor, head_elements: int = HEAD_ELEMENTS
) -> Tensor:
    """Log-probability (nats) of each label under `head(hidden)`, [positions], float32 (float64
    stays). At most about `head_elements` logits exist at once, forward and backward."""
    pieces = _in_pieces(_log_probs_piece, hidden, head, labels, head_elements, None)
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


Piece = Callable[[Tensor, nn.Module, Tensor, Tensor | None], Tensor]
"""(hidden, head, labels, weights) of some positions → a result."""


def _in_pieces(
    piece: Piece,
    hidden: Tensor,
    head: nn.Module,
    labels: Tensor,
    head_elements: int,
    weights: Tensor | None,
) -> list[Tensor]:
    """`piece` of each slice of the positions; of all at once if they are few enough."""
    slices = list(head_slices(len(labels), vocabulary_of(head), head_elements))
    if len(slices) <= 1 or isinstance(head, nn.Identity):
        return [piece(hidden, head, labels, weights)]
    return [
        checkpoint(
            piece,
            hidden[part],
            head,
            labels[part],
            None if weights is None else weights[part],
            use_reentrant=False,
        )
        for part in slices
    ]


def vocabulary_of(head: Any) -> int:
    """Number of logits of a head per position; 1 if the head does not say."""
    if out_features := getattr(head, "out_features", None):
        return int(out_features)
    weight = getattr(head, "weight", None)
    return 1 if weight is None else int(weight.shape[0])


def _summed_piece(
    hidden: Tensor, head: nn.Module, labels: Tensor, weights: Tensor | None
) -> Tensor:
    logits = _full_precision(head(hidden))
    if weights is None:
        return F.cross_entropy(logits, labels, reduction="sum")
    return F.cross_entropy(logits, labels, reduction="none") @ weights


@cache
def _compiled_summed_piece() -> Piece:
    compiled: Piece = torch.compile(_summed_piece, dynamic=True)
    return compiled


def _log_probs_piece(
    hidden: Tensor, head: nn.Module, labels: Tensor, weights: Tensor | None
) -> Tensor:
    return -F.cross_entropy(_full_precision(head(hidden)), labels, reduction="none")


def _full_precision(logits: Tensor) -> Tensor:
    """float32 instead of a half precision; float64 stays."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
