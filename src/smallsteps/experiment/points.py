"""Arms that were trained until their plateau, compared at three points of their way.

    plateau    each arm at its own plateau: the checkpoint that is best on validation
    budget     all at the smallest plateau budget: the tokens of that checkpoint
    passes     all at the smallest number of passes at a plateau

Tokens and passes of an arm are means over its seeds. An arm may not be judged at a budget by a
checkpoint that it reached later. So its figure at a point is that of the checkpoint which
validation chooses among those that it had reached by then. The test questions choose nothing. The
smallest plateau is taken over the arms that learn chains and that a user can use; what learns
answers alone, a control or a ceiling is compared at the same points.

Arms that learn from different numbers of chains (a sweep of `data.limit`) have the point `plateau`
alone: equal budgets of unequal data say nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smallsteps.errors import InternalError
from smallsteps.evaluation.comparison import compare_scores, pool_scores
from smallsteps.evaluation.grade import Score
from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.folder import complete
from smallsteps.experiment.grading import GradedArm, by_arm, score_answers
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import label_of, place_of
from smallsteps.experiment.score_results import Point, PointComparison, PointResult
from smallsteps.experiment.trained import BestSoFar


@dataclass(frozen=True)
class GradedPoints:
    """Figures and paired tests at each point."""

    results: list[PointResult]
    comparisons: list[PointComparison]
    smallest_plateau: int | None
    """Tokens of the point `budget`; None: it does not exist."""
    equal_passes: float | None
    """Passes of the point `passes`; None: it does not exist."""
    answered: set[Path]
    """The checkpoints that answered at a point."""


def grade_points(
    lab: Lab, graded: Sequence[GradedArm], pairs: Iterable[tuple[str, str]]
) -> GradedPoints:
    """Lets the checkpoints of each point answer the test questions, and compares `pairs` of arms
    at each. Nothing where no arm was trained until its plateau."""
    arms = {
        name: by_seed
        for name, by_seed in by_arm(graded).items()
        if all(arm.outcome.trail for arm in by_seed)
    }
    compared = [pair for pair in pairs if arms.keys() >= set(pair)]
    points = GradedPoints([], [], *smallest_plateau(arms), set())
    # all answers first: other processes may make some of them
    on_the_way = {
        (arm.name, arm.seed, best.folder): (arm, best)
        for point, limit in _limits(points).items()
        for by_seed in arms.values()
        for arm in by_seed
        for best in [reached_by(arm.outcome.trail, point, limit)]
    }
    made = lab.run.workers.taking(on_the_way.values(), lambda place: _score(lab, *place))
    score_of = dict(zip(on_the_way, made, strict=True))
    for point, limit in _limits(points).items():
        scores: dict[str, Score] = {}
        for name, by_seed in arms.items():
            reached = [reached_by(arm.outcome.trail, point, limit) for arm in by_seed]
            points.answered.update(best.folder for best in reached)
            scores[name] = pool_scores(
                [
                    score_of[arm.name, arm.seed, best.folder]
                    for arm, best in zip(by_seed, reached, strict=True)
                ],
                resamples=lab.recipe.evaluation.bootstrap,
            )
            points.results.append(_result(point, name, scores[name], reached))
        points.comparisons.extend(_comparisons(point, scores, compared, lab))
    return points


def smallest_plateau(
    arms: Mapping[str, Sequence[GradedArm]],
) -> tuple[int | None, float | None]:
    """(tokens, passes) at the plateau, the smallest over the arms that learn chains and are no
    controls; (None, None) where there is none, or arms learn from different numbers of chains."""
    plateaus = [
        [arm.outcome.trail[-1] for arm in by_seed]
        for by_seed in arms.values()
        if isinstance(by_seed[0].arm, ChainArm)
        and by_seed[0].outcome.writes_chains
        and not by_seed[0].outcome.control
    ]
    limits = {
        by_seed[0].arm.selection.limit
        for by_seed in arms.values()
        if isinstance(by_seed[0].arm, ChainArm)
    }
    if not plateaus or len(limits) > 1:
        return None, None
    tokens = min(_mean([best.tokens for best in by_seed]) for by_seed in plateaus)
    passes = min(_mean([best.passes for best in by_seed]) for by_seed in plateaus)
    return round(tokens), round(passes, 4)


def reached_by(trail: Sequence[BestSoFar], point: Point, limit: float) -> BestSoFar:
    """The best checkpoint that an arm has reached at a point; its first, where the point lies
    before its first evaluation.

    As in every budget here, the update that reaches the limit belongs to it."""
    reached = [
        best
        for best in trail
        if point == "plateau"
        or (best.tokens_before if point == "budget" else best.passes) < limit
        or (point == "passes" and best.passes == limit)
    ]
    return reached[-1] if reached else trail[0]


def _limits(points: GradedPoints) -> dict[Point, float]:
    """Point → its tokens or passes."""
    limits: dict[Point, float] = {}
    if points.smallest_plateau is not None:
        limits["budget"] = points.smallest_plateau
    limits["plateau"] = float("inf")
    if points.equal_passes is not None:
        limits["passes"] = points.equal_passes
    return limits


def _score(lab: Lab, arm: GradedArm, best: BestSoFar) -> Score:
    """The test figure of a checkpoint; that of the main figure was graded already."""
    if best.folder == arm.outcome.student:
        return arm.score
    if arm.outcome.answers_of is None:
        raise InternalError(f"{arm.name}: checkpoints were kept, and nothing answers with them")
    _restore(lab, arm, best.folder)
    return score_answers(lab, arm.outcome, arm.outcome.answers_of(best.folder), arm.seed)


def _restore(lab: Lab, arm: GradedArm, checkpoint: Path) -> None:
    """Trains an arm again whose checkpoint was deleted, as no point needed it: a run that grows may
    have other points. The same seed makes the same weights."""
    answers = lab.run.path / "arms" / place_of(arm.name, arm.seed) / f"answers-{checkpoint.name}"
    if checkpoint.is_dir() or complete(answers):
        return
    lab.reporter.say(
        f"{label_of(arm.name, arm.seed)}: {checkpoint.name} is needed now and was deleted when the "
        "run was smaller; trained again"
    )
    lab.forget_training(checkpoint)
    arm.arm.run(lab, arm.seed)


def _result(point: Point, name: str, score: Score, reached: Sequence[BestSoFar]) -> PointResult:
    return PointResult(
        point=point,
        name=name,
        value=score.value,
        low=score.low,
        high=score.high,
        n=score.n,
        tokens=round(_mean([best.tokens for best in reached]), 1),
        passes=round(_mean([best.passes for best in reached]), 3),
        seconds=round(_mean([best.seconds for best in reached]), 3),
    )


def _comparisons(
    point: Point,
    scores: Mapping[str, Score],
    pairs: Iterable[tuple[str, str]],
    lab: Lab,
) -> list[PointComparison]:
    resamples = lab.recipe.evaluation.bootstrap
    rows = []
    for arm, against in pairs:
        comparison = compare_scores(scores[arm], scores[against], resamples=resamples)
        rows.append(PointComparison.at(point, arm, against, comparison))
    return rows


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
