"""`smallsteps teach`: who teaches, with which key, store and limits; the rows that come out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from smallsteps.cli.cpu_threads import set_threads
from smallsteps.cli.environment import access
from smallsteps.cli.progress import Terminal, say
from smallsteps.devices import check_device
from smallsteps.errors import RecipeError, TeacherError
from smallsteps.generation.budget import Budget
from smallsteps.generation.replies import ReplyStore
from smallsteps.outputs import check_output
from smallsteps.tasks.files import read_problems, write_rows
from smallsteps.tasks.spoken import task_for
from smallsteps.teaching.lessons import lessons_for
from smallsteps.teaching.open import open_teacher
from smallsteps.teaching.settings import TeacherSettings
from smallsteps.teaching.summary import summary_lines, why_no_reply_came, why_none_was_kept
from smallsteps.teaching.teach import teach


def teach_file(
    source: Path,
    out: Path,
    settings: TeacherSettings,
    task_name: str,
    samples: int,
    columns: Mapping[str, str],
    *,
    device: str,
    seed: int,
    threads: int | None,
    dry_run: bool,
) -> None:
    """One row for each reply, kept or dropped, in the order of the questions.

    Raises TeacherError, once the rows are written, where not one reply came, or all were dropped
    for one reason."""
    store = settings.store_path
    check_output(out, inputs=[source, settings.name, settings.initial])
    check_output(store, "--store", inputs=[source, out, settings.name, settings.initial])
    check_device(device)
    set_threads(threads)
    if samples > 1 and not settings.temperature:
        raise RecipeError(
            "--samples above 1 needs --temperature above 0; greedy replies are all alike."
        )
    with Terminal() as reporter:
        task = task_for(task_name, [source], columns, say=reporter.say)
        problems = read_problems(source, task, columns, reporter.say)
        lessons = lessons_for(problems, samples)
        with closing(ReplyStore(store)) as replies:
            budget = Budget(replies, str(out.resolve()), settings)
            teacher = open_teacher(
                settings, task, budget, access(), reporter.say, device=device, seed=seed
            )
            reporter.say(teacher.forecast(lessons))
            if dry_run:
                return
            taught = teach(
                lessons,
                teacher,
                task,
                settings.retries,
                lambda done, total: reporter.advance(
                    "teaching", done, total, f"{budget.spent.calls} calls"
                ),
            )
            write_rows(out, (reply.to_row() for reply in taught))
            spent = budget.spent
    cost = f"{spent.calls:,} calls, {spent.tokens:,} tokens"
    if settings.price_in or settings.price_out:
        cost += f", {budget.money(spent):,.2f} in money"
    say(f"{len(taught):,} rows in {out}; {cost}")
    for line in summary_lines(taught):
        say(line)
    if reason := why_no_reply_came(taught):
        raise TeacherError(
            f"no reply came: {len(taught):,} of {len(taught):,} requests failed, first of all: {reason}. Each row of {out} says why."
        )
    if advice := why_none_was_kept(taught, task):
        raise TeacherError(f"{advice} Each row of {out} holds its reply.")
