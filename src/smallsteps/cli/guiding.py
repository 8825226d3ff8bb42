"""`smallsteps guide`: a student writes, a reader answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from smallsteps.cli.cpu_threads import set_threads
from smallsteps.cli.environment import access
from smallsteps.cli.progress import Terminal, say
from smallsteps.cli.solving import stored_task
from smallsteps.devices import check_device
from smallsteps.errors import counted
from smallsteps.experiment.recipe import ReaderSettings
from smallsteps.generation.budget import Budget
from smallsteps.generation.generator import Decoding
from smallsteps.generation.replies import ReplyStore
from smallsteps.methods.guided.method import Outcome, alone, guided, turned, write
from smallsteps.methods.guided.open import open_reader
from smallsteps.methods.guided.reader import Asked, check_task, nothing_read
from smallsteps.outputs import check_output
from smallsteps.records import Problem
from smallsteps.students.loading import load_student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import at, read_problems, write_rows

UNKNOWN_GUIDE = "hotpotqa"
"""The task of a guide that has none stored."""


def guide_file(
    source: Path,
    out: Path,
    guide: str,
    settings: ReaderSettings,
    task_name: str | None,
    columns: Mapping[str, str],
    *,
    compare: bool,
    max_new_tokens: int,
    device: str,
    threads: int | None,
    dry_run: bool,
) -> None:
    """One row a question, in order; figures where gold answers are known."""
    store = settings.store_path
    prompts = [settings.guided, settings.standard]
    check_output(out, inputs=[source, guide, settings.name, *prompts])
    check_output(store, "--store", inputs=[source, out, *prompts])
    check_device(device)
    set_threads(threads)
    task = _task(guide, task_name)
    check_task(task)
    problems = read_problems(source, task, columns, Terminal().say)
    with at(str(source)):  # a row without context is named before anything is loaded
        sources = [task.render(problem) for problem in problems]
        for problem in problems:
            task.golds(problem)  # and one whose further answers are no texts
    with closing(ReplyStore(store)) as replies, Terminal() as reporter:
        budget = Budget(replies, str(out.resolve()), settings)
        reader = open_reader(
            settings, task, budget, access(), say=reporter.say, device=device
        ).reader
        asked = [Asked(problem, "") for problem in problems] + [
            Asked(problem) for problem in problems if compare
        ]
        reporter.say(f"reader, without the rationales: {reader.forecast(asked)}")
        if dry_run:
            return
        student = prepare(load_student(guide, device=device), task, path="direct", texts=sources)
        reporter.say(f"{guide} writes {counted(len(problems), 'rationale')}")
        written = [own[0] for own in write(student, problems, task, Decoding(max_new_tokens))]
        reporter.say(f"{settings.name} answers")
        outcomes = guided(problems, written, reader)
        bare = alone(problems, reader) if compare else None
        spent = budget.spent
    if not any(one.answer for one in outcomes):
        raise nothing_read(reader, len(outcomes))
    rows = [
        _row(p, one, None if bare is None else bare[n], task)
        for n, (p, one) in enumerate(zip(problems, outcomes, strict=True))
    ]
    write_rows(out, rows)
    say(
        f"{counted(len(rows), 'answer')} in {out}; {counted(spent.calls, 'call')}, {counted(spent.tokens, 'token')}"
    )
    for line in _figures(problems, outcomes, bare, task):
        say(line)


def _task(guide: str, name: str | None) -> Task:
    """The task of that name; without one the task that the guide was trained for, where it is
    known."""
    stored = stored_task(guide) if name is None else None
    if stored is None:
        return get_task(UNKNOWN_GUIDE if name is None else name)
    Terminal().say(f"task {stored.name}, as stored with {guide}")
    return stored


def _row(problem: Problem, one: Outcome, bare: Outcome | None, task: Task) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": problem.id,
        "question": problem.question,
        "context": problem.context,
        "rationale": one.rationale,
        "answer": one.answer,
        "found": one.found,
    }
    if bare is not None:
        row["answer_without"] = bare.answer
    if problem.answer is not None:
        row["correct"] = _right(one, problem, task)
        if bare is not None:
            row["correct_without"] = _right(bare, problem, task)
    return row


def _right(one: Outcome, problem: Problem, task: Task) -> bool:
    return any(task.same(one.answer, gold) for gold in task.golds(problem))


def _figures(
    problems: Sequence[Problem],
    outcomes: Sequence[Outcome],
    bare: Sequence[Outcome] | None,
    task: Task,
) -> list[str]:
    from smallsteps.evaluation.comparison import compare_scores
    from smallsteps.evaluation.grade import grade
    from smallsteps.methods.guide import predictions_of

    if any(problem.answer is None for problem in problems):
        return []
    score = grade(predictions_of(outcomes), problems, task)
    lines = [f"guided: {score.signature()}"]
    if bare is not None:
        without = grade(predictions_of(bare), problems, task)
        own = [_right(one, p, task) for one, p in zip(outcomes, problems, strict=True)]
        before = [_right(one, p, task) for one, p in zip(bare, problems, strict=True)]
        lines += [
            f"alone: {without.signature()}",
            f"guided - alone: {compare_scores(score, without)}",
            ", ".join(f"{name} {count}" for name, count in turned(before, own).items()),
        ]
    return lines
