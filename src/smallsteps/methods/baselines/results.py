"""What the baselines report beside their arms: the rounds of self-training. Part of `results.json`
(`smallsteps.experiment.results`)."""

from __future__ import annotations

from smallsteps.experiment.result_record import ResultRecord
from smallsteps.experiment.results import METHOD_RESULTS, MethodResults


class SelfTrainingResult(ResultRecord):
    """One round of self-training at one seed."""

    arm: str
    """`self-training`; in a sweep also the value."""
    seed: int
    round: int
    right: float
    """Right chains of all that the student before this round sampled, per cent."""
    own_chains: int
    """Different right chains of the student itself that this round learnt from, beside gold."""
    generated_tokens: int
    """Written for these samples, right or wrong."""
    train_tokens: int
    validation: float | None
    """The metric on the validation problems; null: not measured."""


class BaselinesResults(MethodResults):
    """The baselines of a run."""

    self_training: list[SelfTrainingResult]


METHOD_RESULTS["baselines"] = BaselinesResults
