"""The baselines in a recipe: the names of their arms, and their section.

base             the student before training, zero-shot
base-fewshot     the same after worked examples (causal students)
answer-only      question → answer sentence, without a chain
direct           question → whole chain
direct-report    the same on whole reports"""

from __future__ import annotations

from pydantic import Field

from smallsteps.config import Name, Settings
from smallsteps.experiment.method import Method

BASE, BASE_FEWSHOT = "base", "base-fewshot"
ANSWER_ONLY, DIRECT, DIRECT_REPORT = "answer-only", "direct", "direct-report"
UNTRAINED = (BASE, BASE_FEWSHOT)
ARMS = (*UNTRAINED, ANSWER_ONLY, DIRECT, DIRECT_REPORT)


class BaselinesSettings(Settings):
    """The baselines that have settings of their own: `base`, `base-fewshot`."""

    prompt: Name | None = None
    """`base`: a bundled prompt or a prompt file with {{ question }}. None: `zero-shot` for causal
    students with a chat template, the question alone for all others."""
    shots: int = Field(4, ge=1, le=32)
    """`base-fewshot`: chains of the training part that stand before every question."""


METHOD = Method(
    name="baselines",
    arm_names=lambda: ARMS,
    baseline=DIRECT,
    needs_chains=True,
    chainless=(BASE,),
    section="baselines",
    settings=BaselinesSettings,
    section_arms=UNTRAINED,
)
