"""From the arms of guided chain of thought to `results.json`: figures, paired tests, what was
turned, cost, quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from smallsteps.evaluation.grade import Score, compare_scores, pool_scores
from smallsteps.evaluation.significance import rank_correlation
from smallsteps.experiment.best import Candidate, best_on_validation
from smallsteps.experiment.data import Questions
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.recipe import (
    NO_METHOD,
    REFINED_ARMS,
    WITHOUT_A_STUDENT,
    Recipe,
    guided_parts,
)
from smallsteps.methods.as_es.results import comparison_row
from smallsteps.methods.guided.method import Outcome, turned
from smallsteps.methods.guided.reward import REWARDED
from smallsteps.quality.aspects import ASPECTS
from smallsteps.records import Prediction
from smallsteps.tasks.files import write_rows
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
    recipe: Recipe, run: RunFolder, questions: Questions, arms: Sequence[Arm], facts: Row
) -> Row:
    """The content of results.json, provenance apart; writes what the page shows of each arm."""
    resamples = recipe.evaluation.bootstrap
    by_name: dict[str, list[Arm]] = {}
    for arm in arms:
        by_name.setdefault(arm.name, []).append(arm)
    scores = {name: [arm.main for arm in own] for name, own in by_name.items()}
    pairs = [(name, BASELINE) for name in by_name if name != BASELINE]
    if "distilled" in by_name:
        pairs += [
            (name, "distilled") for name in by_name if name in (*REFINED_ARMS, "cot", "small")
        ]
    plain = {arm.seed: arm for arm in by_name[BASELINE]}
    for arm in arms:
        _write_page_files(run, arm, plain[arm.seed])
    write_rows(run.path / "problems.jsonl", (problem.to_row() for problem in questions.test))
    pooled = {name: pool_scores(own, resamples=resamples) for name, own in scores.items()}

    def difference(first: Score, second: Score) -> Row:
        return comparison_row(compare_scores(first, second, resamples=resamples))

    return {
        "title": recipe.title,
        "about": recipe.about,
        "arms": [_arm_row(arm) for arm in arms],
        "comparisons": [
            {"arm": name, "against": against, "seed": seed, **difference(one, other)}
            for name, against in pairs
            for seed, one, other in zip(recipe.seeds, scores[name], scores[against], strict=True)
        ],
        "pooled": []
        if len(recipe.seeds) == 1
        else [
            *({"name": name, **score.to_row()} for name, score in pooled.items()),
            *(
                {"arm": name, "against": against, **difference(pooled[name], pooled[against])}
                for name, against in pairs
            ),
        ],
        "guided": [_guided_row(arm, plain[arm.seed]) for arm in arms],
        "refined": [_refined_row(arm, arm.refined) for arm in arms if arm.refined],
        "data": facts,
        "budget": {"fair": "tokens", "tokens": recipe.train.budget},
        "controls": [
            name
            for name in by_name
            if name in WITHOUT_A_STUDENT or guided_parts(name)[1] in NO_METHOD
        ],
        "best": _best(by_name),
    }


def _arm_row(arm: Arm) -> Row:
    count = len(arm.outcomes)
    row = {
        "name": arm.name,
        **arm.main.to_row(),
        "validation": arm.validation,
        "metrics": {
            name: _figure(score) for name, score in arm.scores.items() if score is not arm.main
        },
        "seconds_per_answer": round(
            sum(o.small_seconds + o.large_seconds for o in arm.outcomes) / count, 6
        ),
        "tokens_per_answer": round(
            sum(o.small_tokens + o.large_tokens for o in arm.outcomes) / count, 1
        ),
        "student": arm.student,
        "folder": arm.place,
    }
    return {name: value for name, value in row.items() if value is not None}


def _figure(score: Score) -> Row:
    return {"value": score.value, "low": score.low, "high": score.high}


def _guided_row(arm: Arm, plain: Arm) -> Row:
    """What only this method knows of an arm."""
    count = len(arm.outcomes)
    row: Row = {
        "arm": arm.name,
        "seed": arm.seed,
        "turned": turned(plain.right, arm.right),
        "found": dict(sorted(Counter(one.found for one in arm.outcomes).items())),
        "small_tokens": round(sum(o.small_tokens for o in arm.outcomes) / count, 1),
        "large_tokens": round(sum(o.large_tokens for o in arm.outcomes) / count, 1),
        "small_seconds": round(sum(o.small_seconds for o in arm.outcomes) / count, 6),
        "large_seconds": round(sum(o.large_seconds for o in arm.outcomes) / count, 6),
    }
    if arm.quality is not None:
        means = {
            name: [q[name] for q in arm.quality if q.get(name) is not None] for name in ASPECTS
        }
        row["quality"] = {name: round(fmean(values), 4) for name, values in means.items() if values}
        overall = [fmean(q[name] for name in REWARDED if q[name] is not None) for q in arm.quality]
        row["correlation"] = rank_correlation(overall, [float(one) for one in arm.right])
    return row


def _refined_row(arm: Arm, found: Reinforced) -> Row:
    """How the refinement went: means over the first and the last tenth of its steps."""
    tenth = max(1, len(found.curves) // 10)
    first, last = found.curves[:tenth], found.curves[-tenth:]
    names = dict.fromkeys(
        name
        for row in found.curves
        for name, value in row.items()
        if name not in ("update", "metric") and isinstance(value, int | float)
    )
    return {
        "arm": arm.name,
        "seed": arm.seed,
        "steps": found.steps,
        "stopped": found.stopped,
        "update": found.best.update,
        "value": found.best.value,
        "start": found.start,
        "first": {name: _mean(first, name) for name in names},
        "last": {name: _mean(last, name) for name in names},
    }


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return round(fmean(values), 4) if values else None


def _best(by_name: Mapping[str, Sequence[Arm]]) -> Row:
    """Of the students that guide, the one that did best on validation; without any, the one that
    answers alone. Where nothing was trained there is no student, so no folder: the baseline is
    named."""
    trained = [
        name
        for name in by_name
        if guided_parts(name)[1] is None and by_name[name][0].student is not None
    ]
    guides = [name for name in trained if name != "small"]
    if not trained:
        return {"name": BASELINE, "seed": by_name[BASELINE][0].seed}
    return best_on_validation(
        Candidate(arm.name, arm.seed, arm.validation, arm.student or arm.place)
        for name in guides or trained
        for arm in by_name[name]
    )


def _write_page_files(run: RunFolder, arm: Arm, plain: Arm) -> None:
    folder = run.path / arm.place
    write_rows(
        folder / "predictions.jsonl",
        (
            Prediction(
                f"{o.problem_id}/answer",
                o.problem_id,
                o.rationale or "",
                ((None, o.rationale or ""),),
                o.answer,
                "end",
                o.small_tokens + o.large_tokens,
            ).to_row()
            for o in arm.outcomes
        ),
    )
    write_rows(folder / "grades.jsonl", (grade.to_row() for grade in arm.main.grades))
    if arm.refined:
        write_rows(folder / "refined.jsonl", arm.refined.curves)
    quality: Sequence[Row | None] = arm.quality or [None] * len(arm.outcomes)
    write_rows(
        folder / "guided.jsonl",
        (
            {
                "problem_id": outcome.problem_id,
                "rationale": outcome.rationale,
                "answer": outcome.answer,
                "right": right,
                "answer_without": before.answer,
                "right_without": was_right,
                "quality": {name: q.get(name) for name in ASPECTS} if q is not None else None,
            }
            for outcome, right, before, was_right, q in zip(
                arm.outcomes, arm.right, plain.outcomes, plain.right, quality, strict=True
            )
        ),
    )
