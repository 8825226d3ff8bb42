"""Options that several commands share, and the checks of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer


def number(low: float, above: bool = False) -> Callable[[Any], Any]:
    """A check of an option: finite numbers from `low` (above: not `low` itself). None passes."""

    def check(value: Any) -> Any:
        for part in value if isinstance(value, tuple) else () if value is None else (value,):
            if not (math.isfinite(part) and (part > low if above else part >= low)):
                want = f"above {low:g}" if above else f"of at least {low:g}"
                raise typer.BadParameter(f"{part:g}, expected a finite number {want}.")
        return value

    return check


def path_of(text: str | Path) -> Path:
    """The path of an option. Its `~` is the home folder: a shell leaves it in `--out=~/x`, and
    nobody wants a folder `~`. Nothing is no path, though Python reads it as this folder."""
    if not str(text).strip():
        raise typer.BadParameter("is empty. Name a file or a folder.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise typer.BadParameter(f"{text}: {error}") from None


def _temperature(value: float) -> float:
    from smallsteps.generation.generator import check_temperature

    return check_temperature(value, "--temperature")


Out = Annotated[
    Path,
    typer.Option(
        "--out", parser=path_of, metavar="PATH", help="Folder (run) or file (rows) to write."
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns", help="OUR=THEIRS where the file's field names differ, e.g. rationale=cot."
    ),
]
TaskName = Annotated[
    str,
    typer.Option(
        "--task",
        help="numbers, text, gsm8k, svamp, asdiv, multiarith, commonsenseqa, strategyqa, pet, stories, facts, hotpotqa, "
        "2wikimultihopqa; with -gold: supporting paragraphs only; with -zh, -de, ...: in that language (else guessed).",
    ),
]
MaxCalls = Annotated[
    int | None, typer.Option("--max-calls", min=0, help="Calls that may be sent, retries included.")
]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens-total", min=0, help="Tokens that may be read and written."),
]
MaxMoney = Annotated[
    float | None, typer.Option("--max-money", callback=number(0), help="Needs --price.")
]
Price = Annotated[
    tuple[float, float],
    typer.Option(
        "--price", callback=number(0), help="INPUT OUTPUT per million tokens, in any currency."
    ),
]
Concurrency = Annotated[
    int, typer.Option("--concurrency", min=1, max=10_000, help="Calls under way at once.")
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", callback=number(0, above=True), help="Seconds for one call in all."),
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience",
        callback=number(0),
        help="Seconds for which a server may be too busy before the job ends.",
    ),
]
ExtraBody = Annotated[
    str | None,
    typer.Option(
        "--extra-body",
        help="JSON of further parameters of each request; null takes one out that is sent otherwise.",
    ),
]
ThinkingPolicy = Annotated[
    str,
    typer.Option(
        "--thinking",
        help="Of a reply with a thought, take: drop (what follows it), keep (both), only (the thought).",
    ),
]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        parser=path_of,
        metavar="PATH",
        help="Where paid replies are kept; default ~/.smallsteps/replies.sqlite.",
    ),
]
Forecast = Annotated[bool, typer.Option("--dry-run", help="Print the forecast and stop.")]
Temperature = Annotated[
    float, typer.Option("--temperature", callback=_temperature, help="0: greedy.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        help="CPU threads; the same number gives the same weights. Default: the fastest, measured briefly.",
    ),
]
