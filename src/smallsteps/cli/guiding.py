"""`smallsteps guide`: a small student writes rationales, a large reader answers with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.environment import access
from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, say
from smallsteps.errors import counted
from smallsteps.evaluation.comparison import compare_scores
from smallsteps.evaluation.grade import grade
from smallsteps.generation.budget import Budget
from smallsteps.generation.generator import Decoding
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.solve import stored_task
from smallsteps.methods.guided.config import ReaderSettings
from smallsteps.methods.guided.method import (
    guided_answers,
    turned,
    unguided_answers,
    write_rationales,
)
from smallsteps.methods.guided.open_reader import open_reader
from smallsteps.methods.guided.rationales import GuidedAnswer, WrittenRationale, predictions_of
from smallsteps.methods.guided.reader import ReaderQuestion, check_task, nothing_read
from smallsteps.outputs import check_output
from smallsteps.records import Problem
from smallsteps.students.loading import load_student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import at, read_problems, write_rows

DEFAULT_TASK = "hotpotqa"
"""The task of a guide that has none stored."""


@dataclass(frozen=True)
class Guide:
    """The student that writes rationales."""

    name: str
    """Folder or hub name."""
    max_new_tokens: int
    """Maximum length of a rationale."""

    def rationales(
        self, problems: Sequence[Problem], task: Task, device: str
    ) -> list[WrittenRationale]:
        """One rationale per problem, in order."""
        sources = [task.render(problem) for problem in problems]
        student = load_student(self.name, device=device)
        student = prepare(student, task, path="direct", texts=sources)
        decoding = Decoding(max_new_tokens=self.max_new_tokens)
        return [samples[0] for samples in write_rationales(student, problems, task, decoding)]


@dataclass(frozen=True)
class _Answers:
    """The reader's answers to the problems of a file."""

    task: Task
    problems: Sequence[Problem]
    guided: Sequence[GuidedAnswer]
    """With rationales."""
    alone: Sequence[GuidedAnswer] | None
    """Without; None: not asked for."""

    def correct(self, outcomes: Sequence[GuidedAnswer]) -> list[bool]:
        """Whether each outcome is a gold answer of its problem."""
        return [
            any(self.task.same(outcome.answer, gold) for gold in self.task.golds(problem))
            for problem, outcome in zip(self.problems, outcomes, strict=True)
        ]

    def rows(self) -> list[dict[str, Any]]:
        """One row per problem, in order."""
        rows: list[dict[str, Any]] = [
            {
                "id": problem.id,
                "question": problem.question,
                "context": problem.context,
                "rationale": outcome.rationale,
                "answer": outcome.answer,
                "read_from": outcome.read_from,
            }
            for problem, outcome in zip(self.problems, self.guided, strict=True)
        ]
        if self.alone is not None:
            for row, outcome in zip(rows, self.alone, strict=True):
                row["answer_without"] = outcome.answer
        self._add_correctness(rows, self.guided, "correct")
        if self.alone is not None:
            self._add_correctness(rows, self.alone, "correct_without")
        return rows

    def _add_correctness(
        self, rows: list[dict[str, Any]], outcomes: Sequence[GuidedAnswer], name: str
    ) -> None:
        corrects = self.correct(outcomes)
        for row, problem, correct in zip(rows, self.problems, corrects, strict=True):
            if problem.answer is not None:
                row[name] = correct

    def score_lines(self) -> Iterator[str]:
        """The scores, and with both kinds of answers their paired comparison. Nothing where a gold
        answer is missing."""
        if any(problem.answer is None for problem in self.problems):
            return
        score = grade(predictions_of(self.guided), self.problems, self.task)
        yield f"guided: {score.signature()}"
        if self.alone is not None:
            without = grade(predictions_of(self.alone), self.problems, self.task)
            yield f"alone: {without.signature()}"
            yield f"guided - alone: {compare_scores(score, without)}"
            changes = turned(self.correct(self.alone), self.correct(self.guided))
            yield ", ".join(f"{change} {count}" for change, count in changes.items())


def guide_file(
    source: InputFile,
    out: Path,
    guide: Guide,
    settings: ReaderSettings,
    compare: bool,
    compute: Compute,
    dry_run: bool,
) -> None:
    """Writes one row per question, in order, and prints scores where gold answers are known.
    compare: also asks the reader without the rationales. dry_run: prints the forecast and stops.

    Raises TeacherError where no reply of the reader could be read."""
    prompts = [settings.guided, settings.standard]
    check_output(out, inputs=[source.path, guide.name, settings.name, *prompts])
    check_output(settings.store_path, "--store", inputs=[source.path, out, *prompts])
    compute.start()
    with Terminal() as reporter:
        task = get_task(source.task_name)
        problems = _read_problems(source, task, reporter)
        with closing(ReplyStore(settings.store_path)) as store:
            budget = Budget(store, str(out.resolve()), settings)
            reader = open_reader(
                settings, task, budget, access(), say=reporter.say, device=compute.device
            ).reader
            without_rationale = [ReaderQuestion(problem) for problem in problems] if compare else []
            questions = [ReaderQuestion(problem, "") for problem in problems] + without_rationale
            reporter.say(f"reader, without the rationales: {reader.forecast(questions)}")
            if dry_run:
                return
            rationales = guide.rationales(problems, task, compute.device)
            reporter.say(f"{guide.name} wrote {counted(len(rationales), 'rationale')}")
            reporter.say(f"asking {settings.name}")
            answers = _Answers(
                task,
                problems,
                guided_answers(problems, rationales, reader),
                unguided_answers(problems, reader) if compare else None,
            )
            spent = budget.spent
    if not any(outcome.answer for outcome in answers.guided):
        raise nothing_read(reader, len(problems))
    write_rows(out, answers.rows())
    cost = f"{counted(spent.calls, 'call')}, {counted(spent.tokens, 'token')}"
    say(f"{counted(len(problems), 'answer')} in {out}; {cost}")
    for line in answers.score_lines():
        say(line)


def task_name_for(guide: str) -> str:
    """The task that the guide was trained for, where it is stored with it; else hotpotqa."""
    stored = stored_task(guide)
    if stored is None:
        return DEFAULT_TASK
    Terminal().say(f"task {stored.name}, as stored with {guide}")
    return stored.name


def _read_problems(source: InputFile, task: Task, reporter: Terminal) -> list[Problem]:
    """The problems of the file. Raises DataError on a row that the task cannot use, before any
    model is loaded."""
    check_task(task)
    problems = read_problems(source.path, task, source.columns, reporter.say)
    with at(str(source.path)):
        for problem in problems:
            task.render(problem)  # raises where the context is missing
        for problem in problems:
            task.golds(problem)  # raises where a further answer is no text
    return problems
