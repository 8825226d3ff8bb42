"""From rounds to `results.json` of a tailored run: a row for each round, a row for each arm and
seed, paired tests.

An arm's figure is that of the round whose student was best on validation; the test part chooses
nothing. What the keys mean stands in the docstring of `smallsteps.report.page`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.evaluation.grade import Score, compare_scores, pool_scores
from smallsteps.experiment.best import Candidate, best_on_validation
from smallsteps.methods.as_es.results import comparison_row
from smallsteps.methods.tailored.exam import Paper, marks
from smallsteps.methods.tailored.method import fate
from smallsteps.methods.tailored.rounds import Round, Rounds
from smallsteps.records import Problem
from smallsteps.tasks.files import write_rows

Row = dict[str, Any]


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


def results(rounds: Rounds, arms: Sequence[ArmRounds]) -> Row:
    """The content of results.json, provenance apart; writes what the page shows of each arm."""
    recipe = rounds.recipe
    for arm in arms:
        _write_page_files(rounds, arm)
    by_name: dict[str, list[ArmRounds]] = {}
    for arm in arms:
        by_name.setdefault(arm.name, []).append(arm)
    scores = {name: [own.chosen.test for own in found] for name, found in by_name.items()}
    others = [name for name in by_name if name != "full"]
    resamples = recipe.evaluation.bootstrap
    pooled = {name: pool_scores(own, resamples=resamples) for name, own in scores.items()}
    return {
        "title": recipe.title,
        "about": recipe.about,
        "arms": [_arm_row(rounds, arm) for arm in arms],
        "rounds": [row for arm in arms for row in round_rows(arm)],
        "comparisons": [
            {"arm": name, "against": "full", "seed": seed, **_difference(theirs, mine, resamples)}
            for name in others
            for seed, theirs, mine in zip(recipe.seeds, scores[name], scores["full"], strict=True)
        ],
        "pooled": []
        if len(recipe.seeds) == 1
        else [
            *({"name": name, **score.to_row()} for name, score in pooled.items()),
            *(
                {
                    "arm": name,
                    "against": "full",
                    **_difference(pooled[name], pooled["full"], resamples),
                }
                for name in others
            ),
        ],
        "data": rounds.questions.facts,
        "budget": {
            "fair": "tokens",
            "tokens": recipe.train.budget,
            "teacher": rounds.teacher.name,
            "equal": rounds.words.equal,
        },
        "best": best_on_validation(
            Candidate(
                arm.name, arm.seed, arm.chosen.validation.value, _within(rounds, arm.chosen.student)
            )
            for arm in arms
        ),
    }


def _difference(score: Score, baseline: Score, resamples: int) -> Row:
    return comparison_row(compare_scores(score, baseline, resamples=resamples))


def round_rows(arm: ArmRounds) -> list[Row]:
    """A row for each student of the arm, the untrained one first."""
    rows: list[Row] = []
    before: list[Paper] | None = None
    for round in arm.rounds:
        exam = marks(round.papers)
        repaired, broken = (0, 0) if before is None else fate(before, round.papers)
        rows.append(
            {
                "arm": arm.name,
                "seed": arm.seed,
                "round": round.number,
                "exam": exam.accuracy,
                "unfinished": exam.unfinished,
                "unknown": exam.unknown,
                **_figure("validation", round.validation),
                **_figure("test", round.test),
                "mistakes": sum(paper.mistaken for paper in round.papers),
                "questions": exam.questions,
                "repaired": repaired,
                "broken": broken,
                "calls": len(round.bought),
                "kept": sum(one.dropped is None for one in round.bought),
                "teacher_tokens": round.teacher_tokens,
                "train_tokens": 0 if round.trained is None else round.trained.train_tokens,
                "all_tokens": 0 if round.trained is None else round.trained.all_tokens,
                "usable": None if round.trained is None else _usable(round.trained.curves),
            }
        )
        before = round.papers
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def fates(rounds: Sequence[Round], problems: Sequence[Problem]) -> list[Row]:
    """What became of each question: right samples and mistakes in each exam, and the rationales
    bought for it."""
    papers = [{paper.id: paper for paper in round.papers} for round in rounds]
    bought: dict[str, list[Row]] = defaultdict(list)
    for one in (one for round in rounds for one in round.bought):
        bought[one.problem_id].append(
            {name: value for name, value in one.to_row().items() if name != "problem_id"}
        )
    rows = []
    for problem in problems:
        own = [found[problem.id] for found in papers]
        rows.append(
            {
                "problem_id": problem.id,
                "question": problem.question,
                "answer": problem.answer,
                "right": [paper.right for paper in own],
                "samples": [paper.samples for paper in own],
                "mistaken": [paper.mistaken for paper in own],
                "wrong": [paper.wrong[0] if paper.wrong else None for paper in own],
                "rationales": bought[problem.id],
            }
        )
    return rows


def _figure(name: str, score: Score) -> Row:
    return {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}


def _usable(curves: Sequence[Mapping[str, Any]]) -> float | None:
    """Mean share of items with both a right and a wrong rationale, in per cent; None: nothing was
    contrasted."""
    shares = [row["usable"] for row in curves if "usable" in row]
    return round(100 * sum(shares) / len(shares), 1) if shares else None


def _arm_row(rounds: Rounds, arm: ArmRounds) -> Row:
    chosen = arm.chosen
    trained = [round.trained for round in arm.rounds if round.trained is not None]
    return {
        "name": arm.name,
        **chosen.test.to_row(),
        "round": chosen.number,
        "train_tokens": sum(one.train_tokens for one in trained),
        "all_tokens": sum(one.all_tokens for one in trained),
        "passes": round(sum(one.passes for one in trained), 3),
        "seconds": round(sum(one.seconds for one in trained), 2),
        "seconds_per_answer": round(
            sum(p.seconds for p in chosen.predictions) / len(chosen.predictions), 6
        ),
        "tokens_per_answer": round(
            sum(p.tokens for p in chosen.predictions) / len(chosen.predictions), 1
        ),
        "validation": chosen.validation.value,
        "calls": sum(len(one.bought) for one in arm.rounds),
        "teacher_tokens": sum(one.teacher_tokens for one in arm.rounds),
        "student": _within(rounds, chosen.student),
        "folder": arm.place,
    }


def _within(rounds: Rounds, folder: Path | str) -> str:
    return Path(folder).relative_to(rounds.run.path).as_posix()


def _write_page_files(rounds: Rounds, arm: ArmRounds) -> None:
    folder = rounds.run.path / arm.place
    chosen = arm.chosen
    write_rows(folder / "predictions.jsonl", (p.to_row() for p in chosen.predictions))
    write_rows(folder / "grades.jsonl", (grade.to_row() for grade in chosen.test.grades))
    write_rows(folder / "fates.jsonl", fates(arm.rounds, rounds.questions.train))
    curves: list[Row] = []
    sums = ("update", "tokens", "seconds")
    before: dict[str, Any] = dict.fromkeys(sums, 0)
    for round in arm.rounds:  # one curve over all rounds
        own = [] if round.trained is None else round.trained.curves
        for row in own:
            curves.append(
                {**row, **{n: row[n] + before[n] for n in sums if n in row}, "round": round.number}
            )
        before = {name: curves[-1].get(name, 0) if curves else 0 for name in sums}
    write_rows(folder / "curves.jsonl", curves)
