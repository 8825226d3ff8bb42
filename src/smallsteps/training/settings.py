"""How a student is trained: one frozen record that holds every knob of `fit`.

Defaults follow AS-ES learning (Xi et al. 2024, Sec. 4.2 and the authors' code): 64 examples an
update, AdamW with weight decay 0.01, cosine schedule with warm-up. The budget is ours: it is
counted in training tokens (source + target, no padding)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smallsteps.errors import RecipeError, nearest

SCHEDULES = ("cosine", "linear", "constant")
DTYPES = ("float32", "bfloat16")
OVERLONG = ("few", "error", "drop", "truncate")
EARLY_STOP = ("few", "error", "drop")
NORMALISERS = ("weights", "all-tokens")
CONTRASTS = ("triplet", "dpo", "orpo", "unlikelihood")
STATES = ("last", "mean")


@dataclass(frozen=True)
class TrainSettings:
    """Everything `fit` needs to know besides the student and the examples. Raises RecipeError on
    values that cannot be."""

    budget_tokens: int | None = None
    """Training tokens (source + target, no padding) after which training ends; the update that
    reaches it is the last."""
    passes: float | None = None
    """Alternatively: how often every example is read. Exactly one of the two is given."""
    learning_rate: float = 5e-4
    """Highest learning rate (the paper: 5e-4 for word problems, 1e-3 for PET)."""
    update_examples: int = 64
    """Examples of one update (causal: sequences, each of which holds the examples of one chain)."""
    micro_batch_tokens: int = 4096
    """Padded tokens that go through the model at once; memory and speed only, the update is the
    same sum."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate after the warm-up, over training tokens."""
    warmup_share: float = 0.05
    """Share of the training tokens over which the learning rate rises linearly (the authors' code:
    0.04 to 0.08)."""
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm; 0 turns clipping off."""
    evaluations: int = 10
    """How often a run is evaluated (and can be resumed from): at equal shares of the tokens, the
    last one at the end."""
    seed: int = 0
    """Order of the examples and dropout."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of forward and backward; weights and optimizer states stay float32."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    source_limit: int | None = 512
    """Most tokens of a source (causal: of a whole sequence); None: what the student's positions
    allow."""
    target_limit: int | None = 512
    """Most tokens of an example's target; None: no limit of our own."""
    overlong: Literal["few", "error", "drop", "truncate"] = "few"
    """What happens to chains over a limit: leave out and count up to 2 % of the chains and refuse
    more (`few`), refuse any, leave out all, or cut sources at their front (targets are never
    cut)."""
    early_stop: Literal["few", "error", "drop"] = "few"
    """What happens to a chain of which a target carries the stop sign although the chain goes on:
    as `overlong`."""
    prompt_weight: float = 0.0
    """What a prompt token weighs in the loss beside a target token's 1; causal students only
    (tailored learning: 0.1)."""
    normaliser: Literal["weights", "all-tokens"] = "weights"
    """What the loss of an update is divided by: the sum of the weights, or the number of tokens
    that have one (the authors' code of tailored learning, where long prompts thin the signal)."""
    contrast: Literal["triplet", "dpo", "orpo", "unlikelihood"] = "triplet"
    """The loss that sets right rationales against wrong ones, where `fit` is given contrasts (Wang
    et al. 2023: triplet)."""
    contrast_weight: float = 0.5
    """Its weight beside the language-model loss (Wang et al. 2023: 0.5; too much hurts)."""
    triplet_margin: float = 1.0
    """Of the triplet loss (Wang et al. 2023)."""
    triplet_state: Literal["last", "mean"] = "last"
    """What stands for a rationale in the triplet loss: the last hidden state at its last token, or
    the mean over its tokens."""
    dpo_beta: float = 0.1
    """Of DPO: how dear it is to leave the student that training began with."""
    report_to: tuple[str, ...] = ()
    """Trackers of transformers' Trainer (wandb, trackio, tensorboard)."""

    def __post_init__(self) -> None:
        if (self.budget_tokens is None) == (self.passes is None):
            raise RecipeError(
                "training: give exactly one of budget_tokens and passes, for example passes=10"
            )
        for name, known in (
            ("schedule", SCHEDULES),
            ("dtype", DTYPES),
            ("overlong", OVERLONG),
            ("early_stop", EARLY_STOP),
            ("normaliser", NORMALISERS),
            ("contrast", CONTRASTS),
            ("triplet_state", STATES),
        ):
            value = getattr(self, name)
            if name == "dtype" and value == "float16":
                raise RecipeError(
                    "training: dtype float16 overflows (in T5 above all); use bfloat16 or float32"
                )
            if value not in known:
                raise RecipeError(
                    f"training: unknown {name} {value!r}.{nearest(str(value), known)}"
                )
        for name in (
            "budget_tokens",
            "passes",
            "learning_rate",
            "update_examples",
            "micro_batch_tokens",
            "evaluations",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise RecipeError(f"training: {name} must be above 0, got {value}")
        for name in ("source_limit", "target_limit"):
            value = getattr(self, name)
            if value is not None and value < 2:
                raise RecipeError(
                    f"training: {name} must be at least 2 (one token and the end), got {value}"
                )
        if not 0 <= self.prompt_weight <= 1:
            raise RecipeError(
                f"training: prompt_weight must lie in [0, 1], got {self.prompt_weight}"
            )
        if not 0 <= self.warmup_share < 1:
            raise RecipeError(f"training: warmup_share must lie in [0, 1), got {self.warmup_share}")
