"""From outcomes to results: every arm graded in the same way, compared in pairs, pooled over seeds.

The main figure of an arm is that of the student which validation chose; the test part is read for
it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smallsteps import team
from smallsteps.evaluation.grade import Score, grade
from smallsteps.evaluation.metrics import get_metric
from smallsteps.evaluation.significance import RESAMPLES
from smallsteps.experiment.arm import Arm
from smallsteps.experiment.best import Candidate, best_on_validation
from smallsteps.experiment.comparisons import Scores, in_order
from smallsteps.experiment.further import grade_answers, store_answers
from smallsteps.experiment.kept_arm import KeptArm
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import Outcome, label_of, place_of
from smallsteps.experiment.page_files import ArmFiles, write_arm_files
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import ArmResult
from smallsteps.experiment.run_facts import BestStudent
from smallsteps.experiment.score_results import PaperProtocolResult, score_fields
from smallsteps.records import Prediction, Problem

CHAIN_METRICS = ("bleu", "rouge_l", "missing_ratio")
"""Metrics of whole chains beside a gold chain; of reports, `missing_ratio` too."""


@dataclass(frozen=True)
class GradedArm:
    """An arm at one seed, answered and graded."""

    arm: Arm
    seed: int
    outcome: Outcome
    score: Score
    """By the task's metric on the test problems."""
    metrics: Mapping[str, Score]
    """Further metrics on the same answers."""
    further: Mapping[str, Score]
    """Name of a further test set → score."""
    paper: PaperProtocolResult | None
    """By the paper's protocol, where the recipe asks for it."""
    folder: str
    """What the page reads of it, within the run folder."""

    @property
    def name(self) -> str:
        return self.arm.name

    @property
    def usable(self) -> bool:
        """Whether the run may hand out the student that answered."""
        outcome = self.outcome
        return outcome.untrained or (outcome.student is not None and outcome.handed_out)


def grade_arm(lab: Lab, arm: Arm, seed: int, pairs: Sequence[tuple[str, str]] = ()) -> GradedArm:
    """Trains the arm, lets it answer, grades the answers, and keeps what is shown of it. `pairs`:
    those of `compared_pairs`."""
    outcome = arm.run(lab, seed)
    if (engine := lab.recipe.evaluation.engine) != "local":
        outcome = replace(outcome, decode=f"{outcome.decode}, {engine}")
    problems = _graded_problems(lab, outcome)
    resamples = lab.recipe.evaluation.bootstrap
    main = score_answers(lab, outcome, outcome.predictions, seed)
    lab.reporter.say(f"{label_of(arm.name, seed)}: {main.signature()}")
    references = _references(lab, problems) if outcome.writes_chains else {}
    metrics = {
        name: grade(
            outcome.predictions,
            problems,
            lab.task,
            metric=name,
            references=references or None,
            # metrics of whole chains are slow to resample
            resamples=RESAMPLES if name in CHAIN_METRICS else resamples,
        )
        for name in _further_metrics(lab, references)
    }
    further = grade_answers(
        outcome.further, lab.data.further, decode=outcome.decode, seed=seed, resamples=resamples
    )
    store_answers(lab.run, place_of(arm.name, seed), outcome.further)
    by_criterion = {
        name: score_answers(lab, outcome, answers, seed)
        for name, answers in outcome.by_criterion.items()
    }
    paper = _paper_protocol(arm.name, seed, by_criterion)
    folder = _write_page_files(lab, arm, seed, outcome, main)
    graded = GradedArm(arm, seed, outcome, main, metrics, further, paper, folder)
    against = [other for name, other in pairs if name == arm.name]
    kept = KeptArm(result=arm_result(lab, graded), against=against, usable=graded.usable)
    team.from_first(lambda: kept.write(lab.run.path / folder))
    return graded


def score_answers(
    lab: Lab, outcome: Outcome, predictions: Sequence[Prediction], seed: int
) -> Score:
    """The task's figure on the test problems of predictions that a student of the arm wrote."""
    return grade(
        predictions,
        _graded_problems(lab, outcome),
        lab.task,
        dataset="test",
        decode=outcome.decode,
        seed=seed,
        resamples=lab.recipe.evaluation.bootstrap,
    )


def _graded_problems(lab: Lab, outcome: Outcome) -> list[Problem]:
    """The test problems that the predictions answer: regions, or whole reports."""
    answered = {prediction.problem_id for prediction in outcome.predictions}
    test = lab.data.test
    if lab.task.wholes and not answered <= {problem.id for problem in test}:
        return lab.task.wholes(test)
    return list(test)


def _references(lab: Lab, problems: Sequence[Problem]) -> dict[str, str]:
    """Problem id → gold chain, where every test problem has one; else nothing. Tasks that assemble
    answers (reports) bring their own references."""
    if lab.task.assemble is not None:
        return {}
    references = {chain.problem.id: chain.rationale.text for chain in lab.data.gold}
    return references if {problem.id for problem in problems} <= set(references) else {}


def _further_metrics(lab: Lab, references: Mapping[str, str]) -> list[str]:
    """Metrics beside the task's main one."""
    task = lab.task
    names = list(task.also)
    if task.assemble is not None:
        names += CHAIN_METRICS
    elif references:
        names += ("bleu", "rouge_l")
    return [name for name in dict.fromkeys(names) if name != task.metric]


def _paper_protocol(
    name: str, seed: int, scores: Mapping[str, Score]
) -> PaperProtocolResult | None:
    """The best of the paper's three checkpoints *on the test set*: its protocol, which flatters;
    never the main figure."""
    if not scores:
        return None
    best = max(scores, key=lambda criterion: _higher_is_better(scores[criterion]))
    return PaperProtocolResult(
        name=name,
        seed=seed,
        metric=scores[best].metric,
        value=scores[best].value,
        checkpoint=best,
        values={criterion: score.value for criterion, score in scores.items()},
    )


def _higher_is_better(score: Score) -> float:
    return -score.value if get_metric(score.metric).lower_is_better else score.value


def _write_page_files(lab: Lab, arm: Arm, seed: int, outcome: Outcome, score: Score) -> str:
    """Predictions, grades and what the method shows, in the stage `page` of the arm."""

    def make(folder: Path) -> None:
        details = outcome.details(score)
        files = ArmFiles(outcome.shown, score.grades, outcome.curves, details)
        write_arm_files(folder, files)

    place = f"arms/{place_of(arm.name, seed)}/page"
    lab.run.stage(place, make, alone=True)
    return place


# ---- over all arms and seeds ----


def arm_result(lab: Lab, graded: GradedArm) -> ArmResult:
    """The arm's row of results.json."""
    outcome, predictions = graded.outcome, graded.outcome.predictions
    count = len(outcome.shown)
    return ArmResult(
        name=graded.name,
        method=graded.arm.method,
        **score_fields(graded.score),
        seed=graded.seed,
        validation=outcome.validation,
        metrics={name: Figure.of(score) for name, score in graded.metrics.items()},
        further={name: Figure.of(score) for name, score in graded.further.items()},
        seconds_per_answer=round(sum(p.seconds for p in predictions) / count, 6),
        tokens_per_answer=round(sum(p.tokens for p in predictions) / count, 1),
        student=within(lab, outcome.student),
        control=outcome.control,
        folder=graded.folder,
        **outcome.cost,
    )


def within(lab: Lab, folder: Path | None) -> str | None:
    """A folder relative to the run folder."""
    return None if folder is None else folder.relative_to(lab.run.path).as_posix()


def by_arm(graded: Sequence[GradedArm]) -> dict[str, list[GradedArm]]:
    """Arm → its outcomes, one for each seed, in the order of the recipe."""
    groups: dict[str, list[GradedArm]] = {}
    for graded_arm in graded:
        groups.setdefault(graded_arm.name, []).append(graded_arm)
    return groups


def compared_pairs(arms: Sequence[Arm], baseline: str) -> list[tuple[str, str]]:
    """(arm, arm that it is compared with): those that its method names, and the baseline where
    none of them belongs to the baseline's method."""
    by_name = {arm.name: arm for arm in arms}
    against: dict[str, list[str]] = {}
    for name, arm in by_name.items():
        named = [other for other in arm.against(list(by_name)) if other != name]
        if name != baseline and not any(
            by_name[other].method == by_name[baseline].method for other in named
        ):
            named.insert(0, baseline)
        against[name] = named
    return in_order(against)


def further_scores(lab: Lab, graded: Sequence[GradedArm]) -> dict[str, Scores]:
    """Further test set → the scores of all arms."""
    return {
        test_set: {
            name: {graded_arm.seed: graded_arm.further[test_set] for graded_arm in by_seed}
            for name, by_seed in by_arm(graded).items()
        }
        for test_set in lab.data.further
    }


def best_student(lab: Lab, graded: Sequence[GradedArm]) -> BestStudent | None:
    """The student that the run hands out: of arms that a user can use, chosen on validation."""
    candidates = [
        Candidate(
            graded_arm.name,
            graded_arm.seed,
            graded_arm.outcome.validation,
            within(lab, graded_arm.outcome.student),
        )
        for graded_arm in graded
        if graded_arm.usable
    ]
    return best_on_validation(candidates) if candidates else None
