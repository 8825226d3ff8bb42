"""`smallsteps teach`: asks a teacher about a file of questions and writes its filtered replies."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.environment import access
from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, say
from smallsteps.errors import RecipeError, TeacherError
from smallsteps.generation.budget import Budget
from smallsteps.generation.replies import ReplyStore
from smallsteps.outputs import check_output
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import read_problems, write_rows
from smallsteps.teaching.filtering import FilteredReply
from smallsteps.teaching.lessons import lessons_for
from smallsteps.teaching.open_teacher import open_teacher
from smallsteps.teaching.settings import TeacherSettings
from smallsteps.teaching.summary import summary_lines, why_no_reply_came, why_none_was_kept
from smallsteps.teaching.teach import teach


def teach_file(
    source: InputFile,
    out: Path,
    settings: TeacherSettings,
    samples: int,
    seed: int,
    compute: Compute,
    dry_run: bool,
) -> None:
    """Writes one row per reply, kept or dropped, in the order of the questions. dry_run: prints the
    forecast and stops.

    Raises TeacherError, after the rows are written, where no reply came, or where all were dropped
    for the same reason."""
    inputs: list[str | Path] = [source.path, settings.name, settings.initial]
    check_output(out, inputs=inputs)
    check_output(settings.store_path, "--store", inputs=[*inputs, out])
    compute.start()
    if samples > 1 and not settings.temperature:
        raise RecipeError(
            "--samples above 1 needs --temperature above 0: greedy replies are all the same."
        )
    with Terminal() as reporter:
        task = source.task(reporter.say)
        problems = read_problems(source.path, task, source.columns, reporter.say)
        lessons = lessons_for(problems, samples)
        with closing(ReplyStore(settings.store_path)) as store:
            budget = Budget(store, str(out.resolve()), settings)
            teacher = open_teacher(
                settings,
                task,
                budget,
                access(),
                reporter.say,
                device=compute.device,
                seed=seed,
            )
            reporter.say(teacher.forecast(lessons))
            if dry_run:
                return

            def show(done: int, total: int) -> None:
                reporter.advance("teaching", done, total, f"{budget.spent.calls} calls")

            replies = teach(lessons, teacher, task, settings.retries, show)
            write_rows(out, (reply.to_row() for reply in replies))
            cost = _cost(budget, settings)
    say(f"{len(replies):,} rows in {out}; {cost}")
    for line in summary_lines(replies):
        say(line)
    _check_result(replies, task, out)


def _cost(budget: Budget, settings: TeacherSettings) -> str:
    spent = budget.spent
    cost = f"{spent.calls:,} calls, {spent.tokens:,} tokens"
    if settings.price_in or settings.price_out:
        cost += f", {budget.money(spent):,.2f} in money"
    return cost


def _check_result(replies: Sequence[FilteredReply], task: Task, out: Path) -> None:
    """Raises TeacherError where no reply came, or where all were dropped for the same reason."""
    if error := why_no_reply_came(replies):
        raise TeacherError(
            f"no reply came: all {len(replies):,} requests failed. The first error: {error}. "
            f"Each row of {out} holds its error."
        )
    if advice := why_none_was_kept(replies, task):
        raise TeacherError(f"{advice} Each row of {out} holds its reply.")
