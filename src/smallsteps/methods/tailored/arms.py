"""Tailored learning as arms: the rounds of each, and what becomes of them in the results.

An arm's figure is that of the round whose student was best on validation; the test part chooses
nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.experiment.arm import Arm
from smallsteps.experiment.curves import curve_points
from smallsteps.experiment.grading import GradedArm
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import Outcome, label_of, place_of
from smallsteps.experiment.result_record import Figure
from smallsteps.generation.budget import Budget
from smallsteps.generation.replies import ReplyStore
from smallsteps.methods.tailored.config import FULL, PREFIX, TailoredSettings
from smallsteps.methods.tailored.exam import Paper, fate, marks
from smallsteps.methods.tailored.results import RoundResult, TailoredResults
from smallsteps.methods.tailored.rounds import Round, Rounds
from smallsteps.records import Problem
from smallsteps.teaching.lessons import Teacher
from smallsteps.teaching.open_teacher import open_teacher

METHOD = "tailored"


@dataclass(frozen=True)
class TailoredArm:
    """One way of spending the teacher's tokens and learning from its rationales."""

    name: str
    rounds: Rounds
    method: str = METHOD

    def against(self, names: Sequence[str]) -> list[str]:
        return [FULL] if FULL in names else []

    def run(self, lab: Lab, seed: int) -> Outcome:
        rounds = self.rounds.of_arm(self.name.removeprefix(PREFIX), seed)
        chosen = best_round(rounds)
        trained = [round.trained for round in rounds if round.trained is not None]
        curves = joined_curves(rounds)
        label = label_of(self.name, seed)
        student = Path(chosen.student)
        further = lab.further_answers(
            place_of(self.name, seed), student, lambda folder: lab.job(seed, folder, label)
        )
        return Outcome(
            chosen.predictions,
            shown=chosen.predictions,
            student=student,
            validation=chosen.validation.value,
            further=further,
            cost={
                "round": chosen.number,
                "train_tokens": sum(training.train_tokens for training in trained),
                "all_tokens": sum(training.all_tokens for training in trained),
                "passes": round(sum(training.passes for training in trained), 3),
                "seconds": round(sum(training.seconds for training in trained), 3),
                "learning_rate": trained[0].learning_rate,
                "curve": curve_points(curves),
                "teacher_calls": sum(len(round.replies) for round in rounds),
                "teacher_tokens": sum(round.teacher_tokens for round in rounds),
            },
            curves=curves,
            details=lambda score: {"fates": fates(rounds, lab.data.train)},
            detail=rounds,
        )


def best_round(rounds: Sequence[Round]) -> Round:
    """The round whose trained student was best on validation, the earlier of two alike."""
    return max(rounds[1:], key=lambda round: (round.validation.value, -round.number))


def joined_curves(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """One curve over all rounds: updates, tokens, passes and seconds count on."""
    cumulative = ("update", "tokens", "passes", "seconds", "evaluation_seconds")
    curves: list[dict[str, Any]] = []
    before: dict[str, Any] = dict.fromkeys(cumulative, 0)
    for round in rounds:
        for row in [] if round.trained is None else round.trained.curves:
            summed = {name: row[name] + before[name] for name in cumulative if name in row}
            curves.append({**row, **summed, "round": round.number})
        before = {name: curves[-1].get(name, 0) if curves else 0 for name in cumulative}
    return curves


def fates(rounds: Sequence[Round], problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """What became of each question: right samples and mistakes in each exam, and the rationales
    that the teacher wrote for it."""
    papers_by_round = [{paper.id: paper for paper in round.papers} for round in rounds]
    replies: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for round in rounds:
        for reply in round.replies:
            row = reply.to_row()
            replies[row.pop("problem_id")].append(row)
    rows = []
    for problem in problems:
        papers = [by_id[problem.id] for by_id in papers_by_round]
        rows.append(
            {
                "problem_id": problem.id,
                "question": problem.question,
                "answer": problem.answer,
                "right": [paper.right for paper in papers],
                "samples": [paper.samples for paper in papers],
                "mistaken": [paper.mistaken for paper in papers],
                "wrong": [paper.wrong[0] if paper.wrong else None for paper in papers],
                "rationales": replies[problem.id],
            }
        )
    return rows


def round_results(arm: str, seed: int, rounds: Sequence[Round]) -> list[RoundResult]:
    """One for each student of the arm, the untrained one first."""
    results: list[RoundResult] = []
    before: list[Paper] | None = None
    for round in rounds:
        exam = marks(round.papers)
        repaired, broken = (0, 0) if before is None else fate(before, round.papers)
        trained = round.trained
        results.append(
            RoundResult(
                arm=arm,
                seed=seed,
                round=round.number,
                exam=exam.accuracy,
                unfinished=exam.unfinished,
                unknown=exam.unknown,
                validation=Figure.of(round.validation),
                test=Figure.of(round.test),
                mistakes=sum(paper.mistaken for paper in round.papers),
                questions=exam.questions,
                repaired=repaired,
                broken=broken,
                calls=len(round.replies),
                kept=sum(reply.dropped is None for reply in round.replies),
                teacher_tokens=round.teacher_tokens,
                train_tokens=0 if trained is None else trained.train_tokens,
                all_tokens=0 if trained is None else trained.all_tokens,
                usable=None if trained is None else _usable(trained.curves),
            )
        )
        before = round.papers
    return results


def _usable(curves: Sequence[Mapping[str, Any]]) -> float | None:
    """Mean share of items with both a right and a wrong rationale, in per cent; None: nothing was
    contrasted."""
    shares = [row["usable"] for row in curves if "usable" in row]
    return round(100 * sum(shares) / len(shares), 1) if shares else None


@dataclass(frozen=True)
class TailoredRun:
    """The arms of tailored learning in one run."""

    rounds: Rounds

    def arms(self, name: str) -> list[Arm]:
        return [TailoredArm(name, self.rounds)]

    def prepare(self) -> None:
        """Buys T_0 before the first exam, so that a teacher that cannot answer ends the run before
        any work."""
        self.rounds.check_student()
        self.rounds.replies.buy_first()

    def results(self, graded: Sequence[GradedArm]) -> TailoredResults:
        return TailoredResults(
            teacher=self.rounds.teacher.name,
            equal=self.rounds.settings.equal,
            rounds=[
                result
                for arm in graded
                if arm.arm.method == METHOD
                for result in round_results(arm.name, arm.seed, arm.outcome.detail)
            ],
        )


def open_run(lab: Lab, names: Sequence[str]) -> TailoredRun:
    """The arms of tailored learning in this lab; the teacher is opened; no call is made yet."""
    settings = lab.recipe.section(TailoredSettings)
    return TailoredRun(Rounds(lab, settings, _teacher(lab, settings)))


def _teacher(lab: Lab, settings: TailoredSettings) -> Teacher:
    """The teacher, opened; its store of replies is closed with the lab."""
    store = lab.resources.enter_context(closing(ReplyStore(settings.teacher.store_path)))
    budget = Budget(store, str(lab.run.path.resolve()), settings.teacher)
    return open_teacher(
        settings.teacher,
        lab.task,
        budget,
        lab.access,
        lab.reporter.say,
        device=lab.recipe.student.device,
    )
