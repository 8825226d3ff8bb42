"""Options of `smallsteps teach`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.option_groups import OptionGroup, fill_settings
from smallsteps.cli.options import (
    CALL_OPTIONS,
    PRICE_FIELDS,
    Columns,
    Device,
    Forecast,
    Out,
    SamplingSeed,
    TaskName,
    Temperature,
    Threads,
    column_names,
)
from smallsteps.teaching.settings import TeacherSettings

TEACHER = OptionGroup(
    TeacherSettings,
    {
        "name": Annotated[
            str,
            typer.Option(
                "--teacher",
                help="Model name at --base-url, local model folder, GGUF file, `smollm2`, JSONL of "
                "replies (id, rationale), or `solver` for the bundled problems.",
            ),
        ],
        "initial": Annotated[
            str,
            typer.Option(
                "--prompt",
                help="initial (shows the question), blind (also shows the gold answer), or a file.",
            ),
        ],
        "retries": Annotated[
            int, typer.Option("--retries", help="Ask again this many times for a dropped reply.")
        ],
        "temperature": Temperature,
        "max_new_tokens": Annotated[
            int, typer.Option("--max-new-tokens", help="Maximum length of a reply in tokens.")
        ],
        **CALL_OPTIONS,
    },
    # A greedy teacher gives the same reply again, so that nothing is gained by asking again. In a
    # recipe, tailored learning samples.
    defaults={"temperature": 0.0, "retries": 0},
    required=frozenset({"name"}),
    pairs=PRICE_FIELDS,
)


@fill_settings(teacher=TEACHER)
def teach(
    questions: Annotated[
        Path,
        typer.Argument(help="JSONL of id, question and, to filter replies by, answer."),
    ],
    out: Out,
    teacher: TeacherSettings,
    task: TaskName = "numbers",
    samples: Annotated[
        int, typer.Option("--samples", min=1, max=1000, help="Rationales per question.")
    ] = 1,
    seed: SamplingSeed = 0,
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
    dry_run: Forecast = False,
) -> None:
    """Ask a teacher for rationales, and keep those whose answer is right."""
    from smallsteps.cli.cpu_threads import Compute
    from smallsteps.cli.input_file import InputFile
    from smallsteps.cli.teaching import teach_file

    source = InputFile(questions, task, column_names(columns))
    teach_file(source, out, teacher, samples, seed, Compute(device, threads), dry_run)
