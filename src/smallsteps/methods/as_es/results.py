"""From answers to the records of `results.json`: arms, paired tests, the paper's protocol.

The main figure of an arm is that of the checkpoint that validation chose; the test part is read for
it once. The records are `smallsteps.experiment.results`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smallsteps.evaluation.comparison import pool_scores
from smallsteps.evaluation.grade import Score, grade
from smallsteps.evaluation.metrics import get_metric
from smallsteps.experiment.arm import PAPER_CRITERIA, Trained
from smallsteps.experiment.best import Candidate, best_on_validation
from smallsteps.experiment.comparisons import compare_arms
from smallsteps.experiment.page_files import ArmFiles, write_arm_files
from smallsteps.experiment.results import (
    ArmResult,
    BudgetFacts,
    DataFacts,
    Figure,
    PaperProtocolResult,
    PooledResult,
    Results,
    score_fields,
)
from smallsteps.methods.as_es.stages import Stages
from smallsteps.methods.as_es.variants import Variant, baseline_of
from smallsteps.records import Prediction, Problem


@dataclass(frozen=True)
class Graded:
    """One arm at one seed, answered and graded."""

    variant: Variant
    trained: Trained
    student: Path
    """The folder of the student that was graded."""
    score: Score
    result: ArmResult
    further: dict[str, Score]
    """Scores on further test sets, by task name."""
    paper: PaperProtocolResult | None
    """None: the recipe does not ask for the paper's protocol."""


def grade_arm(stages: Stages, variant: Variant) -> Graded:
    """The arm trained, answered and graded; what the page shows of it lies in its stage `page`."""
    trained = stages.trained(variant)
    student = trained.folder(stages.recipe.evaluation.checkpoint)
    problems = stages.problems(variant, stages.material.test)
    predictions = stages.answers(variant, student, "answers", stages.task, problems)
    score = _grade(stages, variant, predictions)
    shown = stages.task.assemble(problems, predictions) if stages.task.assemble else predictions

    files = ArmFiles(shown, score.grades, trained.curves)
    folder = stages.run.stage(
        f"arms/{variant.place}/page", lambda place: write_arm_files(place, files)
    )
    result = ArmResult(
        name=variant.name,
        method="as-es" if variant.spec.strategy else "baselines",
        seed=variant.seed,
        **score_fields(score),
        validation=trained.validation,
        metrics=_further(stages, predictions, problems),
        train_tokens=trained.train_tokens,
        passes=round(trained.passes, 3),
        seconds=round(trained.seconds, 2),
        seconds_per_answer=round(sum(p.seconds for p in predictions) / len(shown), 6),
        tokens_per_answer=round(sum(p.tokens for p in predictions) / len(shown), 1),
        scorer_tokens=stages.scorer_tokens(variant),
        beta=variant.beta if variant.spec.strategy else None,
        student=_within(stages, student),
        folder=_within(stages, folder),
    )
    return Graded(
        variant,
        trained,
        student,
        score,
        result,
        further=_further_scores(stages, variant, student),
        paper=_paper_protocol(stages, variant, trained, student)
        if stages.recipe.evaluation.paper_protocol
        else None,
    )


def _within(stages: Stages, folder: Path) -> str:
    return folder.relative_to(stages.run.path).as_posix()


def _grade(stages: Stages, variant: Variant, predictions: Sequence[Prediction]) -> Score:
    problems = stages.problems(variant, stages.material.test)
    resamples = stages.recipe.evaluation.bootstrap
    return grade(
        predictions, problems, stages.task, dataset="test", seed=variant.seed, resamples=resamples
    )


def _further(
    stages: Stages, predictions: Sequence[Prediction], problems: Sequence[Problem]
) -> dict[str, Figure]:
    """Metrics beside the main one: for reports ROUGE-L and the missing ratio, else BLEU and ROUGE-L
    of whole chains where every test problem has a gold chain."""
    task, references = stages.task, None
    names = [name for name in ("bleu", "rouge_l", "missing_ratio") if name != task.metric]
    if task.assemble is None:
        references = {chain.problem.id: chain.rationale.text for chain in stages.material.gold}
        if not {problem.id for problem in problems} <= set(references):
            return {}
        names.remove("missing_ratio")
    return {
        name: Figure.of(grade(predictions, problems, task, metric=name, references=references))
        for name in names
    }


def _further_scores(stages: Stages, variant: Variant, student: Path) -> dict[str, Score]:
    """Scores on the further test sets."""
    return {
        name: grade(
            stages.answers(variant, student, f"answers-{name}", task, problems),
            problems,
            task,
            dataset="test",
            seed=variant.seed,
        )
        for name, (task, problems) in stages.material.also.items()
    }


def _paper_protocol(
    stages: Stages, variant: Variant, trained: Trained, graded: Path
) -> PaperProtocolResult:
    """The best of the paper's three checkpoints *on the test set*: its protocol, which flatters;
    never the main figure."""
    problems = stages.problems(variant, stages.material.test)
    scores: dict[str, Score] = {}
    for criterion in PAPER_CRITERIA:
        student = trained.folders.get(criterion)
        if student is None:
            continue
        # criteria often agree on a checkpoint, which then answers once
        name = "answers" if student == graded else f"answers-{student.name}"
        scores[criterion] = _grade(
            stages, variant, stages.answers(variant, student, name, stages.task, problems)
        )
    best = max(scores, key=lambda criterion: _signed(scores[criterion]))
    return PaperProtocolResult(
        name=variant.name,
        seed=variant.seed,
        metric=scores[best].metric,
        value=scores[best].value,
        checkpoint=best,
        values={criterion: score.value for criterion, score in scores.items()},
    )


# ---- over all arms and seeds ----


def results(stages: Stages, graded: Sequence[Graded]) -> Results:
    """The results of the run, without its command and provenance."""
    recipe = stages.recipe
    by_arm: dict[str, list[Graded]] = {}
    for arm in graded:
        by_arm.setdefault(arm.variant.name, []).append(arm)
    arms = [seeds[0].variant for seeds in by_arm.values()]
    compared = compare_arms(
        {name: [arm.score for arm in seeds] for name, seeds in by_arm.items()},
        [(arm.name, base.name) for arm in arms if (base := baseline_of(arm, arms))],
        recipe.seeds,
        resamples=recipe.evaluation.bootstrap,
    )
    return Results(
        title=recipe.title,
        about=recipe.about,
        arms=[arm.result for arm in graded],
        **vars(compared),
        further_tests=[
            PooledResult.of(name, pool_scores([arm.further[task] for arm in seeds]))
            for task in stages.material.also
            for name, seeds in by_arm.items()
        ],
        paper_protocol=[arm.paper for arm in graded if arm.paper],
        data=DataFacts(**stages.material.facts, odd=stages.odd),
        budget=BudgetFacts(
            fair=recipe.train.fair, tokens=stages.budget, passes=recipe.train.passes
        ),
        best=best_on_validation(
            Candidate(
                arm.variant.name,
                arm.variant.seed,
                arm.trained.validation,
                _within(stages, arm.student),
            )
            for arm in graded
        ),
    )


def _signed(score: Score) -> float:
    """The figure such that higher is better."""
    return -score.value if get_metric(score.metric).lower_is_better else score.value
