"""LM-guided chain of thought in a recipe: its section, its arms, and what must hold beside them.

guided-KIND          who writes the rationale with which the reader answers (`KINDS`)
guided-WRITER-HOW    rationales of a writer that vote, are chosen from, or are controlled"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from smallsteps.config import LARGEST_COUNT, Count, Name, Settings, Temperature
from smallsteps.experiment.method import Method
from smallsteps.generation.settings import CallSettings
from smallsteps.generation.writer_settings import WriterSettings
from smallsteps.quality.settings import JudgeSettings
from smallsteps.training.settings import ReinforceSettings

PREFIX = "guided-"
STANDARD = f"{PREFIX}standard"
"""The reader without a rationale: what the others are compared with."""
KINDS = (
    "standard",
    "cot",
    "cot-sc",
    "small",
    "untrained",
    "unfiltered",
    "distilled",
    "aspects",
    "task",
    "both",
    "raft",
    "dpo",
)
WRITERS = ("untrained", "unfiltered", "distilled", "aspects", "task", "both", "raft", "dpo")
"""Kinds whose rationales can also vote (`-sc`), be chosen from (`-quality`, `-confidence`,
`-gold`), or be controlled (`-other`, `-masked`)."""
FURTHER = ("sc", "quality", "confidence", "gold", "other", "masked")
WITHOUT_A_STUDENT = ("gold-facts", "random-context")
"""Controls without a student; `random-context` is as long as the distilled student's rationales."""
NO_METHOD = ("gold", "other", "masked")
"""Further kinds that are ceilings or controls."""


REWARDED = ("factuality", "relevance", "logicality", "consistency", "coherence")
"""Aspects that are rewarded, and that a chat model rates."""
PAID_SAMPLE = 20
"""Rationales on which a chat model is measured as the judge: each rating is a call."""

RationaleSource = Literal["reader", "data"]
"""Who wrote the rationales that the small model learns from."""

RewardKind = Literal["balanced", "paper", "aspects", "task"]

REFINEMENTS: dict[str, tuple[RewardKind | None, str | None]] = {
    "aspects": ("aspects", None),
    "task": ("task", None),
    "both": (None, None),
    "raft": (None, "raft"),
    "dpo": (None, "dpo"),
}
"""Writers that begin as the distilled student and are refined by reinforcement learning → (kind of
reward, estimator); None: the recipe's."""


class ReaderSettings(CallSettings):
    """The large frozen model that answers."""

    only_with: ClassVar[Mapping[str, tuple[str, str]]] = dict.fromkeys(
        ("count", "budget", "noise"), ("name", "trained")
    )

    name: Name = "trained"
    """A model at `base_url`, a folder of a model, a GGUF file, `smollm2`, or `trained`: a small one
    that learns to read bundled facts in this run and is then frozen."""
    guided: Name = "read"
    """Prompt with a rationale: a bundled name or a file."""
    standard: Name = "standard"
    """Prompt without a rationale: a bundled name or a file."""
    cot: Name = "cot"
    """Prompt for reasoning and prediction in one go: a bundled name or a file."""
    max_new_tokens: Count = 32
    """Maximum new tokens of an answer."""
    cot_tokens: Count = 256
    """Maximum new tokens of reasoning and prediction."""
    count: int = Field(1500, ge=10, le=1_000_000)
    """`trained` only: number of questions it learns from; none of them is in the run."""
    budget: int = Field(1_000_000, ge=1, le=LARGEST_COUNT)
    """`trained` only: its training tokens."""
    noise: float = Field(0.5, ge=0, le=1)
    """`trained` only: share of spoilt rationales among those it reads, so that it does not believe
    them all."""


class RewardSettings(Settings):
    """The reward of a rationale; `reward.py` says what each kind is."""

    reward: RewardKind = "balanced"
    """Kind of reward."""
    uplift: bool = False
    """Usefulness is the uplift of the gold answer's likelihood instead of the F1 of the reader's
    answer; needs the reader's weights."""
    longest: Count = 160
    """Maximum number of words of a rationale; a longer one is worth nothing."""

    @model_validator(mode="after")
    def _uplift_is_rewarded(self) -> Self:
        if self.uplift and self.reward in ("paper", "aspects"):
            raise ValueError(f"uplift has no part in {self.reward!r}; name balanced or task.")
        return self


class RefinementSettings(ReinforceSettings, RewardSettings, WriterSettings):
    """The refinement of the distilled student by reinforcement learning."""

    temperature: Temperature = 1.0
    """Sampling temperature of the rollouts."""
    reward: Literal["balanced", "paper"] = "balanced"
    """Reward of the arm `guided-both`."""
    engine: Literal["local", "vllm"] = "local"
    """What writes the rollouts: this process, or, for causal students, a vLLM server that is
    started with their weights and takes the new ones in each step."""

    @model_validator(mode="after")
    def _has_log_probabilities(self) -> Self:
        if self.engine == "vllm" and self.temperature != 1:
            raise ValueError(
                f"temperature: a vLLM server gives log-probabilities at 1 only, got "
                f"{self.temperature:g}. Type temperature=1 or engine=local."
            )
        return self


def _by_name(judge: Any) -> Any:
    return {"name": judge} if isinstance(judge, str) else judge


Judge = Annotated[
    JudgeSettings, BeforeValidator(_by_name, json_schema_input_type=str | JudgeSettings)
]


class GuidedSettings(Settings):
    """LM-guided chain of thought: a small model writes rationales for a large frozen one (Lee et
    al. 2024)."""

    no_effect: ClassVar[frozenset[str]] = frozenset({"judge_min_auc"})  # whether a run goes on

    reader: ReaderSettings = Field(default_factory=ReaderSettings)
    reinforce: RefinementSettings = Field(default_factory=RefinementSettings)
    rationales: RationaleSource = "reader"
    """What the small model learns: the reader's reasoning about the training questions, or the
    rationales that the data files have for them."""
    samples: int = Field(10, ge=2, le=1000)
    """Samples for self-consistency and for choosing one of n (paper: 10)."""
    temperature: Temperature = 0.7
    """Sampling temperature of those samples (paper: 0.7)."""
    max_new_tokens: Count = 96
    """Maximum new tokens of a rationale."""
    judge: Judge = Field(default_factory=JudgeSettings)
    """Judge of the aspects. A text is its name: lexical, a model of natural-language inference,
    endpoint:MODEL or local:FOLDER."""
    encoder: Name = "lexical"
    """Encoder of the aspects: lexical, or a sentence encoder."""
    fluency: bool = True
    """Measure the fluency of the rationales under the distilled student. It reads every question
    once more for each arm with rationales."""
    judge_min_auc: float = Field(0.7, ge=0, le=1)
    """Minimum AUC of the judge: how often it ranks a rationale of this run above a spoilt one.
    Measured before refinement, on text that is not bundled. A lexical judge below it ends the run;
    0: never."""


def kinds() -> list[str]:
    """All arms, controls included, without prefix."""
    further = [f"{writer}-{how}" for writer in WRITERS for how in FURTHER]
    return [*KINDS, *further, *WITHOUT_A_STUDENT]


def arm_names() -> list[str]:
    """All arms of LM-guided chain of thought."""
    return [PREFIX + kind for kind in kinds()]


def guided_parts(kind: str) -> tuple[str, str | None]:
    """An arm's name, without prefix, taken apart.

    >>> guided_parts("distilled-sc"), guided_parts("both"), guided_parts("gold-facts")
    (('distilled', 'sc'), ('both', None), ('gold-facts', None))
    """
    writer, _, how = kind.partition("-")
    return (writer, how or None) if writer in WRITERS else (kind, None)


def guided_students(kinds: Sequence[str]) -> list[str]:
    """The students that have to be trained for these arms (without prefix), at one seed.

    >>> guided_students(["standard", "cot", "both-sc", "small"])
    ['small', 'distilled', 'both']
    """
    writers = {guided_parts(kind)[0] for kind in kinds}
    if writers & {*REFINEMENTS, "random-context"}:
        writers.add("distilled")
    return [name for name in ("small", "unfiltered", "distilled", *REFINEMENTS) if name in writers]


def check(recipe: Any, names: Sequence[str]) -> None:
    """Raises ValueError where the arms and the other settings of the recipe do not go together."""
    if STANDARD not in names and len(names) == len(recipe.arms):
        raise ValueError(
            f"arms of guided chain of thought are compared with {STANDARD!r}: name it among them"
        )
    if recipe.data.also_test:
        raise ValueError("data.also_test: guided chain of thought reads one test set")
    if recipe.train.budget is None:
        raise ValueError(
            "guided chain of thought needs train.budget, the training tokens of the distilled "
            "student"
        )
    if recipe.guided.reader.name == "trained" and recipe.data.task != "facts":
        raise ValueError(
            "guided.reader.name: `trained` reads the bundled facts only; name a model or a folder"
        )
    if recipe.guided.reader.name == "trained" and len(recipe.train.rates) > 1:
        raise ValueError(
            "train.learning_rate: expected one number, got a list: the trained reader is measured "
            "by nothing that could choose one"
        )


METHOD = Method(
    name="guided",
    arm_names=arm_names,
    baseline=STANDARD,
    typical=f"{PREFIX}distilled",
    reads_rationales=lambda recipe: recipe.guided.rationales == "data",
    section="guided",
    settings=GuidedSettings,
    check=check,
    renamed={kind: PREFIX + kind for kind in kinds()},
)
