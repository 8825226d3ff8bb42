"""From the rounds of tailored learning to the records of `results.json`.

An arm's figure is that of the round whose student was best on validation; the test part chooses
nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.experiment.best import Candidate, best_on_validation
from smallsteps.experiment.comparisons import compare_arms
from smallsteps.experiment.page_files import ArmFiles, write_arm_files
from smallsteps.experiment.results import (
    ArmResult,
    BudgetFacts,
    DataFacts,
    Figure,
    Results,
    score_fields,
)
from smallsteps.methods.tailored.exam import Paper, marks
from smallsteps.methods.tailored.method import fate
from smallsteps.methods.tailored.results import RoundResult, TailoredResults
from smallsteps.methods.tailored.rounds import Round, Rounds
from smallsteps.records import Problem

Row = dict[str, Any]


BASELINE = "full"


@dataclass(frozen=True)
class ArmRounds:
    """An arm at one seed."""

    name: str
    seed: int
    rounds: list[Round]

    @property
    def chosen(self) -> Round:
        """The trained student that was best on validation, the earlier of two alike."""
        return max(self.rounds[1:], key=lambda round: (round.validation.value, -round.number))

    @property
    def place(self) -> str:
        return f"arms/{self.name}-seed{self.seed}"


def results(rounds: Rounds, arms: Sequence[ArmRounds]) -> Results:
    """The results of the run, without its command and provenance; writes what the page shows of
    each arm."""
    recipe = rounds.recipe
    for arm in arms:
        _write_page_files(rounds, arm)
    by_name: dict[str, list[ArmRounds]] = {}
    for arm in arms:
        by_name.setdefault(arm.name, []).append(arm)
    compared = compare_arms(
        {name: [arm.chosen.test for arm in seeds] for name, seeds in by_name.items()},
        [(name, BASELINE) for name in by_name if name != BASELINE],
        recipe.seeds,
        resamples=recipe.evaluation.bootstrap,
    )
    tailored = TailoredResults(
        teacher=rounds.teacher.name,
        equal=rounds.words.equal,
        rounds=[result for arm in arms for result in round_results(arm)],
    )
    return Results(
        title=recipe.title,
        about=recipe.about,
        arms=[_arm_result(rounds, arm) for arm in arms],
        **vars(compared),
        data=DataFacts(**rounds.questions.facts),
        budget=BudgetFacts(fair="tokens", tokens=recipe.train.budget),
        best=best_on_validation(
            Candidate(
                arm.name, arm.seed, arm.chosen.validation.value, _within(rounds, arm.chosen.student)
            )
            for arm in arms
        ),
        methods={"tailored": tailored},
    )


def round_results(arm: ArmRounds) -> list[RoundResult]:
    """One for each student of the arm, the untrained one first."""
    results: list[RoundResult] = []
    before: list[Paper] | None = None
    for round in arm.rounds:
        exam = marks(round.papers)
        repaired, broken = (0, 0) if before is None else fate(before, round.papers)
        trained = round.trained
        results.append(
            RoundResult(
                arm=arm.name,
                seed=arm.seed,
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
                calls=len(round.bought),
                kept=sum(reply.dropped is None for reply in round.bought),
                teacher_tokens=round.teacher_tokens,
                train_tokens=0 if trained is None else trained.train_tokens,
                all_tokens=0 if trained is None else trained.all_tokens,
                usable=None if trained is None else _usable(trained.curves),
            )
        )
        before = round.papers
    return results


def fates(rounds: Sequence[Round], problems: Sequence[Problem]) -> list[Row]:
    """What became of each question: right samples and mistakes in each exam, and the rationales
    bought for it."""
    exams = [{paper.id: paper for paper in round.papers} for round in rounds]
    rationales: dict[str, list[Row]] = defaultdict(list)
    for round in rounds:
        for reply in round.bought:
            row = reply.to_row()
            rationales[row.pop("problem_id")].append(row)
    rows = []
    for problem in problems:
        papers = [exam[problem.id] for exam in exams]
        rows.append(
            {
                "problem_id": problem.id,
                "question": problem.question,
                "answer": problem.answer,
                "right": [paper.right for paper in papers],
                "samples": [paper.samples for paper in papers],
                "mistaken": [paper.mistaken for paper in papers],
                "wrong": [paper.wrong[0] if paper.wrong else None for paper in papers],
                "rationales": rationales[problem.id],
            }
        )
    return rows


def _usable(curves: Sequence[Mapping[str, Any]]) -> float | None:
    """Mean share of items with both a right and a wrong rationale, in per cent; None: nothing was
    contrasted."""
    shares = [row["usable"] for row in curves if "usable" in row]
    return round(100 * sum(shares) / len(shares), 1) if shares else None


def _arm_result(rounds: Rounds, arm: ArmRounds) -> ArmResult:
    chosen = arm.chosen
    trained = [round.trained for round in arm.rounds if round.trained is not None]
    answers = len(chosen.predictions)
    return ArmResult(
        name=arm.name,
        method="tailored",
        seed=arm.seed,
        **score_fields(chosen.test),
        round=chosen.number,
        validation=chosen.validation.value,
        train_tokens=sum(training.train_tokens for training in trained),
        all_tokens=sum(training.all_tokens for training in trained),
        passes=round(sum(training.passes for training in trained), 3),
        seconds=round(sum(training.seconds for training in trained), 2),
        seconds_per_answer=round(sum(p.seconds for p in chosen.predictions) / answers, 6),
        tokens_per_answer=round(sum(p.tokens for p in chosen.predictions) / answers, 1),
        teacher_calls=sum(len(round.bought) for round in arm.rounds),
        teacher_tokens=sum(round.teacher_tokens for round in arm.rounds),
        student=_within(rounds, chosen.student),
        folder=arm.place,
    )


def _within(rounds: Rounds, folder: Path | str) -> str:
    return Path(folder).relative_to(rounds.run.path).as_posix()


def _write_page_files(rounds: Rounds, arm: ArmRounds) -> None:
    files = ArmFiles(
        arm.chosen.predictions,
        arm.chosen.test.grades,
        _curves(arm),
        {"fates": fates(arm.rounds, rounds.questions.train)},
    )
    write_arm_files(rounds.run.path / arm.place, files)


def _curves(arm: ArmRounds) -> list[Row]:
    """One curve over all rounds: updates, tokens and seconds go on from the round before."""
    curves: list[Row] = []
    sums = ("update", "tokens", "seconds")
    before: dict[str, Any] = dict.fromkeys(sums, 0)
    for round in arm.rounds:
        for row in [] if round.trained is None else round.trained.curves:
            total = {name: row[name] + before[name] for name in sums if name in row}
            curves.append({**row, **total, "round": round.number})
        before = {name: curves[-1].get(name, 0) if curves else 0 for name in sums}
    return curves
