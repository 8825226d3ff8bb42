"""From the arms of LM-guided chain of thought to the records of `results.json`: figures, paired
tests, what the guidance changed, its cost and quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from smallsteps.evaluation.grade import Score
from smallsteps.evaluation.significance import rank_correlation
from smallsteps.experiment.best import Candidate, best_on_validation
from smallsteps.experiment.comparisons import compare_arms
from smallsteps.experiment.data import Questions
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.page_files import ArmFiles, write_arm_files, write_test_set
from smallsteps.experiment.recipe import (
    NO_METHOD,
    REFINED_ARMS,
    WITHOUT_A_STUDENT,
    Recipe,
    guided_parts,
)
from smallsteps.experiment.results import (
    ArmResult,
    BestStudent,
    BudgetFacts,
    DataFacts,
    Figure,
    Results,
    score_fields,
)
from smallsteps.methods.guided.judging import JudgeCheck
from smallsteps.methods.guided.method import Outcome, turned
from smallsteps.methods.guided.results import GuidanceResult, GuidedResults, RefinementResult
from smallsteps.methods.guided.reward import REWARDED
from smallsteps.quality.aspects import ASPECTS
from smallsteps.records import Prediction
from smallsteps.training.reinforce import Reinforced

Row = dict[str, Any]
BASELINE = "standard"


@dataclass(frozen=True)
class Arm:
    """An arm at one seed."""

    name: str
    seed: int
    place: str
    outcomes: list[Outcome]
    scores: Mapping[str, Score]
    """The task's main figure first (multi-hop questions: exact_match), then further ones (f1 and
    inclusion)."""
    quality: list[Row] | None
    """The aspects of what the reader was given."""
    student: str | None
    """The folder of the student that wrote, within the run's."""
    validation: float | None = None
    """What that student reached on validation; None: not measured, or no student."""
    refined: Reinforced | None = None
    """How that student was refined."""

    @property
    def main(self) -> Score:
        return next(iter(self.scores.values()))

    @property
    def right(self) -> list[bool]:
        return [grade.value == 1.0 for grade in self.main.grades]


def results(
    recipe: Recipe,
    run: RunFolder,
    questions: Questions,
    arms: Sequence[Arm],
    *,
    reader: str,
    yields: dict[str, int] | None,
    judge: JudgeCheck | None,
) -> Results:
    """The results of the run, without its command and provenance; writes what the page shows of
    each arm."""
    by_name: dict[str, list[Arm]] = {}
    for arm in arms:
        by_name.setdefault(arm.name, []).append(arm)
    pairs = [(name, BASELINE) for name in by_name if name != BASELINE]
    if "distilled" in by_name:
        pairs += [
            (name, "distilled") for name in by_name if name in (*REFINED_ARMS, "cot", "small")
        ]
    compared = compare_arms(
        {name: [arm.main for arm in seeds] for name, seeds in by_name.items()},
        pairs,
        recipe.seeds,
        resamples=recipe.evaluation.bootstrap,
    )
    plain = {arm.seed: arm for arm in by_name[BASELINE]}
    for arm in arms:
        _write_page_files(run, arm, plain[arm.seed])
    write_test_set(run.path, questions.test, gold=())
    guided = GuidedResults(
        reader=reader,
        yields=yields,
        guidance=[_guidance(arm, plain[arm.seed]) for arm in arms],
        refinement=[_refinement(arm, arm.refined) for arm in arms if arm.refined],
        judge=[] if judge is None else judge.to_results(),
    )
    return Results(
        title=recipe.title,
        about=recipe.about,
        arms=[_arm_result(arm) for arm in arms],
        **vars(compared),
        data=DataFacts(**questions.facts),
        budget=BudgetFacts(fair="tokens", tokens=recipe.train.budget),
        best=_best(by_name),
        methods={"guided": guided},
    )


def _arm_result(arm: Arm) -> ArmResult:
    count = len(arm.outcomes)
    seconds = sum(o.small_seconds + o.large_seconds for o in arm.outcomes)
    tokens = sum(o.small_tokens + o.large_tokens for o in arm.outcomes)
    return ArmResult(
        name=arm.name,
        method="guided",
        seed=arm.seed,
        control=arm.name in WITHOUT_A_STUDENT or guided_parts(arm.name)[1] in NO_METHOD,
        **score_fields(arm.main),
        validation=arm.validation,
        metrics={
            name: Figure.of(score) for name, score in arm.scores.items() if score is not arm.main
        },
        seconds_per_answer=round(seconds / count, 6),
        tokens_per_answer=round(tokens / count, 1),
        student=arm.student,
        folder=arm.place,
    )


def _guidance(arm: Arm, plain: Arm) -> GuidanceResult:
    count = len(arm.outcomes)
    quality = correlation = None
    if arm.quality is not None:
        quality = {}
        for name in ASPECTS:
            values = [scores[name] for scores in arm.quality if scores.get(name) is not None]
            if values:
                quality[name] = round(fmean(values), 4)
        overall = [
            fmean(scores[name] for name in REWARDED if scores[name] is not None)
            for scores in arm.quality
        ]
        correlation = rank_correlation(overall, [float(right) for right in arm.right])
    return GuidanceResult(
        arm=arm.name,
        seed=arm.seed,
        turned=turned(plain.right, arm.right),
        read_from=dict(sorted(Counter(outcome.found for outcome in arm.outcomes).items())),
        small_tokens=round(sum(o.small_tokens for o in arm.outcomes) / count, 1),
        large_tokens=round(sum(o.large_tokens for o in arm.outcomes) / count, 1),
        small_seconds=round(sum(o.small_seconds for o in arm.outcomes) / count, 6),
        large_seconds=round(sum(o.large_seconds for o in arm.outcomes) / count, 6),
        quality=quality,
        correlation=correlation,
    )


def _refinement(arm: Arm, refined: Reinforced) -> RefinementResult:
    """How the refinement went: means over the first and the last tenth of its steps."""
    tenth = max(1, len(refined.curves) // 10)
    first, last = refined.curves[:tenth], refined.curves[-tenth:]
    gauges = dict.fromkeys(
        name
        for row in refined.curves
        for name, value in row.items()
        if name not in ("update", "metric") and isinstance(value, int | float)
    )
    return RefinementResult(
        arm=arm.name,
        seed=arm.seed,
        steps=refined.steps,
        stopped=refined.stopped,
        update=refined.best.update,
        value=refined.best.value,
        start=refined.start,
        first={name: _mean(first, name) for name in gauges},
        last={name: _mean(last, name) for name in gauges},
    )


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return round(fmean(values), 4) if values else None


def _best(by_name: Mapping[str, Sequence[Arm]]) -> BestStudent | None:
    """Of the students that guide, the one that did best on validation; without any, the one that
    answers alone. None: nothing was trained."""
    trained = [
        name
        for name in by_name
        if guided_parts(name)[1] is None and by_name[name][0].student is not None
    ]
    guides = [name for name in trained if name != "small"]
    if not trained:
        return None
    return best_on_validation(
        Candidate(arm.name, arm.seed, arm.validation, arm.student or arm.place)
        for name in guides or trained
        for arm in by_name[name]
    )


def _write_page_files(run: RunFolder, arm: Arm, plain: Arm) -> None:
    """Writes what the page shows of an arm; `plain`: the reader alone at the same seed."""
    predictions = [
        Prediction(
            f"{outcome.problem_id}/answer",
            outcome.problem_id,
            outcome.rationale or "",
            ((None, outcome.rationale or ""),),
            outcome.answer,
            "end",
            outcome.small_tokens + outcome.large_tokens,
        )
        for outcome in arm.outcomes
    ]
    quality: Sequence[Row | None] = arm.quality or [None] * len(arm.outcomes)
    guided = [
        {
            "problem_id": outcome.problem_id,
            "rationale": outcome.rationale,
            "answer": outcome.answer,
            "right": right,
            "answer_without": without.answer,
            "right_without": right_without,
            "quality": {name: scores.get(name) for name in ASPECTS} if scores else None,
        }
        for outcome, right, without, right_without, scores in zip(
            arm.outcomes, arm.right, plain.outcomes, plain.right, quality, strict=True
        )
    ]
    details: dict[str, Sequence[Row]] = {"guided": guided}
    if arm.refined:
        details["refined"] = arm.refined.curves
    write_arm_files(run.path / arm.place, ArmFiles(predictions, arm.main.grades, (), details))
