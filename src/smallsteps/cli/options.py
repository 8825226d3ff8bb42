"""Options that several commands share, and the checks of their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer


def number(low: float, above: bool = False) -> Callable[[Any], Any]:
    """A callback that accepts None and finite numbers of at least `low` (above: greater than it).
    Raises typer.BadParameter."""

    def check(value: Any) -> Any:
        numbers = value if isinstance(value, tuple) else (value,)
        for part in numbers:
            if part is None:
                continue
            is_large_enough = part > low if above else part >= low
            if not math.isfinite(part) or not is_large_enough:
                bound = f"above {low:g}" if above else f"of at least {low:g}"
                raise typer.BadParameter(f"{part:g}, expected a finite number {bound}.")
        return value

    return check


def path_of(text: str | Path) -> Path:
    """The path of an option, with `~` as the home folder: a shell leaves it in `--out=~/x`. Raises
    typer.BadParameter for an empty text, which Python would read as the current folder."""
    if not str(text).strip():
        raise typer.BadParameter("is empty. Name a file or a folder.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise typer.BadParameter(f"{text}: {error}") from None


def column_names(pairs: Sequence[str] | None) -> dict[str, str]:
    """Our field name → the file's, from `OUR=THEIRS` options. Raises RecipeError."""
    from smallsteps.errors import RecipeError

    names: dict[str, str] = {}
    for pair in pairs or ():
        ours, equals, theirs = pair.partition("=")
        if not equals or not theirs:
            raise RecipeError(
                f"--columns {pair}: expected OUR=THEIRS, for example --columns rationale=cot"
            )
        if ours in names:
            raise RecipeError(
                f"--columns names {ours!r} twice, as {names[ours]!r} and {theirs!r}. Keep one."
            )
        names[ours] = theirs
    return names


def _path_text(text: str) -> str:
    return str(path_of(text))


def _json_object(text: str) -> dict[str, Any]:
    from smallsteps.generation.parameters import read_extra_body

    return read_extra_body(text)


def _temperature(value: float) -> float:
    from smallsteps.generation.generator import check_temperature

    return check_temperature(value, "--temperature")


# ---- files ----

Out = Annotated[
    Path,
    typer.Option("--out", parser=path_of, metavar="PATH", help="Write the rows to this file."),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        parser=path_of,
        metavar="PATH",
        help="Write the run to this folder. Not needed with --dry-run.",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        help="OUR=THEIRS, where the file names a field differently, such as rationale=cot.",
    ),
]
TaskName = Annotated[
    str,
    typer.Option(
        "--task",
        help="numbers, text, gsm8k, svamp, asdiv, multiarith, commonsenseqa, strategyqa, pet, "
        "stories, facts, hotpotqa, 2wikimultihopqa. With -gold: only the supporting paragraphs. "
        "With -zh, -de, ...: in that language (default: guessed).",
    ),
]

# ---- generation ----

Temperature = Annotated[
    float,
    typer.Option("--temperature", callback=_temperature, help="Sampling temperature; 0 is greedy."),
]
SamplingSeed = Annotated[
    int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the sampling.")
]

# ---- a served model, and what may be spent on it ----

BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        help="URL of an OpenAI-compatible server. Default: OPENAI_BASE_URL. "
        "OPENAI_API_KEY is only sent to the host of OPENAI_BASE_URL.",
    ),
]
MaxCalls = Annotated[
    int | None, typer.Option("--max-calls", help="Maximum number of calls, retries included.")
]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens-total", help="Maximum number of tokens, read and written."),
]
MaxMoney = Annotated[float | None, typer.Option("--max-money", help="Maximum cost. Needs --price.")]
Price = Annotated[
    tuple[float, float],
    typer.Option("--price", help="INPUT and OUTPUT price per million tokens, in any currency."),
]
Concurrency = Annotated[
    int, typer.Option("--concurrency", help="Number of calls sent at the same time.")
]
Timeout = Annotated[float, typer.Option("--timeout", help="Maximum seconds for one call.")]
Patience = Annotated[
    float,
    typer.Option("--patience", help="Stop after a server has been too busy for this many seconds."),
]
ExtraBody = Annotated[
    dict | None,
    typer.Option(
        "--extra-body",
        parser=_json_object,
        metavar="JSON",
        help="Further parameters of each request, as JSON. null removes a parameter.",
    ),
]
ThinkingPolicy = Annotated[
    str,
    typer.Option(
        "--thinking",
        help="Of a reply with a thought, take what follows it (drop), both (keep), "
        "or the thought (only).",
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        parser=_path_text,
        metavar="PATH",
        help="Keep paid replies in this file. Default: ~/.smallsteps/replies.sqlite.",
    ),
]
CALL_OPTIONS: dict[str, Any] = {
    "base_url": BaseUrl,
    "calls": MaxCalls,
    "tokens": MaxTokens,
    "money": MaxMoney,
    "price": Price,
    "concurrency": Concurrency,
    "timeout": Timeout,
    "patience": Patience,
    "extra_body": ExtraBody,
    "thinking": ThinkingPolicy,
    "store": Store,
}
"""Field of `CallSettings` → its option. `price` fills two fields, see `PRICE_FIELDS`."""
PRICE_FIELDS = {"price": ("price_in", "price_out")}

# ---- how the command runs ----

Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        help="CPU threads. The same number gives the same weights. "
        "Default: the fastest, measured briefly.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the resolved plan with sizes, and stop.")
]
Forecast = Annotated[bool, typer.Option("--dry-run", help="Print the forecast, and stop.")]
