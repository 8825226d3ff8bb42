"""Settings of training: what `fit` and `reinforce` take, and the sections of a recipe that say it.

Defaults of `TrainSettings` follow AS-ES learning (Xi et al. 2024, Sec. 4.2 and the authors' code):
64 examples an update, AdamW with weight decay 0.01, cosine schedule with warm-up. Those of
`ContrastSettings` follow tailored learning (Wang et al. 2023). What differs between arms and seeds
is no setting but an argument: the seed, the share of the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from smallsteps.config import LARGEST_COUNT, Count, Name, Positive, Settings, Share
from smallsteps.errors import InternalError, TrainingError, nearest
from smallsteps.training.estimators import ESTIMATORS, Average

if TYPE_CHECKING:
    from smallsteps.students.student import Student

CPU_TOKENS = 4096
"""Padded tokens that pass through the model at once on a CPU, which gains nothing from more."""
SMALL = 10_000_000
"""Number of weights below which a student's own learning rate is higher."""


def _known_estimator(name: str) -> str:
    if name not in ESTIMATORS:
        likely = nearest(name, ESTIMATORS).partition(" Known:")[0]
        raise ValueError(f"expected one of {', '.join(ESTIMATORS)}, got {name!r}.{likely}")
    return name


EstimatorName = Annotated[
    str,
    AfterValidator(_known_estimator),
    Field(json_schema_extra=lambda schema: schema.update(enum=list(ESTIMATORS))),
]
"""A name in `ESTIMATORS`, also one that was added later."""


Rate = Annotated[float, Field(gt=0, le=100)]
"""A learning rate."""


class TrainSettings(Settings):
    """How a student is trained on examples (Sec. 5 of the AS-ES method page)."""

    renamed: ClassVar[Mapping[str, str]] = {"fair": "until"}
    synonyms: ClassVar[Mapping[str, str]] = {
        "epochs": "passes",
        "num_epochs": "passes",
        "num_train_epochs": "passes",
        "steps": "budget",
        "max_steps": "budget",
        "batch_size": "update_examples",
        "train_batch_size": "update_examples",
        "per_device_train_batch_size": "update_examples",
        "lr_scheduler_type": "schedule",
        "bf16": "dtype",
        "fp16": "dtype",
        "torch_compile": "compile",
        "padding_free": "packing",
    }

    budget: int | None = Field(None, ge=1, le=LARGEST_COUNT, examples=[1_000_000])
    """Training tokens (source + target, no padding) after which training ends; the update that
    reaches it is the last. None: `passes` decide. In a run, the budget of each arm; None: what
    `passes` over the chains cost `direct`. With `until: plateau` the most that is trained."""
    passes: Positive = 20.0
    """Number of times every example is read, where no budget is given. In a run, passes over the
    chains that set the budget, or that each arm makes with `until: passes`."""
    until: Literal["tokens", "passes", "plateau"] = "tokens"
    """When training ends, and so what the arms of a run have in common: training tokens; passes
    over the chains (runs only); or each arm at its plateau: when the metric on validation (while it
    is 0, or without one: the loss there) has not improved for `patience` evaluations."""
    patience: Count = 4
    """`until: plateau`: evaluations in a row without improvement after which training ends."""
    learning_rate: Rate | list[Rate] | None = Field(None, examples=["1e-3"])
    """Highest learning rate (paper: 5e-4 for word problems, 1e-3 for PET). In a run also a list:
    each arm takes the rate that is best on validation after a short training. None: 5e-4 for an
    encoder-decoder, 2e-4 for a causal student, 1e-3 for either below ten million weights."""
    search_share: float = Field(0.1, gt=0, le=1)
    """A list of learning rates: each rate is tried for this share of the arm's budget."""
    update_examples: Count | None = Field(None, examples=[64])
    """Examples per update (paper: 64). Causal students: sequences, each of which holds the examples
    of one chain. None: 64, and fewer, down to 8, where the training would make fewer than 200
    updates; the same in all arms of a run."""
    micro_batch_tokens: int | None = Field(None, ge=64, le=LARGEST_COUNT, examples=[8192])
    """Padded tokens that pass through the model at once; changes speed and memory, not the result.
    None: 4,096 on a CPU; on a GPU what its free memory holds, at most 32,768."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate after the warm-up, over training tokens. With `until: plateau` the
    default is constant: every point of the way is then a training of that length."""
    warmup_share: float = Field(0.05, ge=0, lt=1)
    """Share of the training tokens over which the learning rate rises linearly (authors' code: 0.04
    to 0.08). With `until: plateau` of the tokens of the shortest training that can end there,
    `patience` + 1 evaluations, so that a high limit does not prolong it."""
    weight_decay: float = Field(0.01, ge=0, le=100)
    """Of AdamW."""
    max_grad_norm: float = Field(1.0, ge=0, le=1e6)
    """Gradients are clipped to this norm; 0 turns clipping off."""
    evaluations: Count = 10
    """Number of evaluations, and so of candidate checkpoints: at equal shares of the tokens, the
    last one at the end. With `until: plateau` the default is 20."""
    validation_chains: Count = 500
    """Runs only: maximum number of validation chains per evaluation."""
    source_limit: int | None = Field(512, ge=2, le=10_000_000)
    """Maximum tokens of a source (causal: of a whole sequence); null: what the student's positions
    allow."""
    target_limit: int | None = Field(512, ge=2, le=10_000_000)
    """Maximum tokens of a target; null: no limit."""
    overlong: Literal["few", "error", "drop", "truncate"] = "few"
    """Chains over a limit: leave out and count up to 2 % of the chains and refuse more (`few`),
    refuse any, leave out all, or cut sources at their front (targets are never cut)."""
    early_stop: Literal["few", "error", "drop"] = "few"
    """Chains with a target that carries the stop sign although the chain goes on: as `overlong`."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of forward and backward; weights and optimizer states stay float32. There is no
    float16: it overflows, in T5 above all."""
    packing: bool = False
    """Causal students: read the rows of a micro-batch one after another in one sequence, each of
    which sees itself alone, instead of padding them to one length. For GPUs (with bfloat16); on a
    CPU it is slower."""
    compile: bool = False
    """Compile the student's blocks and its vocabulary head for training (`torch.compile`): faster
    on a GPU after a minute of compiling. Needs a C++ compiler."""
    report_to: list[Name] = Field(default_factory=list)
    """Trackers of transformers' Trainer: wandb, tensorboard, trackio."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_a_plateau(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("until") == "plateau":
            return {**PLATEAU_DEFAULTS, **content}
        return content

    @model_validator(mode="after")
    def _plateau_can_be_seen(self) -> Self:
        if self.until == "plateau" and self.patience >= self.evaluations:
            raise ValueError(
                f"patience: expected less than evaluations ({self.evaluations}), got "
                f"{self.patience}: no plateau could be seen"
            )
        return self

    @model_validator(mode="after")
    def _rates_differ(self) -> Self:
        rates = self.rates
        if self.learning_rate == []:
            raise ValueError("learning_rate: expected a number or a list of numbers, got []")
        twice = next((rate for rate in rates if rates.count(rate) > 1), None)
        if twice is not None:
            raise ValueError(f"learning_rate: {twice:g} is named twice")
        return self

    @property
    def rates(self) -> list[float]:
        """The learning rates to choose from. Empty: the student decides."""
        rates = self.learning_rate
        if rates is None:
            return []
        return list(rates) if isinstance(rates, list) else [rates]

    @property
    def rate(self) -> float:
        """The learning rate. Raises TrainingError where several are to be searched, InternalError
        where none was chosen (`for_student`)."""
        if len(self.rates) > 1:
            raise TrainingError(
                f"learning_rate: expected one number, got {len(self.rates)}: a run searches among "
                "several, a single training does not."
            )
        if not self.rates:
            raise InternalError("learning_rate: no student has decided it")
        return self.rates[0]

    def for_student(self, student: Student) -> Self:
        """The same with the learning rate of the student, where none is set."""
        return self if self.rates else self.changed(learning_rate=default_rate(student))

    @property
    def warmup(self) -> float:
        """Share of the plan's tokens over which the learning rate rises."""
        if self.until != "plateau":
            return self.warmup_share
        return self.warmup_share * (self.patience + 1) / self.evaluations

    def effects(self) -> dict[str, Any]:
        """As everywhere; what is not read is left out too."""
        content = super().effects()
        if self.until != "plateau":
            del content["patience"]
        if len(self.rates) <= 1:
            del content["search_share"]
        for name in ("compile", "packing"):
            if not getattr(self, name):
                del content[name]
        if self.micro_batch_tokens is None:
            # whatever the device, so that a training can go on on another one
            content["micro_batch_tokens"] = CPU_TOKENS
        return content


def default_rate(student: Student) -> float:
    """The learning rate of a student whose user named none. At the paper's rate the first updates
    undo much of what a pretrained causal model knows; very small students want a higher one
    (docs/training.md)."""
    if sum(parameter.numel() for parameter in student.model.parameters()) < SMALL:
        return 1e-3
    return 2e-4 if student.architecture == "causal" else 5e-4


LARGEST_UPDATE, SMALLEST_UPDATE = 64, 8
"""Examples per update where the user named no number: at most (paper), and at least."""
AMPLE_UPDATES = 200
"""Number of updates that a training makes if smaller ones can bring it there."""


def suited_update(sequences: float) -> int:
    """Examples per update where the user named no number, for a training that reads `sequences`
    sequences in all its passes: 64, halved while there are fewer than 200 updates, at least 8. What
    small students learn depends on the number of updates more than on their size
    (docs/training.md).

    >>> suited_update(20 * 1000), suited_update(20 * 300), suited_update(20 * 77)
    (64, 16, 8)
    """
    size = LARGEST_UPDATE
    while size > SMALLEST_UPDATE and sequences < AMPLE_UPDATES * size:
        size //= 2
    return size


PLATEAU_DEFAULTS = {"schedule": "constant", "evaluations": 20}
"""Defaults of `TrainSettings` with `until: plateau`."""


class ContrastSettings(Settings):
    """How right rationales are set against wrong ones, and what a prompt token weighs."""

    contrast: Literal["triplet", "dpo", "orpo", "unlikelihood"] = "triplet"
    """The loss that sets right rationales against the student's wrong ones (paper: triplet)."""
    contrast_weight: float = Field(0.5, ge=0, le=1e6)
    """Its weight beside the language-model loss (paper: 0.5; too much hurts)."""
    triplet_margin: float = Field(1.0, ge=0, le=1e6)
    """Margin of the triplet loss (paper: 1)."""
    triplet_state: Literal["last", "mean"] = "last"
    """What stands for a rationale in the triplet loss: the last hidden state at its last token
    (code), or the mean over its tokens."""
    dpo_beta: Positive = 0.1
    """DPO: the price of leaving the student that training began with."""
    prompt_weight: Share = 0.1
    """Weight of a prompt token in the loss beside a target token's 1 (code: 0.1); causal students
    only, as an encoder-decoder has no loss there."""
    normaliser: Literal["weights", "all-tokens"] = "weights"
    """What the loss of an update is divided by: the sum of the weights, or (code) the number of
    tokens that have one, so that long prompts thin the signal."""


NO_PROMPT_LOSS = ContrastSettings(prompt_weight=0.0)
"""The default of `fit`: prompt tokens have no weight in the loss."""


class ReinforceSettings(Settings):
    """How a student is refined by reinforcement learning."""

    steps: Count = 100
    """Number of steps: rollouts, rewards, `epochs` updates."""
    prompts: Count = 16
    """Prompts per step."""
    samples: int = Field(4, ge=1, le=1000)
    """Rollouts per prompt (k); at least 2, as they are compared with each other (ppo: 1)."""
    estimator: EstimatorName = "rloo"
    """How rewards become advantages and a loss."""
    average: Average = "token"
    """What the loss is averaged over."""
    epochs: int = Field(1, ge=1, le=1000)
    """Updates on the same rollouts; raft and dpo: 1."""
    learning_rate: float = Field(1e-4, gt=0, le=100, examples=["1e-4"])
    """Learning rate after the warm-up; constant. A tenth of the distillation's is a good start (see
    docs/log.md); the default is higher and stays, so that recipes without this key keep their
    results."""
    warmup_steps: int = Field(5, ge=0, le=1_000_000)
    """Steps over which the learning rate rises."""
    kl: float = Field(0.05, ge=0, le=1e6)
    """beta: the price of leaving the student that it began with, per nat."""
    clip: float = Field(0.2, gt=0, lt=1)
    """Range in which the ratio of new and old probability counts: 1 - clip to 1 + clip."""
    max_grad_norm: float = Field(1.0, ge=0, le=1e6)
    """Gradients are clipped to this norm; 0 turns clipping off."""
    gamma: Share = 1.0
    """ppo: discount of later rewards."""
    decay: Share = 0.95
    """ppo: lambda of generalised advantage estimation."""
    value_weight: float = Field(0.5, ge=0, le=1e6)
    """ppo: weight of the value loss."""
    value_learning_rate: float = Field(1e-3, gt=0, le=100)
    """ppo: learning rate of the value head."""
    evaluations: Count = 4
    """Number of measurements and saved states: at equal shares of the steps, the last one at the
    end. With a measure also before the first step."""
    patience: Count = 20
    """Steps in a row without any signal after which it ends."""
    kl_limit: Positive = 1.0
    """Mean KL per token (nats) from the student it began with above which it ends."""
    dpo_beta: Positive = 0.1
    """dpo: the price of leaving the student that it began with."""

    @model_validator(mode="after")
    def _fits_the_estimator(self) -> Self:
        name, estimator = self.estimator, ESTIMATORS[self.estimator]
        least, most = estimator.min_samples, estimator.max_epochs
        if self.samples < least:
            raise ValueError(f"samples: expected at least {least} with {name}, got {self.samples}")
        if most is not None and self.epochs > most:
            raise ValueError(f"epochs: expected at most {most} with {name}, got {self.epochs}")
        return self
