"""Why arms are right or wrong, as `results.json` holds it: the records of `why.py`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from smallsteps.experiment.result_record import Figure, ResultRecord


class StepResult(ResultRecord):
    """The accuracy of one step, or of several pooled, over all seeds (`evaluation/steps.py`)."""

    first: int
    """From 1."""
    last: int
    """The same, unless steps are pooled."""
    n: int
    """Chains (of all seeds) that have the first of these steps."""
    gold_prefix: Figure | None
    """Where the student continues the gold chain; null: not measured."""
    free_running: Figure
    """In the chains that the student wrote."""
    lost: Figure | None
    """Gold prefix minus free-running, in points, paired."""


class DiversityResult(ResultRecord):
    """How the chains of an arm differ from gold, over all seeds (`evaluation/diversity.py`)."""

    right: int
    """Right chains whose problem has a gold chain."""
    differing: Figure | None
    """Per cent of them that are not the gold chain; null: there is none."""
    bleu_right: Figure | None
    """BLEU of right chains against gold."""
    bleu_wrong: Figure | None
    distinct: float | None
    """Mean number of different chains of a problem over the seeds; null: one seed."""


class RegularityResult(ResultRecord):
    """Accuracy on chains of similar regularity, over all seeds (`evaluation/regularity.py`)."""

    of: Literal["written", "gold"]
    """Whose regularity: that of the chain which the student wrote, or of the gold chain."""
    low: float
    """Least regularity, 0 to 1."""
    high: float
    """Where the next bin begins."""
    n: int
    accuracy: Figure


class ArmWhy(ResultRecord):
    """Why an arm is right or wrong, over all its seeds."""

    name: str
    seeds: list[int]
    steps: list[StepResult] = Field(default_factory=list)
    """Empty: no gold chain has a step."""
    seconds: float = 0.0
    """That continuing gold prefixes took."""
    diversity: DiversityResult | None = None
    """Null: there are no gold chains, or answers are not right or wrong."""
    regularity: list[RegularityResult] = Field(default_factory=list)
    """Empty: answers are not right or wrong."""
    unmeasured: int = 0
    """Written chains of too few sub-sentences to have a regularity."""


class WhyResults(ResultRecord):
    """Why arms are right or wrong: steps, diversity and regularity of their chains."""

    gold_chains: int
    """Test problems with a right gold chain."""
    step_chains: int
    """Those on which steps are measured: the first that have a step."""
    without_steps: int
    """Gold chains left out of them because they have no step."""
    exact: bool
    """Whether a step's numbers and signs are known, and not only its result."""
    why_problems: int
    """The setting `evaluation.why_problems`."""
    gold_kinds: bool
    """Whether the kinds of gold segments are labels of the data; otherwise, as in all written
    chains, the strategy `rouge` tells them."""
    arms: list[ArmWhy]
