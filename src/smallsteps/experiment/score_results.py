"""Records of `results.json`: graded answers and the paired tests of arms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from smallsteps.evaluation.comparison import Comparison
from smallsteps.evaluation.grade import Score
from smallsteps.experiment.result_record import Figure, ResultRecord
from smallsteps.records import Stopped


class ScoreResult(ResultRecord):
    """A graded set of answers: the metric and what is needed to read it."""

    name: str
    """The arm."""
    task: str
    dataset: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    """Test problems (reports)."""
    unparsed: int
    """Predictions that no answer could be read from; they count as wrong."""
    missing: int
    """Problems without a prediction; they count as wrong."""
    left_out: int
    """Metric `missing_ratio` only: reports that `n` does not count, because their gold text names
    no region."""
    stopped: dict[Stopped, int]
    """How the chains ended → count."""
    decode: str
    signature: str
    """The figure in one line with all that made it."""

    @property
    def figure(self) -> Figure:
        return Figure(value=self.value, low=self.low, high=self.high)


def score_fields(score: Score) -> dict[str, Any]:
    """The fields of a `ScoreResult` that its score holds: all but `name`."""
    row = score.to_row()
    del row["seed"]
    return row


class PooledResult(ScoreResult):
    """One arm over all seeds; `n` counts the problems once."""

    seeds: list[int]

    @classmethod
    def of(cls, name: str, score: Score) -> Self:
        return cls(name=name, seeds=list(score.seeds), **score_fields(score))


class FurtherResult(PooledResult):
    """One arm on one further test set, over all seeds."""

    test_set: str
    """The name of the set in `data.also_test`. Files of versions without it have the task."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, row: Any) -> Any:
        return {"test_set": row.get("task"), **row} if isinstance(row, Mapping) else row


class ComparisonResult(ResultRecord):
    """A paired test of two arms on the same problems: `arm` minus `against`, in points."""

    arm: str
    against: str
    seed: int | None
    """Null: over all seeds."""
    difference: float
    low: float
    high: float
    p_bootstrap: float
    """Two-sided, paired over problems (and seeds)."""
    p_mcnemar: float | None
    """Exact McNemar test; null where answers are not right or wrong, and over several seeds."""
    only_arm_right: int
    """Problems that only `arm` has right; 0 where McNemar's test does not apply."""
    only_against_right: int
    n: int

    @classmethod
    def of(cls, arm: str, against: str, seed: int | None, comparison: Comparison) -> Self:
        return cls(
            arm=arm,
            against=against,
            seed=seed,
            difference=comparison.difference,
            low=comparison.low,
            high=comparison.high,
            p_bootstrap=comparison.p_bootstrap,
            p_mcnemar=comparison.p_mcnemar,
            only_arm_right=comparison.only_score,
            only_against_right=comparison.only_baseline,
            n=comparison.n,
        )


class FurtherComparison(ComparisonResult):
    """A paired test of two arms on a further test set: over all seeds, or at the only one."""

    test_set: str | None
    """Null: on the questions of all further test sets."""

    @classmethod
    def on(cls, test_set: str | None, comparison: ComparisonResult) -> Self:
        return cls(test_set=test_set, **comparison.model_dump())


class JoinedFurtherResult(ResultRecord):
    """One arm on the questions of all further test sets, over all seeds: the mean over questions,
    of which each weighs the same and counts once."""

    name: str
    """The arm."""
    metric: str
    value: float
    low: float
    high: float
    n: int
    """Questions; one that stands in several sets counts once."""
    seeds: list[int]

    @classmethod
    def of(cls, name: str, score: Score) -> Self:
        return cls(
            name=name,
            metric=score.metric,
            value=score.value,
            low=score.low,
            high=score.high,
            n=score.n,
            seeds=list(score.seeds),
        )


Point = Literal["budget", "plateau", "passes"]
"""Where arms are compared that were trained until their plateau: `budget`, all at the smallest
plateau budget of an arm that learns from chains; `plateau`, each at its own; `passes`, all at the
smallest number of passes at which such an arm reached its plateau."""


class PointResult(ResultRecord):
    """One arm at one point, over all seeds: the test figure of the checkpoint that validation chose
    among those that the arm had reached by then."""

    point: Point
    name: str
    """The arm."""
    value: float
    low: float
    high: float
    n: int
    """Test problems."""
    tokens: float
    """Trained on for that checkpoint; mean over the seeds, as the next two."""
    passes: float
    seconds: float


class PointComparison(ComparisonResult):
    """A paired test of two arms at one point, over all seeds."""

    point: Point

    @classmethod
    def at(cls, point: Point, arm: str, against: str, comparison: Comparison) -> Self:
        row = ComparisonResult.of(arm, against, None, comparison)
        return cls(point=point, **row.model_dump())


class PaperProtocolResult(ResultRecord):
    """An arm by the protocol of Xi et al. 2024: the best of three checkpoints *on the test set*.

    It flatters every arm and is never the main figure."""

    name: str
    seed: int
    metric: str
    value: float
    checkpoint: str
    """The criterion whose checkpoint was best."""
    values: dict[str, float]
    """Criterion → value."""
