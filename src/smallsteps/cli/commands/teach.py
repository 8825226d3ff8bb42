"""Options of `smallsteps teach`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import (
    BaseUrl,
    Columns,
    Concurrency,
    Device,
    ExtraBody,
    Forecast,
    MaxCalls,
    MaxMoney,
    MaxTokens,
    Out,
    Patience,
    Price,
    SamplingSeed,
    Store,
    TaskName,
    Temperature,
    ThinkingPolicy,
    Threads,
    Timeout,
    column_names,
)


def teach(
    questions: Annotated[
        Path,
        typer.Argument(help="JSONL of id, question and, to filter replies by, answer."),
    ],
    teacher: Annotated[
        str,
        typer.Option(
            "--teacher",
            help="Model name at --base-url, local model folder, JSONL of replies (id, rationale), "
            "or `solver` for the bundled problems.",
        ),
    ],
    out: Out,
    base_url: BaseUrl = None,
    task: TaskName = "numbers",
    samples: Annotated[
        int, typer.Option("--samples", min=1, max=1000, help="Rationales per question.")
    ] = 1,
    retries: Annotated[
        int,
        typer.Option(
            "--retries", min=0, max=1000, help="Ask again this many times for a dropped reply."
        ),
    ] = 0,
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            help="initial (shows the question), blind (also shows the gold answer), or a file.",
        ),
    ] = "initial",
    temperature: Temperature = 0.0,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Maximum length of a reply in tokens.")
    ] = 512,
    seed: SamplingSeed = 0,
    max_calls: MaxCalls = None,
    max_tokens_total: MaxTokens = None,
    max_money: MaxMoney = None,
    price: Price = (0.0, 0.0),
    concurrency: Concurrency = 16,
    timeout: Timeout = 120.0,
    patience: Patience = 900.0,
    extra_body: ExtraBody = None,
    thinking: ThinkingPolicy = "drop",
    store: Store = None,
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
    dry_run: Forecast = False,
) -> None:
    """Ask a teacher for rationales, and keep those whose answer is right."""
    from smallsteps.cli.teaching import teach_file
    from smallsteps.config import read_settings
    from smallsteps.generation.parameters import read_extra_body
    from smallsteps.teaching.settings import TeacherSettings

    settings = read_settings(
        TeacherSettings,
        {
            "name": teacher,
            "initial": prompt,
            "temperature": temperature,
            "max_new_tokens": max_new_tokens,
            "retries": retries,
            "base_url": base_url,
            "calls": max_calls,
            "tokens": max_tokens_total,
            "money": max_money,
            "price_in": price[0],
            "price_out": price[1],
            "store": None if store is None else str(store),
            "concurrency": concurrency,
            "timeout": timeout,
            "patience": patience,
            "extra_body": read_extra_body(extra_body),
            "thinking": thinking,
        },
        "teach",
    )
    teach_file(
        questions,
        out,
        settings,
        task,
        samples,
        column_names(columns),
        device=device,
        seed=seed,
        threads=threads,
        dry_run=dry_run,
    )
