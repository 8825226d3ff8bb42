"""Options of `smallsteps guide`."""

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
    Store,
    ThinkingPolicy,
    Threads,
    Timeout,
    column_names,
)


def guide(
    questions: Annotated[
        Path, typer.Argument(help="JSONL of id, question, context and, where known, answer.")
    ],
    out: Out,
    guide: Annotated[
        str, typer.Option("--guide", help="Folder of the student that writes rationales.")
    ],
    reader: Annotated[
        str,
        typer.Option(
            "--reader", help="Model that answers: a name at --base-url, or a model folder."
        ),
    ],
    base_url: BaseUrl = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also ask the reader without the rationale.")
    ] = False,
    task: Annotated[
        str | None,
        typer.Option("--task", help="Task. Default: the one stored with --guide, else hotpotqa."),
    ] = None,
    prompt: Annotated[
        str, typer.Option("--prompt", help="Prompt with a rationale: read, or a file.")
    ] = "read",
    standard: Annotated[
        str,
        typer.Option(
            "--standard", help="Prompt without a rationale, for --compare: standard, or a file."
        ),
    ] = "standard",
    max_new_tokens: Annotated[
        int,
        typer.Option("--max-new-tokens", min=1, help="Maximum length of a rationale in tokens."),
    ] = 160,
    answer_tokens: Annotated[
        int, typer.Option("--answer-tokens", min=1, help="Maximum length of an answer in tokens.")
    ] = 32,
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
    """Let a small student write the rationales with which a large model answers."""
    from smallsteps.cli.guiding import guide_file
    from smallsteps.config import read_settings
    from smallsteps.experiment.recipe import ReaderSettings
    from smallsteps.generation.parameters import read_extra_body

    settings = read_settings(
        ReaderSettings,
        {
            "name": reader,
            "guided": prompt,
            "standard": standard,
            "max_new_tokens": answer_tokens,
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
        "guide",
    )
    guide_file(
        questions,
        out,
        guide,
        settings,
        task,
        column_names(columns),
        compare=compare,
        max_new_tokens=max_new_tokens,
        device=device,
        threads=threads,
        dry_run=dry_run,
    )
