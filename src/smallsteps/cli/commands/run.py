"""Options of `smallsteps demo`, `compare`, `run` and `recipes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from smallsteps.cli.options import (
    Columns,
    Device,
    DryRun,
    RunFolder,
    TaskName,
    Threads,
    column_names,
    number,
)

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="ARM@SEED",
        help="Make this arm at this seed alone, such as direct@0; may be repeated. The process "
        "that makes the last arm compares all.",
    ),
]


def demo(
    out: RunFolder = Path("runs/demo"), threads: Threads = None, dry_run: DryRun = False
) -> None:
    """Compare four ways to teach on the bundled word problems, in minutes on two cores."""
    from smallsteps.cli.running import Execution, run_recipe

    run_recipe("demo", [], out, Execution(threads), dry_run)


def compare(
    chains: Annotated[
        str,
        typer.Argument(
            help="Chains of thought: JSONL of id, question, rationale, answer; or hub:NAME:SPLIT."
        ),
    ],
    student: Annotated[
        str,
        typer.Option(
            "--student",
            help="Hugging Face model: a folder, a run folder (its best student), a hub name, a "
            "GGUF file, `bundled`, `bundled-causal` or `smollm2`.",
        ),
    ],
    out: RunFolder = None,
    task: TaskName = "numbers",
    arms: Annotated[
        str,
        typer.Option(
            "--arms",
            help="Arms, separated by commas: base, base-fewshot, answer-only, direct, "
            "direct-report, self-training, and ases-PATH-CUT (PATH: uni, cue, dual; CUT: inter, "
            "ent, ent*, loss, bleu, rouge, gold, chunks). `smallsteps recipes --arms` explains "
            "them.",
        ),
    ] = "base,answer-only,direct,ases-uni-rouge,ases-uni-ent",
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget",
            min=1,
            help="Training tokens of each arm, source + target. "
            "Default: what --passes cost the arm `direct`.",
        ),
    ] = None,
    passes: Annotated[
        float,
        typer.Option(
            "--passes",
            callback=number(0, above=True),
            help="Passes over the chains that set the default budget.",
        ),
    ] = 20.0,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=1000, help="Number of training seeds.")
    ] = 1,
    feedback: Annotated[
        list[str] | None,
        typer.Option(
            "--feedback",
            help="File of feedback on chains of training questions: edited and right chains are "
            "learnt from.",
        ),
    ] = None,
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set a key of the recipe, such as train.learning_rate=1e-3."),
    ] = None,
    only: Only = None,
    dry_run: DryRun = False,
) -> None:
    """Train and compare arms on your data at equal cost, and keep the best student."""
    from smallsteps.cli.running import Execution, compare_file

    named = Path(student).name if Path(student).is_dir() else student
    content: dict[str, Any] = {
        "title": f"{Path(chains).name} with {named}",
        "arms": [arm.strip() for arm in arms.split(",") if arm.strip()],
        "seeds": list(range(seeds)),
        "data": {
            "chains": chains,
            "task": task,
            "columns": column_names(columns),
            "feedback": feedback or None,
        },
        "student": {"name": student, "device": device},
        "train": {"budget": budget, "passes": passes},
    }
    compare_file(content, settings or [], out, Execution(threads, tuple(only or ())), dry_run)


def run(
    recipe: Annotated[
        str,
        typer.Argument(help="Name of a bundled recipe (demo, as-es/gsm8k, …), or a YAML file."),
    ],
    out: RunFolder = None,
    changes: Annotated[
        list[str] | None,
        typer.Argument(help="Changes as key=value, such as data.chains=my.jsonl."),
    ] = None,
    threads: Threads = None,
    only: Only = None,
    dry_run: DryRun = False,
) -> None:
    """Run a recipe, or continue its run where it stopped."""
    from smallsteps.cli.running import Execution, run_recipe

    run_recipe(recipe, changes or [], out, Execution(threads, tuple(only or ())), dry_run)


def recipes(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a recipe, for editors.")
    ] = False,
    arms: Annotated[bool, typer.Option("--arms", help="List all arms, and what each is.")] = False,
) -> None:
    """List the bundled recipes."""
    from smallsteps.cli.running import list_arms, list_recipes, print_schema

    if schema and arms:
        raise typer.BadParameter("--schema and --arms exclude each other.")
    if schema:
        print_schema()
    elif arms:
        list_arms()
    else:
        list_recipes()
