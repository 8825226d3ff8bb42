"""The baselines in a recipe: the names of their arms, and their section.

base             the student before training, zero-shot
base-fewshot     the same after worked examples (causal students)
answer-only      question → answer sentence, without a chain
direct           question → whole chain
direct-report    the same on whole reports
self-training    whole chains, and the student's own right chains, in rounds"""

from __future__ import annotations

from pydantic import Field

from smallsteps.config import Name, Settings, Temperature
from smallsteps.experiment.method import Method

BASE, BASE_FEWSHOT = "base", "base-fewshot"
ANSWER_ONLY, DIRECT, DIRECT_REPORT = "answer-only", "direct", "direct-report"
SELF_TRAINING = "self-training"
UNTRAINED = (BASE, BASE_FEWSHOT)
ARMS = (*UNTRAINED, ANSWER_ONLY, DIRECT, DIRECT_REPORT, SELF_TRAINING)


class BaselinesSettings(Settings):
    """The baselines that have settings of their own: `base`, `base-fewshot`, `self-training`."""

    prompt: Name | None = None
    """`base`: a bundled prompt or a prompt file with {{ question }}. None: `zero-shot` for causal
    students with a chat template, the question alone for all others."""
    shots: int = Field(4, ge=1, le=32)
    """`base-fewshot`: chains of the training part that stand before every question."""
    rounds: int = Field(2, ge=1, le=100)
    """`self-training`: rounds of sampling and training."""
    samples: int = Field(8, ge=1, le=1000)
    """`self-training`: chains sampled for each training question in a round (RFT: 100)."""
    temperature: Temperature = 0.7
    """`self-training`: sampling temperature (RFT: 0.7)."""
    most_chains: int = Field(10, ge=1, le=1000)
    """`self-training`: maximum number of the student's own chains of a question, over all rounds;
    the earlier are kept (ReST-EM: 10)."""


METHOD = Method(
    name="baselines",
    arm_names=lambda: ARMS,
    baseline=DIRECT,
    needs_chains=True,
    chainless=(BASE,),
    section="baselines",
    settings=BaselinesSettings,
    section_arms=(*UNTRAINED, SELF_TRAINING),
)
