"""The rounds of tailored learning in the run folder: exam → lessons → training → exam → ..., each a
stage done once.

    start/seed<k>/round-0/               the untrained student: exam, validation, test; the same for every arm
    start/lessons/                       T_0, bought once for all arms and seeds
    start/seed<k>/round-1-<contrast>/    the first trained student; arms that learn the same share it
    arms/<arm>-seed<k>/round-<r>/        the student of round r >= 2
        training/                        checkpoints, curves, trained.json
        exam/block-<n>/papers.jsonl      teaching.exam.Paper of the training questions, in blocks, each a stage
        validation/, test/               predictions, greedy
    arms/<arm>-seed<k>/lessons-<r>/      methods.tailored.Bought of round r >= 1: kept and dropped, with their lineage
    arms/<arm>-seed<k>/fates.jsonl       what became of each question in every exam, and the rationales bought for it

What the arms *are* stands in `tailored.py`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from smallsteps.errors import DataError, RecipeError
from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.arm import NO_CAP, Trained, Workshop
from smallsteps.experiment.data import Questions, read_json_lines
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.recipe import Recipe, TailoredSettings
from smallsteps.experiment.reporter import Reporter
from smallsteps.generation.generator import Decoding
from smallsteps.methods.tailored.exam import Paper, sit
from smallsteps.methods.tailored.method import (
    WITHOUT_CONTRAST,
    Bought,
    Lessons,
    collected,
    feedback_lessons,
    first_lessons,
    further_lessons,
    rationale_of,
    stop_reason,
    taught,
    taught_up_to,
    train,
)
from smallsteps.records import Chain, Prediction, Problem
from smallsteps.segments.examples import SegmentPath
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import write_rows
from smallsteps.teaching.lessons import Teacher
from smallsteps.teaching.prompted import PromptedTeacher

BLOCK = 500
"""Questions of an exam that are answered before their papers are written."""


@dataclass(frozen=True)
class Round:
    """A student and what it did: the untrained one (number 0), or the one that `number` trainings
    made."""

    number: int
    place: str
    """Its folder within the run's."""
    trained: Trained | None
    papers: list[Paper]
    validation: Score
    test: Score
    predictions: list[Prediction]
    """On the test problems."""
    student: Path | str
    """Its folder."""
    bought: list[Bought]
    """What the teacher was asked to make it; nothing for the untrained one."""

    @property
    def teacher_tokens(self) -> int:
        return sum(one.tokens for one in self.bought)


@dataclass
class Rounds:
    """The run folder and all that its rounds are made from."""

    recipe: Recipe
    run: RunFolder
    questions: Questions
    base_folder: Path | str
    teacher: Teacher
    reporter: Reporter

    @property
    def task(self) -> Task:
        return self.questions.task

    @cached_property
    def words(self) -> TailoredSettings:
        assert self.recipe.tailored is not None
        return self.recipe.tailored

    # ---- an arm, round by round ----

    def of_arm(self, arm: str, seed: int, guide: Sequence[Round] | None = None) -> Iterator[Round]:
        """The rounds of an arm. `guide`: those of `full`, whose number and whose teacher tokens the
        others keep to."""
        bought: list[Bought] = []
        fresh: list[Bought] = []
        student: Path | str = self.base_folder
        trained: Trained | None = None
        figures: list[float] = []
        number = 0
        while True:
            done = self._round(arm, seed, number, student, trained, fresh)
            figures.append(done.validation.value)
            yield done
            if guide is None:
                reason = stop_reason(number, done.papers, figures, bought, self.words)
                if reason:
                    self.reporter.say(f"{arm}, seed {seed}: ends after round {number}: {reason}")
                    return
            elif number + 1 == len(guide):
                return
            fresh = self._lessons(
                arm, seed, done, bought, None if guide is None else guide[number + 1].teacher_tokens
            )
            bought += fresh
            number += 1
            allowance = self._allowance(arm, None if guide is None else guide[number].trained)
            trained = self._trained(arm, seed, number, student, bought, done.papers, allowance)
            student = trained.folder("metric")

    def _allowance(self, arm: str, full: Trained | None) -> int | None:
        """Training tokens of an arm without a contrast where arms are equal in all tokens: as many
        as went through the model in this round of `full`. None: the round's share of the budget."""
        if full is None or self.words.equal == "anchors" or arm not in WITHOUT_CONTRAST:
            return None
        return full.all_tokens

    def place(self, arm: str, seed: int, number: int) -> str:
        """Where a round lies; arms share what is the same for them."""
        if number == 0:
            return f"start/seed{seed}/round-0"
        if number == 1:
            return f"start/seed{seed}/round-1-{'plain' if arm in WITHOUT_CONTRAST else self.words.contrast}"
        return f"arms/{arm}-seed{seed}/round-{number}"

    def _round(
        self,
        arm: str,
        seed: int,
        number: int,
        student: Path | str,
        trained: Trained | None,
        bought: list[Bought],
    ) -> Round:
        place = self.place(arm, seed, number)
        told = f"{arm}, seed {seed}, round {number}"
        papers = self._exam(place, seed, number, student, told)
        scores: dict[str, Score] = {}
        predictions: list[Prediction] = []
        for name, problems in (
            ("validation", self.questions.validation),
            ("test", self.questions.test),
        ):
            predictions = self._answers(
                f"{place}/{name}", student, problems, seed, f"{told}, {name}"
            )
            scores[name] = grade(
                predictions,
                problems,
                self.task,
                dataset=name,
                seed=seed,
                resamples=self.recipe.evaluation.bootstrap,
            )
        self.reporter.say(f"{told}: {scores['test'].signature()}")
        return Round(
            number,
            place,
            trained,
            papers,
            **scores,
            predictions=predictions,
            student=student,
            bought=bought,
        )

    # ---- the exam and greedy answers ----

    def _exam(
        self, place: str, seed: int, number: int, student: Path | str, told: str
    ) -> list[Paper]:
        problems = self.questions.train
        loaded: Student | None = None
        papers: list[Paper] = []
        for start in range(0, len(problems), BLOCK):

            def make(folder: Path, start: int = start) -> None:
                nonlocal loaded
                loaded = loaded or self._load(student)
                written = sit(
                    loaded,
                    problems[start : start + BLOCK],
                    self.task,
                    samples=self.words.samples,
                    decoding=Decoding(
                        NO_CAP, self.words.temperature, self.words.top_k, seed=seed * 1000 + number
                    ),
                    solving=self.workshop(folder, seed).solving(),
                    progress=lambda done: self.reporter.advance(
                        f"exam {told}",
                        start * self.words.samples + done,
                        len(problems) * self.words.samples,
                    ),
                )
                write_rows(folder / "papers.jsonl", (paper.to_row() for paper in written))

            folder = self.run.stage(f"{place}/exam/block-{start // BLOCK:03}", make)
            papers += [Paper.from_row(row) for row in read_json_lines(folder / "papers.jsonl")]
        return papers

    def _answers(
        self, place: str, student: Path | str, problems: list[Problem], seed: int, told: str
    ) -> list[Prediction]:
        def make(folder: Path) -> None:
            loaded = self._load(student)
            began = time.monotonic()
            predictions = self.workshop(folder, seed).answers(loaded, problems, told)
            seconds = round((time.monotonic() - began) / len(problems), 6)
            # the author is named by its place: a run folder may be moved
            signed = (replace(p, seconds=seconds, author=place) for p in predictions)
            write_rows(folder / "predictions.jsonl", (p.to_row() for p in signed))

        folder = self.run.stage(place, make)
        return [Prediction.from_row(row) for row in read_json_lines(folder / "predictions.jsonl")]

    def _load(self, folder: Path | str) -> Student:
        """A student that answers; the untrained one is made ready to write as its path wants it."""
        student = load_student(
            folder, device=self.recipe.student.device, dtype=self.recipe.evaluation.dtype
        )
        path: SegmentPath = "uni" if self.words.segments else "direct"
        texts, shown = self.questions.texts, self.demonstrations
        return prepare(student, self.task, path=path, texts=texts, demonstrations=shown)

    # ---- lessons ----

    def _lessons(
        self, arm: str, seed: int, round: Round, bought: Sequence[Bought], allowance: int | None
    ) -> list[Bought]:
        """What is bought after the exam of `round`, for the training of the next, at most for
        `allowance` tokens."""
        problems, number = self.questions.train, round.number
        if number == 0:
            return self._first
        if arm == "blind":
            mistaken = {paper.id for paper in round.papers if paper.mistaken}
            problems = [problem for problem in problems if problem.id in mistaken]
        lessons = (
            further_lessons(problems, bought, number, seed, hint=arm == "blind")
            if arm in ("t0-only", "blind")
            else iter(feedback_lessons(problems, round.papers, number, self.words))
        )

        def ask() -> list[Bought]:
            if allowance is None:
                return taught(
                    list(lessons), self.teacher, self.task, self.words, number, self._progress
                )
            return taught_up_to(allowance, lessons, self.teacher, self.task, self.words, number)

        return self._bought(f"arms/{arm}-seed{seed}/lessons-{number}", ask)

    def check_student(self) -> None:
        """Raises RecipeError where the student cannot be shown the demonstrations that the recipe
        asks for."""
        if not self.words.demonstrations:
            return
        student = load_student(self.base_folder, device="cpu")
        if student.architecture != "causal":
            raise RecipeError(
                f"tailored.demonstrations is {self.words.demonstrations}, but {self.recipe.student.name} is an "
                "encoder-decoder: demonstrations are for causal students. Set it to 0, or name a causal student."
            )

    def ask_first(self) -> None:
        """Buys T_0, for all arms and seeds. Raises DataError where nothing of it is kept: no round
        can be trained, so that no exam is sat for it."""
        if not collected(self._first, self.words):
            raise DataError(
                f"T_0: not one of {len(self._first)} rationales of the teacher {self.teacher.name!r} was kept "
                f"({_reasons(self._first)}). Try `smallsteps teach` on a few questions, and change the prompt or the teacher."
            )

    @cached_property
    def _first(self) -> list[Bought]:
        def ask() -> list[Bought]:
            lessons = first_lessons(self.questions.train, self.words)
            if isinstance(self.teacher, PromptedTeacher):
                most = len(self.questions.train) * self.words.mistakes * (self.words.rounds - 1)
                self.reporter.say(f"teacher, T_0: {self.teacher.forecast(lessons)}")
                self.reporter.say(
                    f"teacher, feedback: at most {most * (1 + self.words.teacher.retries):,} calls for each seed, as many "
                    "more for each arm beside `full`"
                )
            return taught(lessons, self.teacher, self.task, self.words, 0, self._progress)

        return self._bought("start/lessons", ask)

    @cached_property
    def demonstrations(self) -> tuple[tuple[str, str], ...]:
        """Worked training questions that stand before every question: (rendered question,
        rationale), drawn from the right rationales of T_0 by the seed of the split, the same for
        all arms and training seeds."""
        if not self.words.demonstrations:
            return ()
        problems = {problem.id: problem for problem in self.questions.train}
        worked = {
            one.problem_id: one.text for one in self._first if one.dropped is None and one.text
        }
        drawn = random.Random(f"demonstrations/{self.recipe.data.split_seed}")
        chosen = drawn.sample(sorted(worked), min(self.words.demonstrations, len(worked)))
        return tuple((self.task.render(problems[id]), str(worked[id])) for id in chosen)

    def _progress(self, done: int, total: int) -> None:
        self.reporter.advance("teaching", done, total)

    def _bought(self, place: str, ask: Callable[[], list[Bought]]) -> list[Bought]:
        """What was bought in a stage."""

        def make(folder: Path) -> None:
            write_rows(folder / "bought.jsonl", (one.to_row() for one in ask()))

        folder = self.run.stage(place, make)
        found = [Bought.from_row(row) for row in read_json_lines(folder / "bought.jsonl")]
        kept = sum(one.dropped is None for one in found)
        self.reporter.say(
            f"{place}: {kept:,} of {len(found):,} rationales kept, {sum(one.tokens for one in found):,} teacher tokens"
        )
        return found

    # ---- training ----

    def _trained(
        self,
        arm: str,
        seed: int,
        number: int,
        before: Path | str,
        bought: Sequence[Bought],
        papers: Sequence[Paper],
        allowance: int | None,
    ) -> Trained:
        """The student of a round, trained within `allowance` tokens; None: within the round's share
        of the budget."""
        by_id = {problem.id: problem for problem in self.questions.train}
        chosen = collected(bought, self.words)
        lessons = Lessons(
            chains=[Chain(by_id[one.problem_id], rationale_of(one)) for one in chosen],
            negatives={}
            if arm in WITHOUT_CONTRAST
            else {paper.id: paper.wrong for paper in papers if paper.wrong},
        )
        restart = self.words.start == "restart" or number == 1

        def make(folder: Path) -> None:
            workshop = self.workshop(folder, seed, f"{arm}, seed {seed}, round {number}")
            student = (
                workshop.base()
                if restart
                else load_student(before, device=self.recipe.student.device, dtype="float32")
            )
            share = 1 / self.words.rounds
            if allowance is not None:
                workshop, share = replace(workshop, budget=allowance), 1.0
            train(workshop, student, lessons, share, self.demonstrations).write(folder)

        return Trained.read(
            self.run.stage(f"{self.place(arm, seed, number)}/training", make, keep=True)
        )

    def workshop(self, out: Path, seed: int, label: str = "") -> Workshop:
        """What a round works with."""
        limit = self.recipe.train.validation_chains
        return Workshop(
            recipe=self.recipe,
            task=self.task,
            seed=seed,
            out=out,
            base_folder=self.base_folder,
            texts=self.questions.texts,
            budget=self.recipe.train.budget,
            reporter=self.reporter,
            label=label,
            validation_problems=self.questions.validation[:limit],
        )


def _reasons(bought: Sequence[Bought]) -> str:
    counts: dict[str, int] = {}
    for one in bought:
        reason = (one.dropped or "").split(":")[0]
        counts[reason] = counts.get(reason, 0) + 1
    return ", ".join(f"{reason}: {count}" for reason, count in counts.items())
