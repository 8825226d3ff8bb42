"""The command `smallsteps`: thin. Each command reads its options, imports what it needs and calls
the Python API.

Exit codes: 0 done, 2 the user can fix it (one clear line, no traceback), 1 a bug, 130 interrupted.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from smallsteps import __version__
from smallsteps.cli.failures import INTERRUPTED, failed, print_anything
from smallsteps.cli.options import (
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
    TaskName,
    Temperature,
    ThinkingPolicy,
    Threads,
    Timeout,
    number,
    path_of,
)

app = typer.Typer(
    name="smallsteps",
    help="Teach small language models to reason step by step, and measure whether it helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"smallsteps {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Out = Path("runs/demo"),
    threads: Threads = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved plan and stop.")
    ] = False,
) -> None:
    """Compare whole chains with segments on the bundled word problems: minutes on two cores."""
    from smallsteps.cli.jobs import run_recipe

    run_recipe("demo", [], out, threads, dry_run)


@app.command()
def compare(
    chains: Annotated[
        str,
        typer.Argument(
            help="Chains of thought: JSONL with id, question, rationale, answer; or hub:NAME:SPLIT."
        ),
    ],
    student: Annotated[
        str, typer.Option("--student", help="A Hugging Face model: folder, hub name, or `bundled`.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Run folder; with --dry-run not needed.")
    ] = None,
    task: TaskName = "numbers",
    arms: Annotated[
        str,
        typer.Option(
            "--arms",
            help="direct, direct-report, ases-{uni,cue,dual}-{inter,ent,ent*,loss,bleu,rouge,gold}.",
        ),
    ] = "direct,ases-uni-inter,ases-uni-ent",
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget",
            min=1,
            help="Training tokens of each arm (source + target). Default: what --passes cost `direct`.",
        ),
    ] = None,
    passes: Annotated[
        float,
        typer.Option(
            "--passes",
            callback=number(0, above=True),
            help="Passes over the chains that set the budget.",
        ),
    ] = 20.0,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=1000, help="How many training seeds.")
    ] = 1,
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value of the recipe, e.g. train.learning_rate=1e-3."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved plan with sizes and stop.")
    ] = False,
) -> None:
    """Train and compare arms on your data at equal cost, and keep the best student."""
    from smallsteps.cli.jobs import compare_file

    content: dict[str, Any] = {
        "title": f"{Path(chains).name} with {student}",
        "arms": [arm.strip() for arm in arms.split(",") if arm.strip()],
        "seeds": list(range(seeds)),
        "data": {"chains": chains, "task": task, "columns": _pairs(columns)},
        "student": {"name": student, "device": device},
        "train": {"budget": budget, "passes": passes},
    }
    compare_file(content, settings or [], out, threads, dry_run)


@app.command()
def run(
    recipe: Annotated[
        str, typer.Argument(help="A bundled recipe's name (demo, as-es/gsm8k, …) or a YAML file.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=path_of, metavar="PATH", help="Run folder; with --dry-run not needed."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Argument(help="key=value changes, e.g. data.chains=my.jsonl.")
    ] = None,
    threads: Threads = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved plan with sizes and stop.")
    ] = False,
) -> None:
    """Run a recipe, or continue it where it stopped."""
    from smallsteps.cli.jobs import run_recipe

    run_recipe(recipe, changes or [], out, threads, dry_run)


@app.command()
def recipes() -> None:
    """List the bundled recipes."""
    from smallsteps.cli.jobs import list_recipes

    list_recipes()


@app.command()
def teach(
    questions: Annotated[
        Path, typer.Argument(help="JSONL with id, question and, to filter by, answer.")
    ],
    teacher: Annotated[
        str,
        typer.Option(
            "--teacher",
            help="A model's name at --base-url, a local model folder, a JSONL of replies (id, rationale), or `solver` for the "
            "bundled problems.",
        ),
    ],
    out: Out,
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            help="OpenAI-compatible; default OPENAI_BASE_URL, to whose host alone OPENAI_API_KEY goes.",
        ),
    ] = None,
    task: TaskName = "numbers",
    samples: Annotated[
        int, typer.Option("--samples", min=1, max=1000, help="Rationales for each question.")
    ] = 1,
    retries: Annotated[
        int,
        typer.Option("--retries", min=0, max=1000, help="More replies for one that was dropped."),
    ] = 0,
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt", help="initial (question alone), blind (shows the gold answer), a file."
        ),
    ] = "initial",
    temperature: Temperature = 0.0,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Of one reply.")
    ] = 512,
    seed: Annotated[int, typer.Option("--seed", help="Of sampling.")] = 0,
    max_calls: MaxCalls = None,
    max_tokens_total: MaxTokens = None,
    max_money: MaxMoney = None,
    price: Price = (0.0, 0.0),
    concurrency: Concurrency = 32,
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
    """Let a teacher write rationales for questions, and keep those whose answer is right."""
    from smallsteps.cli.teaching import teach_file
    from smallsteps.generation.budget import Limits, Prices
    from smallsteps.generation.completion import check_thinking
    from smallsteps.generation.generator import Decoding
    from smallsteps.generation.parameters import read_extra_body
    from smallsteps.teaching.open import TeacherSettings

    settings = TeacherSettings(
        teacher,
        base_url,
        initial=prompt,
        concurrency=concurrency,
        timeout=timeout,
        device=device,
        patience=patience,
        extra_body=read_extra_body(extra_body),
        thinking=check_thinking(thinking),
    )
    teach_file(
        questions,
        out,
        settings,
        Decoding(max_new_tokens, temperature, seed=seed),
        Limits(max_calls, max_tokens_total, max_money),
        Prices(*price),
        store,
        task,
        samples,
        retries,
        _pairs(columns),
        threads,
        dry_run,
    )


@app.command()
def segment(
    chains: Annotated[
        Path, typer.Argument(help="Chains of thought: JSONL with id, question, rationale, answer.")
    ],
    out: Out,
    strategy: Annotated[
        str, typer.Option("--strategy", help="inter, ent, ent*, loss, bleu, rouge, gold.")
    ] = "inter",
    task: TaskName = "numbers",
    student: Annotated[
        str | None,
        typer.Option(
            "--student", help="ent, loss: a trained direct student; ent*: the base student."
        ),
    ] = None,
    beta: Annotated[
        float,
        typer.Option(
            "--beta",
            callback=number(0, above=True),
            help="AS where the score passes beta x the chain's mean.",
        ),
    ] = 1.0,
    closing: Annotated[
        str,
        typer.Option(
            "--closing", help="add: end each chain in its closing sentence; keep: as it is."
        ),
    ] = "add",
    columns: Columns = None,
    device: Device = "auto",
    show: Annotated[int, typer.Option("--show", min=0, help="Chains to show.")] = 5,
) -> None:
    """Cut chains into extractive (ES) and abstractive (AS) segments."""
    from smallsteps.cli.rows import segment_file

    segment_file(chains, out, strategy, task, student, beta, closing, _pairs(columns), device, show)


@app.command()
def solve(
    model: Annotated[str, typer.Argument(help="A student's folder, a hub name, or `bundled`.")],
    question: Annotated[
        str, typer.Argument(help="A question in quotes, or a file of them: JSONL of id, question.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=path_of,
            metavar="PATH",
            help="For a file: where the predictions go; resumes.",
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="Only for a model that smallsteps did not train.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Chains written at once.")
    ] = 64,
    dtype: Annotated[
        str, typer.Option("--dtype", help="float32, or bfloat16: faster, nearly the same.")
    ] = "float32",
    temperature: Temperature = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Of sampling.")] = 0,
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Answer a question, segment by segment, or a file of questions."""
    from smallsteps.cli.solving import names_file, solve_file, solve_question

    if names_file(question):
        solve_file(
            model,
            question,
            out,
            task,
            batch_size,
            dtype,
            temperature,
            seed,
            _pairs(columns),
            device,
            threads,
        )
    else:
        solve_question(model, question, out, task, dtype, temperature, seed, device, threads)


@app.command()
def grade(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="Rows of id and text, or of id and answer: of `smallsteps solve` or any other tool."
        ),
    ],
    gold: Annotated[
        Path, typer.Argument(help="JSONL of id and answer; choices where the task has them.")
    ],
    task: TaskName = "numbers",
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient", help="Read answers off by the rule for teachers and untrained students."
        ),
    ] = False,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            parser=path_of,
            metavar="PATH",
            help="File for one row a prediction, in order: id, answer, correct.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figure as fields.")] = False,
    columns: Columns = None,
) -> None:
    """Grade predictions: print the figure with its interval and its signature."""
    from smallsteps.cli.grading import grade_file

    grade_file(predictions, gold, task, json, _pairs(columns), lenient, rows)


@app.command()
def guide(
    questions: Annotated[
        Path, typer.Argument(help="JSONL of id, question, context; answer where it is known.")
    ],
    out: Out,
    guide: Annotated[
        str, typer.Option("--guide", help="The student that writes rationales: a folder.")
    ],
    reader: Annotated[
        str,
        typer.Option("--reader", help="The model that answers: a name at the URL, or a folder."),
    ],
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            help="OpenAI-compatible; default OPENAI_BASE_URL, to whose host alone OPENAI_API_KEY goes.",
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also ask the reader without the rationale.")
    ] = False,
    task: Annotated[
        str | None,
        typer.Option(
            "--task", help="Default: the task stored in the folder of --guide, else hotpotqa."
        ),
    ] = None,
    prompt: Annotated[
        str, typer.Option("--prompt", help="With a rationale: read, or a file.")
    ] = "read",
    standard: Annotated[
        str, typer.Option("--standard", help="Without one, for --compare: standard, or a file.")
    ] = "standard",
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Of a rationale.")
    ] = 160,
    answer_tokens: Annotated[
        int, typer.Option("--answer-tokens", min=1, help="Of an answer.")
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
    """Let a small student write rationales with which a large model answers."""
    from smallsteps.cli.guiding import guide_file
    from smallsteps.generation.budget import Limits, Prices
    from smallsteps.generation.completion import check_thinking
    from smallsteps.generation.parameters import read_extra_body
    from smallsteps.methods.guided.open import ReaderSettings

    settings = ReaderSettings(
        reader,
        base_url,
        prompt,
        standard,
        max_new_tokens=answer_tokens,
        concurrency=concurrency,
        timeout=timeout,
        device=device,
        patience=patience,
        extra_body=read_extra_body(extra_body),
        thinking=check_thinking(thinking),
    )
    guide_file(
        questions,
        out,
        guide,
        settings,
        Limits(max_calls, max_tokens_total, max_money),
        Prices(*price),
        store,
        compare,
        task,
        max_new_tokens,
        _pairs(columns),
        threads,
        dry_run,
    )


@app.command()
def quality(
    rationales: Annotated[Path, typer.Argument(help="JSONL of question, context, rationale.")],
    out: Out,
    student: Annotated[
        str | None,
        typer.Option("--student", help="A frozen student that says how fluent a rationale is."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference", help="Rows of the same shape: rationales by people or a good teacher."
        ),
    ] = None,
    judge: Annotated[
        str,
        typer.Option(
            "--judge", help="lexical, or a model of natural-language inference: a name or folder."
        ),
    ] = "lexical",
    encoder: Annotated[
        str, typer.Option("--encoder", help="lexical, or a sentence encoder: a name or folder.")
    ] = "lexical",
    task: TaskName = "hotpotqa",
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Score rationales in eight aspects, each from 0 to 1."""
    from smallsteps.cli.quality import quality_file

    quality_file(
        rationales, out, student, reference, judge, encoder, task, _pairs(columns), device, threads
    )


def _pairs(columns: Sequence[str] | None) -> dict[str, str]:
    from smallsteps.errors import RecipeError

    pairs: dict[str, str] = {}
    for column in columns or ():
        ours, found, theirs = column.partition("=")
        if not found or not theirs:
            raise RecipeError(
                f"--columns {column}: expected OUR=THEIRS, for example --columns rationale=cot"
            )
        if ours in pairs:
            raise RecipeError(
                f"--columns names {ours!r} twice, as {pairs[ours]!r} and {theirs!r}. Keep one."
            )
        pairs[ours] = theirs
    return pairs


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    # before torch is loaded: threads that wait for each other sleep, else they block each other on
    # a busy machine
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    print_anything()
    hook, sys.unraisablehook = sys.unraisablehook, _hear_interrupts
    try:
        chosen = None if arguments is None else list(arguments)
        code = app(args=chosen, prog_name="smallsteps", standalone_mode=False)
        sys.stdout.flush()  # a full disk behind it shows now, and not after the exit code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as stop:
        code = stop.code
    except Exception as error:
        code = failed(error)
    finally:
        sys.unraisablehook = hook
    if code == INTERRUPTED:
        typer.echo("\ninterrupted; the same command goes on where it stopped", err=True)
    return code if isinstance(code, int) else 0 if code is None else 1


def _hear_interrupts(ignored: sys.UnraisableHookArgs) -> None:
    """Python swallows a Ctrl-C that comes while some object is being deleted; it is given again."""
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        # a moment later: here it would be swallowed as well
        again = threading.Timer(0.1, _thread.interrupt_main)
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(ignored)


if __name__ == "__main__":
    sys.exit(main())
