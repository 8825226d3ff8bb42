"""From answers to `results.json`: a row for each arm and seed, pooled rows, paired tests, the
paper's protocol.

The main figure of an arm is that of the checkpoint which validation chose; the test part is read
for it once. What the keys mean stands in the docstring of `smallsteps.report.page`, which draws
them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.evaluation.grade import (
    Comparison,
    Score,
    compare_scores,
    get_metric,
    grade,
    pool_scores,
)
from smallsteps.experiment.arm import PAPER_CRITERIA, Trained
from smallsteps.experiment.best import Candidate, best_on_validation
from smallsteps.methods.as_es.stages import Stages
from smallsteps.methods.as_es.variants import Variant, baseline_of
from smallsteps.records import Prediction, Problem
from smallsteps.tasks.files import write_rows

Row = dict[str, Any]


@dataclass(frozen=True)
class Graded:
    """One arm at one seed, answered and graded."""

    variant: Variant
    trained: Trained
    student: Path
    """The folder of the student that was graded."""
    score: Score
    row: Row
    """Its row of results.json."""
    also: dict[str, Score]
    """Scores on further test sets, by task name."""
    paper: Row | None
    """Its row by the paper's protocol, where that was asked for."""


def grade_arm(stages: Stages, variant: Variant) -> Graded:
    """The arm trained, answered and graded; what the page shows of it lies in its stage `page`."""
    trained = stages.trained(variant)
    student = trained.folder(stages.recipe.evaluation.checkpoint)
    problems = stages.problems(variant, stages.material.test)
    predictions = stages.answers(variant, student, "answers", stages.task, problems)
    score = _grade(stages, variant, predictions)
    shown = stages.task.assemble(problems, predictions) if stages.task.assemble else predictions

    def page(folder: Path) -> None:
        write_rows(folder / "predictions.jsonl", (p.to_row() for p in shown))
        write_rows(folder / "grades.jsonl", (g.to_row() for g in score.grades))
        write_rows(folder / "curves.jsonl", trained.curves)

    folder = stages.run.stage(f"arms/{variant.place}/page", page)
    row = {
        "name": variant.name,
        **score.to_row(),
        "train_tokens": trained.train_tokens,
        "passes": round(trained.passes, 3),
        "seconds": round(trained.seconds, 2),
        "scorer_tokens": stages.scorer_tokens(variant),
        "seconds_per_answer": round(sum(p.seconds for p in predictions) / len(shown), 6),
        "tokens_per_answer": round(sum(p.tokens for p in predictions) / len(shown), 1),
        "beta": variant.beta if variant.spec.strategy else None,
        "validation": trained.validation,
        "metrics": _further(stages, predictions, problems),
        "student": _within(stages, student),
        "folder": _within(stages, folder),
    }
    return Graded(
        variant,
        trained,
        student,
        score,
        {name: value for name, value in row.items() if value is not None},
        also=_also(stages, variant, student),
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
) -> dict[str, Row]:
    """Metrics beside the main one: for reports ROUGE-L and the missing ratio, else BLEU and ROUGE-L
    of whole chains where every test problem has a gold chain."""
    task, references = stages.task, None
    names = [name for name in ("bleu", "rouge_l", "missing_ratio") if name != task.metric]
    if task.assemble is None:
        references = {chain.problem.id: chain.rationale.text for chain in stages.material.gold}
        if not {problem.id for problem in problems} <= set(references):
            return {}
        names.remove("missing_ratio")
    found = {
        name: grade(predictions, problems, task, metric=name, references=references)
        for name in names
    }
    return {
        name: {"value": score.value, "low": score.low, "high": score.high}
        for name, score in found.items()
    }


def _also(stages: Stages, variant: Variant, student: Path) -> dict[str, Score]:
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


def _paper_protocol(stages: Stages, variant: Variant, trained: Trained, graded: Path) -> Row:
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
    return {
        "name": variant.name,
        "seed": variant.seed,
        "metric": scores[best].metric,
        "value": scores[best].value,
        "checkpoint": best,
        "values": {criterion: score.value for criterion, score in scores.items()},
    }


# ---- over all arms and seeds ----


def results(stages: Stages, graded: Sequence[Graded]) -> Row:
    """The content of results.json, provenance apart."""
    recipe = stages.recipe
    by_arm: dict[str, list[Graded]] = {}
    for own in graded:
        by_arm.setdefault(own.variant.name, []).append(own)
    scores = {name: [one.score for one in own] for name, own in by_arm.items()}
    everything = [own[0].variant for own in by_arm.values()]
    pairs = [(v.name, base.name) for v in everything if (base := baseline_of(v, everything))]
    return {
        "title": recipe.title,
        "about": recipe.about,
        "arms": [own.row for own in graded],
        "comparisons": [
            {
                "arm": name,
                "against": base,
                "seed": seed,
                **comparison_row(
                    compare_scores(mine, theirs, resamples=recipe.evaluation.bootstrap)
                ),
            }
            for name, base in pairs
            for seed, mine, theirs in zip(recipe.seeds, scores[name], scores[base], strict=True)
        ],
        "pooled": _pooled(stages, scores, pairs) if len(recipe.seeds) > 1 else [],
        "paper_protocol": [own.paper for own in graded if own.paper],
        "also": _also_rows(stages, by_arm),
        "data": {**stages.material.facts, "odd": stages.odd},
        "budget": {
            "fair": recipe.train.fair,
            "tokens": stages.budget,
            "passes": recipe.train.passes,
        },
        "best": best_on_validation(
            Candidate(
                own.variant.name,
                own.variant.seed,
                own.trained.validation,
                _within(stages, own.student),
            )
            for own in graded
        ),
    }


def _pooled(
    stages: Stages, scores: dict[str, list[Score]], pairs: Sequence[tuple[str, str]]
) -> list[Row]:
    """Over all seeds: a row for each arm, and one (with `against`) for each paired test."""
    resamples = stages.recipe.evaluation.bootstrap
    pooled = {name: pool_scores(own, resamples=resamples) for name, own in scores.items()}
    rows = [{"name": name, **score.to_row()} for name, score in pooled.items()]
    return rows + [
        {
            "arm": name,
            "against": base,
            **comparison_row(compare_scores(pooled[name], pooled[base], resamples=resamples)),
        }
        for name, base in pairs
    ]


def comparison_row(found: Comparison) -> Row:
    """A paired test as a row of results.json."""
    return {
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p_bootstrap": found.p_bootstrap,
        "p_mcnemar": found.p_mcnemar,
        "right_only": found.only_score,
        "wrong_only": found.only_baseline,
        "n": found.n,
    }


def _also_rows(stages: Stages, by_arm: dict[str, list[Graded]]) -> list[Row]:
    """A row for each further test set and arm, over all seeds."""
    rows = []
    for task in stages.material.also:
        for name, own in by_arm.items():
            row = pool_scores([one.also[task] for one in own]).to_row()
            kept = ("task", "metric", "value", "low", "high", "n", "unparsed", "seed", "signature")
            rows.append({"name": name, **{key: row[key] for key in kept}})
    return rows


def _signed(score: Score) -> float:
    """The figure such that higher is better."""
    return -score.value if get_metric(score.metric).lower_is_better else score.value
