"""The teacher's replies in the run folder, each stage bought once.

    start/lessons/replies.jsonl            T_0, for all arms and seeds
    arms/<arm>-seed<k>/lessons-<r>/        the replies after round r >= 1, kept and dropped

Which lessons the teacher gets is in `method.py`."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from smallsteps.errors import DataError
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.stored_data import read_json_lines
from smallsteps.methods.tailored.config import PREFIX, TailoredSettings
from smallsteps.methods.tailored.exam import Paper
from smallsteps.methods.tailored.method import (
    RoundReply,
    ask_teacher,
    ask_teacher_within,
    collected,
    feedback_lessons,
    first_lessons,
    further_lessons,
)
from smallsteps.tasks.files import write_rows
from smallsteps.teaching.lessons import Lesson, Teacher
from smallsteps.teaching.prompted import PromptedTeacher
from smallsteps.teaching.reply_file import FileTeacher


@dataclass
class TeacherReplies:
    """What the teacher writes for the rounds of all arms."""

    lab: Lab
    settings: TailoredSettings
    teacher: Teacher

    # ---- T_0 ----

    def buy_first(self) -> None:
        """Buys T_0, for all arms and seeds. Raises DataError where nothing of it is kept: then no
        round can be trained; and where a second file has nothing for the questions."""
        if isinstance(self.teacher, FileTeacher):
            self._say_what_it_corrects(self.teacher)
        if not collected(self.first, self.settings):
            raise DataError(
                f"T_0: not one of {len(self.first)} rationales of the teacher "
                f"{self.teacher.name!r} was kept ({_reasons(self.first)}). Try "
                "`smallsteps teach` on a few questions, and change the prompt or the teacher."
            )

    def _say_what_it_corrects(self, teacher: FileTeacher) -> None:
        problems = self.lab.data.train
        if not teacher.corrects:
            self.lab.reporter.say(
                f"teacher: {teacher.name} has no row with `attempt`, so it corrects no mistake: "
                "rounds after the first learn from T_0 again. If you have a second file of chains "
                "for these questions, name it in tailored.teacher.corrections"
            )
        elif teacher.corrections:
            count = teacher.correctable(problems)
            file = self.settings.teacher.corrections
            if not count and not any(attempt for _, attempt in teacher.corrections):
                raise DataError(
                    f"tailored.teacher.corrections: {file} has no row for any of the "
                    f"{len(problems):,} training questions. Rows belong to the question whose `id` "
                    f"they have, such as {problems[0].id!r}."
                )
            self.lab.reporter.say(
                f"teacher: mistakes in {count:,} of {len(problems):,} training questions are "
                f"answered by {file}"
            )

    @cached_property
    def first(self) -> list[RoundReply]:
        """T_0."""
        return self._stage("start/lessons", self._ask_first)

    def _ask_first(self) -> list[RoundReply]:
        problems, settings = self.lab.data.train, self.settings
        lessons = first_lessons(problems, settings)
        if isinstance(self.teacher, PromptedTeacher):
            mistakes = len(problems) * settings.mistakes * (settings.rounds - 1)
            calls = mistakes * (1 + settings.teacher.retries)
            self.lab.reporter.say(f"teacher, T_0: {self.teacher.forecast(lessons)}")
            self.lab.reporter.say(
                f"teacher, feedback: at most {calls:,} calls for each seed, as many more for each "
                "arm beside `tailored-full`"
            )
        return self._ask(lessons, 0)

    @cached_property
    def demonstrations(self) -> tuple[tuple[str, str], ...]:
        """Worked training questions that stand before every question: (rendered question,
        rationale).

        The seed of the split draws them from the right rationales of T_0; all arms and training
        seeds have the same."""
        if not self.settings.demonstrations:
            return ()
        problems = {problem.id: problem for problem in self.lab.data.train}
        rationales = {
            reply.problem_id: reply.text
            for reply in self.first
            if reply.dropped is None and reply.text
        }
        rng = random.Random(f"demonstrations/{self.lab.recipe.data.split_seed}")
        count = min(self.settings.demonstrations, len(rationales))
        chosen = rng.sample(sorted(rationales), count)
        return tuple((self.lab.task.render(problems[id]), rationales[id]) for id in chosen)

    # ---- T_r ----

    def after_exam(
        self,
        arm: str,
        seed: int,
        number: int,
        papers: Sequence[Paper],
        earlier: Sequence[RoundReply],
        allowance: int | None,
    ) -> list[RoundReply]:
        """The replies after the exam of round `number`, for the training of the next round.

        `papers`: of that exam; `earlier`: the replies of all rounds before; `allowance`: the
        teacher tokens that they may cost, None: no limit."""
        if number == 0:
            return self.first

        def ask() -> list[RoundReply]:
            problems = self.lab.data.train
            if arm == "blind":
                mistaken = {paper.id for paper in papers if paper.mistaken}
                problems = [problem for problem in problems if problem.id in mistaken]
            if arm in ("t0-only", "blind"):
                lessons = further_lessons(problems, earlier, number, seed, hint=arm == "blind")
            else:
                lessons = iter(feedback_lessons(problems, papers, number, self.settings))
            if allowance is None:
                return self._ask(list(lessons), number)
            turn = len(self.lab.data.train)
            return ask_teacher_within(allowance, lessons, self.teacher, self.lab.task, number, turn)

        return self._stage(f"arms/{PREFIX}{arm}-seed{seed}/lessons-{number}", ask)

    def _ask(self, lessons: Sequence[Lesson], number: int) -> list[RoundReply]:
        return ask_teacher(
            lessons,
            self.teacher,
            self.lab.task,
            number,
            self.settings.teacher.retries,
            lambda done, total: self.lab.reporter.advance("teaching", done, total),
        )

    def _stage(self, place: str, ask: Callable[[], list[RoundReply]]) -> list[RoundReply]:
        """The replies of a stage; `ask` buys them where the stage is not there yet."""

        def make(folder: Path) -> None:
            write_rows(folder / "replies.jsonl", (reply.to_row() for reply in ask()))

        folder = self.lab.run.stage(place, make, alone=True)
        rows = read_json_lines(folder / "replies.jsonl")
        replies = [RoundReply.from_row(row) for row in rows]
        kept = sum(reply.dropped is None for reply in replies)
        tokens = sum(reply.tokens for reply in replies)
        self.lab.reporter.say(
            f"{place}: {kept:,} of {len(replies):,} rationales kept, {tokens:,} teacher tokens"
        )
        return replies


def _reasons(replies: Sequence[RoundReply]) -> str:
    """Why replies were dropped, with counts."""
    counts = Counter((reply.dropped or "").split(":")[0] for reply in replies)
    return ", ".join(f"{reason}: {count}" for reason, count in counts.items())
