"""`smallsteps teach`: who teaches, with which key, store and limits; the rows that come out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from smallsteps.cli.jobs import set_threads
from smallsteps.cli.progress import Terminal
from smallsteps.errors import RecipeError
from smallsteps.generation.budget import Budget, Limits, Prices
from smallsteps.generation.generator import Decoding
from smallsteps.generation.parameters import read_extra_body
from smallsteps.generation.replies import STORE, ReplyStore
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_problems, write_rows
from smallsteps.teaching.open import Access, TeacherSettings, open_teacher
from smallsteps.teaching.teach import lessons_of, summary, teach
from smallsteps.teaching.teachers import PromptedTeacher


def access() -> Access:
    """Base URL and key of the environment."""
    return Access(os.environ.get("OPENAI_BASE_URL") or None, os.environ.get("OPENAI_API_KEY", "").strip() or None)


def teach_file(
    source: Path, out: Path, teacher: str, base_url: str | None, task_name: str, samples: int, retries: int,
    decoding: Decoding, prompt: str, limits: Limits, prices: Prices, store_path: Path | None, concurrency: int,
    timeout: float, patience: float, extra_body: str | None, columns: Mapping[str, str], device: str, threads: int | None,
    dry_run: bool,
) -> None:  # fmt: skip
    """One row for each reply, kept or dropped, in the order of the questions."""
    set_threads(threads)
    extra = read_extra_body(extra_body)
    if samples > 1 and not decoding.temperature:
        raise RecipeError("--samples above 1 needs --temperature above 0; greedy replies are all alike.")
    task = get_task(task_name)
    problems = read_problems(source, task, columns, Terminal().say)
    lessons = lessons_of(problems, samples)
    with closing(ReplyStore(store_path or STORE)) as store, Terminal() as reporter:
        budget = Budget(store, str(out.resolve()), limits, prices)
        settings = TeacherSettings(
            teacher,
            base_url,
            initial=prompt,
            concurrency=concurrency,
            timeout=timeout,
            device=device,
            patience=patience,
            extra_body=extra,
        )
        who = open_teacher(settings, task, decoding, budget, access(), reporter.say)
        if isinstance(who, PromptedTeacher):
            reporter.say(who.forecast(lessons))
        if dry_run:
            return
        taught = teach(
            lessons,
            who,
            task,
            retries,
            lambda done, total: reporter.advance("teaching", done, total, f"{budget.spent.calls} calls"),
        )
        write_rows(out, (one.to_row() for one in taught))
        spent = f"{budget.spent.calls:,} calls, {budget.spent.tokens:,} tokens"
        if prices.input or prices.output:
            spent += f", {prices.of(budget.spent):,.2f} in money"
    print(f"{len(taught):,} rows in {out}; {spent}")
    for line in summary(taught):
        print(line)
