"""Several runs of the same test questions as one: one table, one picture, and paired tests across
the runs, from the kept answers (`experiment.regrading`).

An arm that stands in several runs gets the name of its run folder as a suffix: `direct@mine`. Every
arm is tested against one baseline, also on the further test sets that all runs have. What only one
method reports, and the points on the way to a plateau, stay on the pages of the runs: they are not
the same points in two runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smallsteps.errors import RecipeError, RunFolderError, counted, nearest
from smallsteps.evaluation.grade import Score
from smallsteps.evaluation.metrics import metric_name
from smallsteps.experiment.best import Candidate, best_on_validation
from smallsteps.experiment.comparisons import compare_arms, compare_further
from smallsteps.experiment.further import (
    TestSets,
    counted_once,
    read_test_sets,
    same_questions,
)
from smallsteps.experiment.regrading import TestPart, regraded, regraded_further
from smallsteps.experiment.results import ArmResult, Results
from smallsteps.experiment.run_facts import BestStudent
from smallsteps.experiment.settings import EvaluationSettings
from smallsteps.experiment.so_far import RunSoFar
from smallsteps.experiment.stored_data import read_questions
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.records import Problem
from smallsteps.report.further_sets import further_names
from smallsteps.report.run import ShownRun, shown_run
from smallsteps.report.run_settings import labels, times_compare
from smallsteps.report.summaries import arm_names
from smallsteps.report.summaries import baseline as baseline_of

MOST_QUESTION = 60
"""Characters of a question in a message."""


@dataclass(frozen=True)
class Member:
    """One of the runs that are joined."""

    run: RunSoFar
    label: str
    """What its folder is called here."""
    names: Mapping[str, str]
    """Arm → its name in the joined table."""
    part: TestPart


def join_runs(runs: Sequence[RunSoFar], baseline: str | None = None) -> ShownRun:
    """The runs as one; `baseline`: the arm that the others are tested against, by its name in the
    joined table (None: the baseline of the first run).

    Raises RunFolderError where a run is named twice, has no graded arm, or has other test
    questions, another task or metric than the first; RecipeError where `baseline` is no arm."""
    members = _members(runs)
    names = [name for member in members for name in member.names.values()]
    base = _baseline(members, names, baseline)
    same_validation = _same_validation(members)
    arms = [
        _renamed(member, arm, same_validation)
        for member in members
        for arm in member.run.results.arms
    ]
    pairs = [(name, base) for name in dict.fromkeys(names) if name != base]
    resamples = EvaluationSettings().bootstrap
    compared = compare_arms(_scores(members), pairs, resamples=resamples)
    sets, left_out = _shared_sets(members)
    compared_further = compare_further(
        _further_scores(members, sets, resamples), pairs, counted_once(sets), resamples=resamples
    )
    first = members[0].run.results
    results = Results(
        title="Joined: " + ", ".join(member.label for member in members),
        arms=arms,
        **vars(compared),
        **vars(compared_further),
        data=first.data,
        budget=first.budget,
        best=_best(members) if same_validation else None,
        methods=_rounds(members) if same_validation else {},
    )
    return _shown(members, results, _notices(members, same_validation, left_out))


# ---- the runs, and whether they belong together ----


def _members(runs: Sequence[RunSoFar]) -> list[Member]:
    _refuse_twice([run.folder for run in runs])
    for run in runs:
        if not run.results.arms:
            raise RunFolderError(f"{run.folder}: no arm is graded yet. Leave it out.")
    counts = Counter(name for run in runs for name in arm_names(run.results))
    members: list[Member] = []
    for run, label in zip(runs, labels([run.folder for run in runs]), strict=True):
        names = {
            name: f"{name}@{label}" if counts[name] > 1 else name for name in arm_names(run.results)
        }
        member = Member(run, label, names, TestPart.read(run.folder))
        if members:
            _check_same(members[0], member)
            # in the order of the first run, as answers are paired by place
            member = replace(member, part=replace(member.part, problems=members[0].part.problems))
        members.append(member)
    return members


def _refuse_twice(folders: Sequence[Path]) -> None:
    counts = Counter(folder.resolve() for folder in folders)
    twice = next((folder for folder in folders if counts[folder.resolve()] > 1), None)
    if twice is not None:
        raise RunFolderError(f"{twice}: named twice. Name each run once.")


def _check_same(first: Member, other: Member) -> None:
    """Raises RunFolderError where the second run cannot be joined with the first."""
    here, there = first.run.folder, other.run.folder
    if first.part.task.name != other.part.task.name:
        raise RunFolderError(
            f"{there}: its task is {other.part.task.name}, that of {here} is "
            f"{first.part.task.name}. Join runs of the same task."
        )
    metrics = [member.run.results.arms[0].metric for member in (first, other)]
    if metrics[0] != metrics[1]:
        raise RunFolderError(
            f"{there}: measured in {metric_name(metrics[1])}, {here} in {metric_name(metrics[0])}. "
            "Join runs of the same metric."
        )
    by_id = [{p.id: p for p in member.part.problems} for member in (first, other)]
    if by_id[0] != by_id[1]:
        raise RunFolderError(
            f"{there}: its test questions are not those of {here} ({_difference(*by_id)}). Join "
            "runs that were tested on the same questions: data.test=FILE gives them to a run."
        )


def _difference(first: Mapping[str, Problem], other: Mapping[str, Problem]) -> str:
    """How two sets of test questions differ, in a few words."""
    texts = [sorted(problem.question for problem in part.values()) for part in (first, other)]
    if texts[0] == texts[1] and first.keys() != other.keys():
        name = next(name for name in other if name not in first)
        return f"they read the same, but some have other ids: {name} is not among them"
    if len(first) != len(other):
        return f"{counted(len(other), 'question')} instead of {len(first):,}"
    for name, problem in other.items():
        if name not in first:
            return f"{name}, {problem.question[:MOST_QUESTION]!r}, is not among them"
        if problem != first[name]:
            return f"{name} is another question, or has another answer"
    return ""


def _same_validation(members: Sequence[Member]) -> bool:
    """Whether all runs measured on the same validation questions, so that their curves compare."""
    questions = [frozenset(read_questions(member.run.folder, "validation")) for member in members]
    return len(set(questions)) == 1


def _baseline(members: Sequence[Member], names: Sequence[str], chosen: str | None) -> str:
    if chosen is None:
        first = members[0]
        own = baseline_of(first.run.results) or arm_names(first.run.results)[0]
        return first.names[own]
    if chosen in names:
        return chosen
    known = [name for name in names if name.startswith(f"{chosen}@")]
    hint = f" It stands in several runs: {', '.join(known)}." if known else nearest(chosen, names)
    raise RecipeError(f"--baseline {chosen}: no arm of this name.{hint}")


# ---- what is joined ----


def _renamed(member: Member, arm: ArmResult, same_validation: bool) -> ArmResult:
    """The arm under its name in the joined table. Folders begin at the current folder."""
    folder = member.run.folder
    changes: dict[str, Any] = {
        "name": member.names[arm.name],
        "folder": (folder / arm.folder).as_posix(),
        "student": None if arm.student is None else (folder / arm.student).as_posix(),
    }
    if not same_validation:
        changes |= {"curve": [], "validation": None}
    return arm.model_copy(update=changes)


def _scores(members: Sequence[Member]) -> dict[str, dict[int, Score]]:
    scores: dict[str, dict[int, Score]] = {}
    for member in members:
        for arm in member.run.results.arms:
            score = regraded(member.run.folder, arm, member.part)
            scores.setdefault(member.names[arm.name], {})[arm.seed] = score
    return scores


def _shared_sets(members: Sequence[Member]) -> tuple[TestSets, list[str]]:
    """(the further test sets whose questions all runs have kept, the names of the others)."""
    names = [further_names(member.run.results) for member in members]
    first, *others = [
        read_test_sets(member.run.folder, of_member)
        for member, of_member in zip(members, names, strict=True)
    ]
    shared = {
        name: test_set
        for name, test_set in first.items()
        if all(name in sets and same_questions(test_set, sets[name]) for sets in others)
    }
    known = dict.fromkeys(name for of_member in names for name in of_member)
    return shared, [name for name in known if name not in shared]


def _further_scores(
    members: Sequence[Member], sets: TestSets, resamples: int
) -> dict[str, dict[str, dict[int, Score]]]:
    """Further test set → arm → seed → score."""
    scores: dict[str, dict[str, dict[int, Score]]] = {name: {} for name in sets}
    for member in members:
        for arm in member.run.results.arms:
            of_sets = regraded_further(member.run.folder, arm, sets, resamples=resamples)
            for test_set, score in of_sets.items():
                scores[test_set].setdefault(member.names[arm.name], {})[arm.seed] = score
    return scores


def _best(members: Sequence[Member]) -> BestStudent | None:
    """Of the students that the runs hand out, the one whose arm is best on validation."""
    candidates = [
        Candidate(
            member.names[arm.name],
            arm.seed,
            arm.validation,
            None if arm.student is None else (member.run.folder / arm.student).as_posix(),
        )
        for member in members
        for arm in member.run.results.arms
        if member.run.results.best is not None and member.run.results.best.name == arm.name
    ]
    return best_on_validation(candidates) if candidates else None


def _rounds(members: Sequence[Member]) -> dict[str, Any]:
    """The rounds of tailored learning, from which its lines are drawn."""
    parts = [
        (member, part)
        for member in members
        if isinstance(part := member.run.results.methods.get("tailored"), TailoredResults)
    ]
    if not parts:
        return {}
    rounds = [
        row.model_copy(update={"arm": member.names[row.arm]})
        for member, part in parts
        for row in part.rounds
    ]
    teachers = ", ".join(dict.fromkeys(part.teacher for _, part in parts))
    return {"tailored": parts[0][1].model_copy(update={"teacher": teachers, "rounds": rounds})}


def _notices(members: Sequence[Member], same_validation: bool, left_out: Sequence[str]) -> str:
    notices = [f"{m.label}: {m.run.notice}" for m in members if m.run.notice]
    if left_out:
        sets = f"test set{'s' if len(left_out) > 1 else ''} {', '.join(left_out)}"
        notices.append(f"Left out: the further {sets}; not every run has kept the same questions.")
    if not same_validation:
        notices.append(
            "The runs have different validation questions, so their curves and their choice of "
            "a best student do not compare: they are left out."
        )
    if not times_compare([member.run for member in members]):
        notices.append(
            "The runs were made on different machines, or on unknown ones: times do not compare."
        )
    return " ".join(notices)


def _shown(members: Sequence[Member], results: Results, notice: str) -> ShownRun:
    pages = [shown_run(member.run) for member in members]
    arms = [arm for page in pages for arm in page.arms]
    return ShownRun(
        folder=members[0].run.folder,
        results=results,
        problems=pages[0].problems,
        gold=next((page.gold for page in pages if page.gold), {}),
        arms=[replace(arm, result=result) for arm, result in zip(arms, results.arms, strict=True)],
        notice=notice,
        members=[member.run for member in members],
    )
