"""The rounds of tailored learning in the run folder: exam → lessons → training → exam → ...; each
step is a stage that is made once.

    start/seed<k>/round-0/               the untrained student, for every arm
    start/lessons/                       T_0, bought once for all arms and seeds
    start/seed<k>/round-1-<contrast>/    the first trained student, for arms that learn the same
    arms/<arm>-seed<k>/round-<r>/        the student of round r >= 2
        training/                        checkpoints, curves, trained.json
        exam/block-<n>/papers.jsonl      exam papers of the training questions, in blocks of stages
        validation/, test/               predictions, greedy
    arms/<arm>-seed<k>/lessons-<r>/      the teacher's replies after round r >= 1, kept and dropped

What the arms are is in `method.py`."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from smallsteps.errors import DataError, RecipeError
from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.data import read_json_lines
from smallsteps.experiment.job import NO_CAP
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import label_of
from smallsteps.experiment.trained import Trained
from smallsteps.generation.generator import Decoding
from smallsteps.methods.tailored.config import PREFIX, TailoredSettings
from smallsteps.methods.tailored.exam import Paper, sit
from smallsteps.methods.tailored.method import (
    WITHOUT_CONTRAST,
    RoundMaterial,
    RoundReply,
    ask_teacher,
    ask_teacher_within,
    collected,
    feedback_lessons,
    first_lessons,
    further_lessons,
    rationale_of,
    stop_reason,
    train,
)
from smallsteps.records import Chain, Prediction, Problem
from smallsteps.segments.examples import SegmentPath
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.files import write_rows
from smallsteps.teaching.lessons import Lesson, Teacher
from smallsteps.teaching.prompted import PromptedTeacher

BLOCK = 500
"""Questions of an exam that are answered before their papers are written."""


@dataclass(frozen=True)
class Round:
    """A student and what it did: the untrained one (number 0), or the one that `number` trainings
    made."""

    number: int
    trained: Trained | None
    papers: list[Paper]
    validation: Score
    test: Score
    predictions: list[Prediction]
    """On the test problems."""
    student: Path | str
    """Its folder."""
    replies: list[RoundReply]
    """What the teacher was asked for to make it; nothing for the untrained one."""

    @property
    def teacher_tokens(self) -> int:
        return sum(reply.tokens for reply in self.replies)


@dataclass
class Rounds:
    """All that the rounds of this method's arms are made from."""

    lab: Lab
    settings: TailoredSettings
    teacher: Teacher
    _full: dict[int, list[Round]] = field(default_factory=dict)
    """Seed → rounds of `full`."""

    # ---- an arm, round by round ----

    def of_arm(self, arm: str, seed: int) -> list[Round]:
        """The rounds of an arm: `full`, or one that keeps to the number of rounds and to the
        teacher tokens of `full` at the same seed."""
        if seed not in self._full:
            self._full[seed] = list(self._rounds("full", seed, None))
        if arm == "full":
            return self._full[seed]
        return list(self._rounds(arm, seed, self._full[seed]))

    def _rounds(self, arm: str, seed: int, full: Sequence[Round] | None) -> Iterator[Round]:
        replies: list[RoundReply] = []
        newest: list[RoundReply] = []
        student: Path | str = self.lab.base_folder
        trained: Trained | None = None
        validation: list[float] = []
        number = 0
        while True:
            finished = self._round(arm, seed, number, student, trained, newest)
            validation.append(finished.validation.value)
            yield finished
            if full is None:
                reason = stop_reason(number, finished.papers, validation, replies, self.settings)
                if reason:
                    label = label_of(PREFIX + arm, seed)
                    self.lab.reporter.say(f"{label}: ends after round {number}: {reason}")
                    return
            elif number + 1 == len(full):
                return
            allowance = None if full is None else full[number + 1].teacher_tokens
            newest = self._lessons(arm, seed, finished, replies, allowance)
            replies += newest
            number += 1
            budget = self._budget(arm, None if full is None else full[number].trained)
            trained = self._trained(arm, seed, number, student, replies, finished.papers, budget)
            student = trained.folder("metric")

    def _budget(self, arm: str, full: Trained | None) -> int | None:
        """Training tokens of an arm without a contrast where arms are equal in all tokens: as many
        as went through the model in this round of `full`. None: the round's share of the budget."""
        if full is None or self.settings.equal == "anchors" or arm not in WITHOUT_CONTRAST:
            return None
        return full.all_tokens

    def place(self, arm: str, seed: int, number: int) -> str:
        """The stage of a round; arms share what is the same for them."""
        if number == 0:
            return f"start/seed{seed}/round-0"
        if number == 1:
            contrast = "plain" if arm in WITHOUT_CONTRAST else self.settings.contrast
            return f"start/seed{seed}/round-1-{contrast}"
        return f"arms/{PREFIX}{arm}-seed{seed}/round-{number}"

    def _round(
        self,
        arm: str,
        seed: int,
        number: int,
        student: Path | str,
        trained: Trained | None,
        replies: list[RoundReply],
    ) -> Round:
        place = self.place(arm, seed, number)
        label = f"{label_of(PREFIX + arm, seed)}, round {number}"
        papers = self._exam(place, seed, number, student, label)
        data = self.lab.data
        scores: dict[str, Score] = {}
        predictions: list[Prediction] = []
        for part, problems in (("validation", data.validation), ("test", data.test)):
            stage, activity = f"{place}/{part}", f"{label}, {part}"
            predictions = self._answers(stage, student, problems, seed, activity)
            scores[part] = grade(
                predictions,
                problems,
                self.lab.task,
                dataset=part,
                seed=seed,
                resamples=self.lab.recipe.evaluation.bootstrap,
            )
        self.lab.reporter.say(f"{label}: {scores['test'].signature()}")
        return Round(
            number,
            trained,
            papers,
            scores["validation"],
            scores["test"],
            predictions,
            student,
            replies,
        )

    # ---- the exam and greedy answers ----

    def _exam(
        self, place: str, seed: int, number: int, student: Path | str, label: str
    ) -> list[Paper]:
        problems, samples = self.lab.data.train, self.settings.samples
        loaded: Student | None = None
        papers: list[Paper] = []
        for start in range(0, len(problems), BLOCK):

            def make(folder: Path, start: int = start) -> None:
                nonlocal loaded
                loaded = loaded or self._load(student)
                written = sit(
                    loaded,
                    problems[start : start + BLOCK],
                    self.lab.task,
                    samples=samples,
                    decoding=Decoding(
                        max_new_tokens=NO_CAP,
                        temperature=self.settings.temperature,
                        top_k=self.settings.top_k,
                        seed=seed * 1000 + number,
                    ),
                    solving=self.lab.job(seed, folder).solving(),
                    progress=lambda count: self.lab.reporter.advance(
                        f"exam {label}", start * samples + count, len(problems) * samples
                    ),
                )
                write_rows(folder / "papers.jsonl", (paper.to_row() for paper in written))

            folder = self.lab.run.stage(f"{place}/exam/block-{start // BLOCK:03}", make)
            papers += [Paper.from_row(row) for row in read_json_lines(folder / "papers.jsonl")]
        return papers

    def _answers(
        self,
        place: str,
        student: Path | str,
        problems: list[Problem],
        seed: int,
        activity: str,
    ) -> list[Prediction]:
        def make(folder: Path) -> None:
            loaded = self._load(student)
            began = time.monotonic()
            predictions = self.lab.job(seed, folder).answers(loaded, problems, activity)
            seconds = round((time.monotonic() - began) / len(problems), 6)
            # the author is named by its place: a run folder may be moved
            signed = (replace(p, seconds=seconds, author=place) for p in predictions)
            write_rows(folder / "predictions.jsonl", (p.to_row() for p in signed))

        folder = self.lab.run.stage(place, make)
        return [Prediction.from_row(row) for row in read_json_lines(folder / "predictions.jsonl")]

    def _load(self, folder: Path | str) -> Student:
        """A student that answers; the untrained one is made ready to write as its path demands."""
        recipe = self.lab.recipe
        student = load_student(folder, device=recipe.student.device, dtype=recipe.evaluation.dtype)
        path: SegmentPath = "uni" if self.settings.segments else "direct"
        return prepare(
            student,
            self.lab.task,
            path=path,
            texts=self.lab.data.texts,
            demonstrations=self.demonstrations,
        )

    # ---- lessons ----

    def _lessons(
        self,
        arm: str,
        seed: int,
        finished: Round,
        replies: Sequence[RoundReply],
        allowance: int | None,
    ) -> list[RoundReply]:
        """The replies asked for after the exam of `finished`, for the training of the next round,
        for at most `allowance` teacher tokens."""
        problems, number = self.lab.data.train, finished.number
        if number == 0:
            return self.first_replies
        if arm == "blind":
            mistaken = {paper.id for paper in finished.papers if paper.mistaken}
            problems = [problem for problem in problems if problem.id in mistaken]

        def ask() -> list[RoundReply]:
            if arm in ("t0-only", "blind"):
                lessons = further_lessons(problems, replies, number, seed, hint=arm == "blind")
            else:
                lessons = iter(feedback_lessons(problems, finished.papers, number, self.settings))
            if allowance is None:
                return self._ask(list(lessons), number)
            return ask_teacher_within(allowance, lessons, self.teacher, self.lab.task, number)

        return self._replies(f"arms/{PREFIX}{arm}-seed{seed}/lessons-{number}", ask)

    def _ask(self, lessons: Sequence[Lesson], number: int) -> list[RoundReply]:
        retries = self.settings.teacher.retries
        return ask_teacher(
            lessons, self.teacher, self.lab.task, number, retries, self._show_progress
        )

    def check_student(self) -> None:
        """Raises RecipeError where the student cannot be shown the demonstrations that the recipe
        asks for."""
        if not self.settings.demonstrations:
            return
        student = load_student(self.lab.base_folder, device="cpu")
        if student.architecture != "causal":
            raise RecipeError(
                f"tailored.demonstrations is {self.settings.demonstrations}, but "
                f"{self.lab.recipe.student.name} is an encoder-decoder: demonstrations are for "
                "causal students. Set it to 0, or name a causal student."
            )

    def ask_first(self) -> None:
        """Buys T_0, for all arms and seeds. Raises DataError where nothing of it is kept: then no
        round can be trained."""
        if not collected(self.first_replies, self.settings):
            raise DataError(
                f"T_0: not one of {len(self.first_replies)} rationales of the teacher "
                f"{self.teacher.name!r} was kept ({_reasons(self.first_replies)}). Try "
                "`smallsteps teach` on a few questions, and change the prompt or the teacher."
            )

    @cached_property
    def first_replies(self) -> list[RoundReply]:
        """T_0."""

        def ask() -> list[RoundReply]:
            problems = self.lab.data.train
            lessons = first_lessons(problems, self.settings)
            if isinstance(self.teacher, PromptedTeacher):
                mistakes = len(problems) * self.settings.mistakes * (self.settings.rounds - 1)
                calls = mistakes * (1 + self.settings.teacher.retries)
                self.lab.reporter.say(f"teacher, T_0: {self.teacher.forecast(lessons)}")
                self.lab.reporter.say(
                    f"teacher, feedback: at most {calls:,} calls for each seed, as many more for "
                    "each arm beside `tailored-full`"
                )
            return self._ask(lessons, 0)

        return self._replies("start/lessons", ask)

    @cached_property
    def demonstrations(self) -> tuple[tuple[str, str], ...]:
        """Worked training questions that stand before every question: (rendered question,
        rationale).

        They are drawn from the right rationales of T_0 by the seed of the split, the same for all
        arms and training seeds."""
        if not self.settings.demonstrations:
            return ()
        problems = {problem.id: problem for problem in self.lab.data.train}
        rationales = {
            reply.problem_id: reply.text
            for reply in self.first_replies
            if reply.dropped is None and reply.text
        }
        rng = random.Random(f"demonstrations/{self.lab.recipe.data.split_seed}")
        count = min(self.settings.demonstrations, len(rationales))
        chosen = rng.sample(sorted(rationales), count)
        return tuple((self.lab.task.render(problems[id]), str(rationales[id])) for id in chosen)

    def _show_progress(self, done: int, total: int) -> None:
        self.lab.reporter.advance("teaching", done, total)

    def _replies(self, place: str, ask: Callable[[], list[RoundReply]]) -> list[RoundReply]:
        """The teacher's replies in a stage, asked for where it is not there yet."""

        def make(folder: Path) -> None:
            write_rows(folder / "replies.jsonl", (reply.to_row() for reply in ask()))

        folder = self.lab.run.stage(place, make)
        rows = read_json_lines(folder / "replies.jsonl")
        replies = [RoundReply.from_row(row) for row in rows]
        kept = sum(reply.dropped is None for reply in replies)
        tokens = sum(reply.tokens for reply in replies)
        self.lab.reporter.say(
            f"{place}: {kept:,} of {len(replies):,} rationales kept, {tokens:,} teacher tokens"
        )
        return replies

    # ---- training ----

    def _trained(
        self,
        arm: str,
        seed: int,
        number: int,
        before: Path | str,
        replies: Sequence[RoundReply],
        papers: Sequence[Paper],
        budget: int | None,
    ) -> Trained:
        """The student of a round, trained within `budget` tokens; None: within the round's share of
        the recipe's budget."""
        problems = {problem.id: problem for problem in self.lab.data.train}
        chains = [
            Chain(problems[reply.problem_id], rationale_of(reply))
            for reply in collected(replies, self.settings)
        ]
        negatives: dict[str, Sequence[str]] = {}
        if arm not in WITHOUT_CONTRAST:
            negatives = {paper.id: paper.wrong for paper in papers if paper.wrong}
        material = RoundMaterial(chains, negatives)
        restart = self.settings.start == "restart" or number == 1

        def make(folder: Path) -> None:
            label = f"{label_of(PREFIX + arm, seed)}, round {number}"
            job = self.lab.job(seed, folder, label)
            device = self.lab.recipe.student.device
            student = (
                job.base() if restart else load_student(before, device=device, dtype="float32")
            )
            share = 1 / self.settings.rounds
            if budget is not None:
                job, share = replace(job, budget=budget), 1.0
            trained = train(job, student, material, self.settings, share, self.demonstrations)
            trained.write(folder)

        place = f"{self.place(arm, seed, number)}/training"
        return Trained.read(self.lab.run.stage(place, make, keep=True))


def _reasons(replies: Sequence[RoundReply]) -> str:
    """Why replies were dropped, with counts."""
    counts = Counter((reply.dropped or "").split(":")[0] for reply in replies)
    return ", ".join(f"{reason}: {count}" for reason, count in counts.items())
