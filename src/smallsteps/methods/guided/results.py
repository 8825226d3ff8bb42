"""What LM-guided chain of thought reports beside its arms: guidance, refinement, the judge. Part of
`results.json` (`smallsteps.experiment.results`)."""

from __future__ import annotations

from smallsteps.experiment.result_record import ResultRecord
from smallsteps.experiment.results import METHOD_RESULTS, MethodResults
from smallsteps.methods.guided.config import RationaleSource


class GuidanceResult(ResultRecord):
    """One arm at one seed: what its rationales changed in the reader's answers, and their cost.

    Tokens and seconds are means over the test questions."""

    arm: str
    seed: int
    turned: dict[str, int] | None
    """`wrong->right` and the other three → questions: right without the rationale → right with
    it. Null: the reader was not asked without a rationale (no arm `guided-standard`)."""
    read_from: dict[str, int]
    """Where the reader's answers were read from → questions."""
    small_tokens: float
    """Tokens that the small model read and wrote."""
    large_tokens: float
    """Tokens that the reader read and wrote."""
    small_seconds: float
    large_seconds: float
    """Without replies that were stored already."""
    quality: dict[str, float] | None
    """Aspect → mean over the rationales; null: the reader was given none."""
    correlation: float | None
    """Spearman's rank correlation of the rewarded aspects' mean with right answers."""


class RefinementResult(ResultRecord):
    """Reinforcement learning of one arm at one seed."""

    arm: str
    seed: int
    steps: int
    stopped: str | None
    """Why it ended before its last step; null: it did not."""
    update: int
    """The step whose student was kept; 0: the distilled student."""
    value: float
    """What that student reached on validation."""
    start: float | None
    """What the distilled student reached on validation."""
    first: dict[str, float | None]
    """Gauge → its mean over the first tenth of the steps; null: not measured there."""
    last: dict[str, float | None]
    """Gauge → its mean over the last tenth of the steps."""


class JudgeResult(ResultRecord):
    """How surely an aspect tells the run's rationales from those that were perturbed in one way."""

    judge: str
    aspect: str
    perturbation: str
    auc: float
    """Between 0 and 1; 0.5 is chance."""
    n: int
    """Rationales perturbed."""


class GuidedResults(MethodResults):
    """Guidance of all arms and seeds, and how it came about."""

    reader: str
    """The large frozen model."""
    rationales: RationaleSource = "reader"
    """Who wrote the rationales that the small model learnt."""
    yields: dict[str, int] | None
    """Replies to the training questions: how many there are, were parsed, right, kept; or
    rationales of the data: how many there are, are right, kept. Null: no student was distilled."""
    guidance: list[GuidanceResult]
    refinement: list[RefinementResult]
    judge: list[JudgeResult]
    """Empty: the judge was not measured on this run's rationales."""


METHOD_RESULTS["guided"] = GuidedResults
