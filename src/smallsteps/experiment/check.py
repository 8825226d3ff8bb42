"""The examples of every arm that learns from chains, built and checked before the first arm
trains: nothing is refused after hours.

    check/    left-out.json: odd chains, which every arm leaves out
    plan/     plans.json: the training tokens and the updates of each model

All arms leave out the same chains, so that they still differ in one thing. Segments that need a
student's scores are not known yet; their arms are checked as if every sub-sentence were a segment,
which finds every place where a cut could fall."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain as chained
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from smallsteps.disk import write_json
from smallsteps.errors import RunFolderError, TrainingError, counted
from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.cautions import few_updates
from smallsteps.experiment.folder import complete
from smallsteps.experiment.forecast import Forecast
from smallsteps.experiment.growing import OTHER_OUT, Growth
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab, names_of
from smallsteps.experiment.outcome import label_of
from smallsteps.experiment.search import trial_note
from smallsteps.experiment.sweeps import limits
from smallsteps.experiment.update_size import direct_sequences
from smallsteps.records import Chain, Problem
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task
from smallsteps.training.odd import Odd, odd_chains, refuse_odd
from smallsteps.training.preflight import odd_lines, preflight
from smallsteps.training.settings import LARGEST_UPDATE

LARGEST_SPREAD = 0.05
"""Share by which the tokens of arms may differ without a message."""


def check_chain_arms(lab: Lab, arms: Sequence[ChainArm]) -> None:
    """Refuses now what could not be done after hours. Raises UserError."""
    _check_room(lab, _test_sets(lab, arms))
    leave_out_odd(lab, arms)
    validation = [chain.problem for chain in lab.validation_chains(arms[0].selection)]
    _check_room(lab, [(lab.task, validation)])


def _check_student(lab: Lab) -> Student:
    """The untrained student with all tokens that an arm may need: loaded once for all checks."""
    if lab.check_student is None:
        job = lab.job(lab.recipe.seeds[0], lab.run.path)
        lab.check_student = student = prepare(
            job.base(), lab.task, path="uni", cue=not job.causal, texts=job.texts
        )
        lab.adds_characters = bool(
            student.drive and (student.drive.characters or student.drive.spaces)
        )
    return lab.check_student


def _check_room(lab: Lab, sets: Sequence[tuple[Task, list[Problem]]]) -> None:
    """Raises DataError where a question to be answered is longer than the student reads."""
    job, student = lab.job(lab.recipe.seeds[0], lab.run.path), _check_student(lab)
    limit = job.solving().source_limit
    for task, problems in sets:
        for problem in problems:
            ids = student.source_ids(task, task.render(problem), cue="ES")
            student.require_room(ids, problem.id, new_tokens=1, limit=limit)


def _test_sets(lab: Lab, arms: Sequence[ChainArm]) -> list[tuple[Task, list[Problem]]]:
    """All problems that trained students will answer, as the arms read them."""
    test = list(lab.data.test)
    whole = [arm for arm in arms if arm.selection.whole_report]
    sets = [(lab.task, lab.problems(arm.selection, test)) for arm in whole[:1]]
    if len(whole) < len(arms):
        sets += [(lab.task, test), *lab.data.further.values()]
    return sets


def leave_out_odd(lab: Lab, arms: Sequence[ChainArm]) -> None:
    """Names the odd chains of all arms in `lab.left_out`. Raises TrainingError where they are too
    many."""
    if lab.run.growth is not None and complete(lab.run.path / "check"):
        _check_growth(lab, arms, lab.run.growth)
    folder = lab.run.stage(
        "check", lambda place: _find_odd(lab, arms, place), fixed=True, alone=True
    )
    rows = json.loads((folder / "left-out.json").read_text(encoding="utf-8"))
    odd = [Odd(**row["odd"]) for row in rows]
    lab.left_out = frozenset(name for row in rows for name in row["names"])
    lab.odd = len(odd)
    if odd:
        suffix = "" if len(lab.recipe.arms) == 1 else ", in every arm"
        first, *others = odd_lines(odd)
        lab.reporter.say(f"{first}{suffix}")
        for line in others:
            lab.reporter.say(line)


def _check_growth(lab: Lab, arms: Sequence[ChainArm], growth: Growth) -> None:
    """Raises RunFolderError where further arms leave out chains that the run's arms learnt from."""
    with TemporaryDirectory() as place:
        _find_odd(lab, arms, Path(place))
        chains = _odd_chains(Path(place))
    further = [chain for chain in chains if chain not in _odd_chains(lab.run.path / "check")]
    if further:
        raise RunFolderError(
            f"{lab.run.path} cannot grow by {growth}: {counted(len(further), 'chain')} (first "
            f"{further[0]}) could not be trained on, and the arms there have learnt from "
            f"{'it' if len(further) == 1 else 'them'}. {OTHER_OUT}"
        )


def _odd_chains(folder: Path) -> list[str]:
    rows = json.loads((folder / "left-out.json").read_text(encoding="utf-8"))
    return [row["odd"]["chain"] for row in rows]


def _find_odd(lab: Lab, arms: Sequence[ChainArm], folder: Path) -> None:
    odd_by_chain: dict[str, tuple[Odd, Chain, bool]] = {}
    for arm, job in _jobs(lab, arms, folder):
        train, validation = lab.train_chains(arm.selection), lab.validation_chains(arm.selection)
        odd_of_arm: dict[str, Odd] = {}
        for part in arm.parts(job, train, validation):
            examples = chained(part.train, part.validation)
            for odd in odd_chains(part.student, examples, lab.task, job.settings(part.share)):
                odd_of_arm.setdefault(odd.chain, odd)
        for chain in chained(train, validation) if odd_of_arm else ():
            name = chain.rationale.id
            if name in odd_of_arm:
                whole = arm.selection.whole_report
                odd_by_chain.setdefault(name, (odd_of_arm[name], chain, whole))
    chain_count = len(lab.data.train_chains) + len(lab.data.validation_chains)
    settings = lab.job(lab.recipe.seeds[0], folder).settings()
    refuse_odd([odd for odd, _, _ in odd_by_chain.values()], chain_count, settings)
    rows = []
    for odd, chain, whole in odd_by_chain.values():
        chain_name, report_name = names_of(chain)
        names = [chain_name]
        if whole or chain.problem.group:
            names.append(report_name)
        rows.append({"odd": asdict(odd), "names": names})
    write_json(folder / "left-out.json", rows)


def plan_chain_arms(lab: Lab, arms: Sequence[ChainArm], only: Sequence[str] = ()) -> None:
    """Builds what each arm trains on, checks it, and plans the run. `only`: `ARM@SEED` of the arms
    whose duration is estimated, those that this process makes; empty: all. Raises TrainingError
    that names the arm."""
    folder = lab.run.stage("plan", lambda place: _plan(lab, arms, place), alone=True)
    plans = json.loads((folder / "plans.json").read_text(encoding="utf-8"))
    train = lab.recipe.train
    tokens: dict[str, int] = {}
    mine: set[str] = set()
    """Labels of the models, and of their trials, that this process may train."""
    for seed in lab.recipe.seeds:
        for arm in arms:
            for trained, label in arm.trainings(lab.recipe, seed):
                of_arm = _by_model(plans[trained.name]["tokens"], label)
                tokens |= of_arm
                mine |= of_arm.keys() if not only or f"{arm.name}@{seed}" in only else set()
    trials: dict[str, int] = {}
    for arm in arms if len(train.rates) > 1 else ():
        for trained, label in arm.trainings(lab.recipe, lab.recipe.seeds[0]):
            for rate in train.rates:
                of_models = _by_model(plans[trained.name]["tokens"], f"{label}, {trial_note(rate)}")
                trials |= {
                    name: round(train.search_share * count) for name, count in of_models.items()
                }
                mine |= of_models.keys() if any(_is_of(place, arm) for place in only) else set()
    arm_count, model_count = counted(len(plans), "arm"), counted(len(tokens), "model")
    until = train.until
    about = "at most about" if until == "plateau" else "about"
    search = f", and {sum(trials.values()):,} to search learning rates" if trials else ""
    lab.reporter.say(
        f"checked before training: {arm_count}, {model_count}, {about} {sum(tokens.values()):,} "
        f"training tokens in all{search}"
    )
    spread = _spread(plans)
    if until == "tokens" and spread > LARGEST_SPREAD:
        lab.reporter.say(
            f"arms differ by {100 * spread:.0f} % in training tokens, because updates are whole: "
            "raise the budget, or lower train.update_examples (now "
            f"{lab.update_examples})"
        )
    # runs from before updates were kept have none
    updates = {
        label: count
        for name, plan in plans.items()
        for label, count in _by_model(plan.get("updates", {}), name).items()
    }
    size = lab.update_examples or LARGEST_UPDATE
    caution = few_updates(updates, size, train, lab.command, lambda: direct_sequences(lab, arms))
    if caution:
        lab.reporter.say(caution)
    validation = lab.data.validation_chains[: train.validation_chains]
    # until the plateau an arm also answers at two points on its way (`points.py`)
    checkpoints = 3 if until == "plateau" and not limits(lab.recipe) else 1
    further = sum(len(rows) for _, rows in lab.data.further.values())
    tests = checkpoints * len(lab.data.test) + further
    answers = tests / max(1, len(validation))
    lab.forecast = Forecast(
        {label: count for label, count in tokens.items() if label in mine},
        train.evaluations,
        answers,
        trials={label: count for label, count in trials.items() if not only or label in mine},
        at_most=until == "plateau",
        work="this command" if only else "the whole run",
    )


def _is_of(place: str, arm: ChainArm) -> bool:
    """Whether `ARM@SEED` names the arm, at any seed: its learning rate is searched once."""
    return place.rpartition("@")[0] == arm.name


def _by_model(counts: Mapping[str, int], label: str) -> dict[str, int]:
    """Label of each model of an arm → its count; counts are by half of a pair, or by ""."""
    return {f"{label}, {half} half" if half else label: count for half, count in counts.items()}


def _spread(plans: Mapping[str, Any]) -> float:
    """By how much the arm with the most training tokens exceeds the one with the fewest, as a share
    of the latter."""
    totals = [sum(plan["tokens"].values()) for plan in plans.values()]
    return max(totals) / max(1, min(totals)) - 1


def _plan(lab: Lab, arms: Sequence[ChainArm], folder: Path) -> None:
    plans: dict[str, Any] = {}
    for arm, job in _jobs(lab, arms, folder):
        train, validation = lab.train_chains(arm.selection), lab.validation_chains(arm.selection)
        tokens, updates = {}, {}
        for part in arm.parts(job, train, validation):
            settings = job.settings(part.share)
            try:
                checked = preflight(
                    part.student, part.train, part.validation, settings, lab.task, job.seed
                )
            except TrainingError as error:
                raise TrainingError(f"{part.label(arm.name)}: {error}") from None
            tokens[part.kind or ""] = checked.report.planned_tokens
            updates[part.kind or ""] = checked.report.updates
        plans[arm.name] = {"tokens": tokens, "updates": updates}
    write_json(folder / "plans.json", plans)


def _jobs(
    lab: Lab, arms: Sequence[ChainArm], folder: Path
) -> Iterator[tuple[ChainArm, TrainingJob]]:
    """Each arm, and each arm whose students it needs, once, with its training at the first
    seed."""
    seed = lab.recipe.seeds[0]
    named = {arm.name: arm for arm in arms}
    for arm in arms:
        for trained, _ in arm.trainings(lab.recipe, seed):
            named.setdefault(trained.name, trained)
    activity = "checking the examples of each arm"
    for number, arm in enumerate(named.values()):
        lab.reporter.advance(activity, number, len(named), arm.name)
        job = lab.chain_job(arm.selection, seed, folder, label_of(arm.name, seed))
        yield arm, replace(job, check_student=_check_student(lab), texts=())
    lab.reporter.advance(activity, len(named), len(named))
