"""The rounds of tailored learning in the run folder: exam → lessons → training → exam → ...; each
step is a stage that is made once.

    start/seed<k>/round-0/               the untrained student, for every arm
    start/lessons/                       T_0, bought once for all arms and seeds
    start/seed<k>/round-1-<contrast>/    the first trained student, for arms that learn the same
    arms/<arm>-seed<k>/round-<r>/        the student of round r >= 2
        training/                        checkpoints, curves, trained.json
        exam/, validation/, test/        what it writes (`exam_stages.py`)
    arms/<arm>-seed<k>/lessons-<r>/      the teacher's replies (`teacher_replies.py`)

What the arms are is in `method.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from smallsteps import team
from smallsteps.errors import RecipeError
from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import label_of
from smallsteps.experiment.trained import Trained
from smallsteps.methods.tailored.config import PREFIX, TailoredSettings
from smallsteps.methods.tailored.exam import Paper
from smallsteps.methods.tailored.exam_stages import Examinee, ExamStages
from smallsteps.methods.tailored.method import (
    WITHOUT_CONTRAST,
    RoundMaterial,
    RoundReply,
    collected,
    rationale_of,
    stop_reason,
    train,
    with_people,
    with_rejected,
)
from smallsteps.methods.tailored.teacher_replies import TeacherReplies
from smallsteps.records import Chain, Prediction
from smallsteps.students.loading import load_student
from smallsteps.teaching.lessons import Teacher


@dataclass(frozen=True)
class Round:
    """A student and what it wrote: the untrained student (number 0), or the student after `number`
    trainings."""

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
    """The replies that were bought to train it; empty for the untrained student."""

    @property
    def teacher_tokens(self) -> int:
        return sum(reply.tokens for reply in self.replies)


@dataclass
class Rounds:
    """Everything from which the rounds of this method's arms are made."""

    lab: Lab
    settings: TailoredSettings
    teacher: Teacher
    _full: dict[int, list[Round]] = field(default_factory=dict)
    """Seed → rounds of `full`."""

    @cached_property
    def replies(self) -> TeacherReplies:
        return TeacherReplies(self.lab, self.settings, self.teacher)

    @cached_property
    def exams(self) -> ExamStages:
        return ExamStages(self.lab, self.settings)

    def check_student(self) -> None:
        """Raises RecipeError where the recipe asks for demonstrations and the student cannot read
        them."""
        if not self.settings.demonstrations:
            return
        student = load_student(self.lab.base_folder, device="cpu")
        if student.architecture != "causal":
            raise RecipeError(
                f"tailored.demonstrations is {self.settings.demonstrations}, but "
                f"{self.lab.recipe.student.name} is an encoder-decoder: demonstrations are for "
                "causal students. Set it to 0, or name a causal student."
            )

    # ---- an arm, round by round ----

    def of_arm(self, arm: str, seed: int) -> list[Round]:
        """The rounds of an arm. All arms but `full` keep to the number of rounds and to the teacher
        tokens of `full` at the same seed."""
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
            newest = self.replies.after_exam(arm, seed, number, finished.papers, replies, allowance)
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
            contrast = self.settings.contrast if self._contrasts(arm, 1) else "plain"
            return f"start/seed{seed}/round-1-{contrast}"
        return f"arms/{PREFIX}{arm}-seed{seed}/round-{number}"

    def _contrasts(self, arm: str, number: int) -> bool:
        """Whether an arm contrasts rationales in the training of round `number`."""
        return arm not in WITHOUT_CONTRAST and (number > 1 or self._positives_at_first)

    @cached_property
    def _positives_at_first(self) -> bool:
        """Whether any question has a second rationale in T_0 and feedback. Where none has, the
        first training has nothing to contrast, and all arms learn the same in it."""
        questions = [reply.problem_id for reply in collected(self.replies.first, self.settings)]
        questions += [chain.problem.id for chain in self.lab.data.feedback.positives]
        return len(set(questions)) < len(questions)

    def _round(
        self,
        arm: str,
        seed: int,
        number: int,
        student: Path | str,
        trained: Trained | None,
        replies: list[RoundReply],
    ) -> Round:
        """The round of a student: its exam, its greedy answers and their scores."""
        place, demonstrations = self.place(arm, seed, number), self.replies.demonstrations
        label = f"{label_of(PREFIX + arm, seed)}, round {number}"
        candidate = Examinee(student, seed, number, label)
        papers = self.exams.papers(candidate, place, demonstrations)
        data = self.lab.data
        scores: dict[str, Score] = {}
        predictions: list[Prediction] = []
        for part, problems in (("validation", list(data.validation)), ("test", list(data.test))):
            predictions = self.exams.predictions(candidate, place, part, problems, demonstrations)
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
            number=number,
            trained=trained,
            papers=papers,
            validation=scores["validation"],
            test=scores["test"],
            predictions=predictions,
            student=student,
            replies=replies,
        )

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
        feedback = self.lab.data.feedback
        negatives: dict[str, Sequence[str]] = {}
        if self._contrasts(arm, number):
            negatives = with_rejected(papers, feedback.wrong_texts())
        material = RoundMaterial(with_people(chains, feedback.positives), negatives)
        restart = self.settings.start == "restart" or number == 1

        def make(folder: Path) -> None:
            label = f"{label_of(PREFIX + arm, seed)}, round {number}"
            job = self.lab.job(seed, folder, label)
            device = self.lab.recipe.student.device
            if restart:
                student = job.base()
            else:
                student = load_student(before, device=device, dtype="float32")
            share = 1 / self.settings.rounds
            if budget is not None:
                job, share = replace(job, budget=budget), 1.0
            demonstrations = self.replies.demonstrations
            trained = train(job, student, material, self.settings, share, demonstrations)
            if team.is_first():
                trained.write(folder)

        place = f"{self.place(arm, seed, number)}/training"
        return Trained.read(self.lab.run.stage(place, make, keep=True))
