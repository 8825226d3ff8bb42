"""Measures the judge of a run on the run's rationales before their quality is rewarded.

Refinement rewards what the judge rewards. A judge that does not notice a swapped name or a missing
step teaches the student its mistakes. So the reader's right rationales are perturbed in one way
each (`quality.perturb`), and each rewarded aspect must rank the right ones above the perturbed ones
(AUC; 0.5 is chance). The lexical judge passes on the bundled facts and fails on real text."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.disk import write_json
from smallsteps.errors import RecipeError, counted
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.reporter import Reporter
from smallsteps.methods.guided.config import (
    PAID_SAMPLE,
    PREFIX,
    REWARDED,
    GuidedSettings,
    guided_parts,
)
from smallsteps.methods.guided.results import JudgeResult
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.prompted_judge import PromptedJudge
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Scorer
from smallsteps.quality.sensitivity import matrix
from smallsteps.quality.settings import LEXICAL
from smallsteps.records import Chain
from smallsteps.students.settings import BUNDLED

SAMPLE = 100
"""Rationales that are perturbed."""
FEWEST = 5
"""Rationales below which an AUC says nothing."""
ENTAILED = ("factuality", "logicality", "consistency")
"""Aspects that are measured by the judge; the other rewarded ones by the sentence encoder."""
NEEDS_A_JUDGE = ("aspects", "both", "raft", "dpo")
"""Arms that are rewarded for quality."""


@dataclass(frozen=True)
class JudgeCheck:
    """How well the rewarded aspects tell a run's rationales from perturbed ones."""

    judge: str
    encoder: str
    rationales: int
    auc: Mapping[str, Mapping[str, float]]
    """Aspect → perturbation that belongs to it → AUC."""

    def lines(self) -> list[str]:
        """The figures as they are shown before refinement."""
        head = (
            f"judge {self.judge!r}, encoder {self.encoder!r}: how often a right rationale of this "
            f"run scores above a perturbed one (AUC; 0.5 is chance; {self.rationales} rationales)"
        )
        return [head, *(f"  {aspect}: {_figures(values)}" for aspect, values in self.auc.items())]

    def to_results(self) -> list[JudgeResult]:
        """One record for each aspect and perturbation."""
        return [
            JudgeResult(
                judge=self.judge,
                aspect=aspect,
                perturbation=name,
                auc=round(value, 3),
                n=self.rationales,
            )
            for aspect, values in self.auc.items()
            for name, value in values.items()
        ]

    def weak(self, least: float) -> dict[str, dict[str, float]]:
        """Aspects of the judge below `least`, with the perturbations that they miss."""
        missed = {
            aspect: {
                name: value for name, value in self.auc.get(aspect, {}).items() if value < least
            }
            for aspect in ENTAILED
        }
        return {aspect: values for aspect, values in missed.items() if values}


def needs_check(recipe: Recipe) -> bool:
    """Whether a chat model judges, or the run rewards quality on text that is not bundled; for the
    bundled facts docs/guided.md has the figures of the lexical judge."""
    if recipe.section(GuidedSettings).judge.is_chat:
        return True
    kinds = [arm.removeprefix(PREFIX) for arm in recipe.arms if arm.startswith(PREFIX)]
    writers = {writer for writer, _ in map(guided_parts, kinds)}
    return recipe.data.chains != BUNDLED and not writers.isdisjoint(NEEDS_A_JUDGE)


def check_judge(
    recipe: Recipe, run: RunFolder, chains: Sequence[Chain], scorer: Scorer, reporter: Reporter
) -> JudgeCheck | None:
    """Measures the judge once on `chains`, the reader's right rationales, and reports the figures.
    None: too few chains have a context.

    Raises RecipeError where a lexical judge is too weak to reward its scores, or there is no key to
    pay a chat model with; TeacherError where no rating of a chat model could be read."""
    guided = recipe.section(GuidedSettings)
    judge, size = guided.judge.name, SAMPLE
    if guided.judge.is_chat:
        size = PAID_SAMPLE
        _say_what_it_may_cost(scorer, chains[:size], reporter)
    items = [
        Rated.of(chain.problem, chain.rationale.text) for chain in chains if chain.problem.context
    ]
    if len(items) < FEWEST:
        if items:
            reporter.say(
                f"judge {judge!r}: not measured, because only {len(items)} right rationales "
                "have a context"
            )
        return None

    def make(folder: Path) -> None:
        sample = random.Random("judge").sample(items, min(size, len(items)))
        perturbations = {aspect: ASPECTS[aspect].lowered_by for aspect in REWARDED}
        all_names = {name for names in perturbations.values() for name in names}
        measured = matrix(sample, scorer, names=all_names)
        if isinstance(scorer.prompted, PromptedJudge):
            scorer.prompted.check_read()
        auc = {
            aspect: {name: measured[aspect][name] for name in names}
            for aspect, names in perturbations.items()
        }
        write_json(folder / "judge.json", {"rationales": len(sample), "auc": auc})

    content = json.loads(
        (run.stage("judge", make, alone=True) / "judge.json").read_text(encoding="utf-8")
    )
    check = JudgeCheck(judge, guided.encoder, content["rationales"], _measured(content["auc"]))
    for line in check.lines():
        reporter.say(line)
    weak = check.weak(guided.judge_min_auc)
    if not weak:
        return check
    missed = ", ".join(f"{aspect} {_figures(values)}" for aspect, values in weak.items())
    if judge != LEXICAL:
        reporter.say(
            f"judge {judge!r} is weak on this text: {missed}, below {guided.judge_min_auc:g}"
        )
        return check
    raise RecipeError(
        "guided.judge: the lexical judge hardly tells this run's rationales from perturbed ones: "
        f"{missed}, expected at least {guided.judge_min_auc:g}. Rewarding its scores would teach "
        "its mistakes. Name a model of natural-language inference, such as "
        "guided.judge.name=cross-encoder/nli-deberta-v3-base (the reader's replies are stored and "
        "not bought again), or set guided.judge_min_auc=0 to refine all the same."
    )


def _say_what_it_may_cost(scorer: Scorer, chains: Sequence[Chain], reporter: Reporter) -> None:
    """Reports the forecast of rating these chains once."""
    items = [Rated.of(chain.problem, chain.rationale.text) for chain in chains]
    if forecast := scorer.forecast(items):
        reporter.say(
            f"judge, {counted(len(items), 'rationale')} as they are: {forecast}; then each of them "
            "spoilt in several ways"
        )


def _measured(auc: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Without the perturbations that fit no rationale: their AUC is null."""
    known = {
        aspect: {name: value for name, value in values.items() if value is not None}
        for aspect, values in auc.items()
    }
    return {aspect: values for aspect, values in known.items() if values}


def _figures(values: Mapping[str, float]) -> str:
    return ", ".join(f"{value:.2f} ({name})" for name, value in values.items())
