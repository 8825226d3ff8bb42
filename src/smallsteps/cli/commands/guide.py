"""Options of `smallsteps guide`."""

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
    Threads,
    column_names,
)
from smallsteps.methods.guided.config import ReaderSettings
from smallsteps.quality.settings import JudgeSettings

JUDGE = OptionGroup(
    JudgeSettings,
    {
        "name": Annotated[
            str,
            typer.Option(
                "--judge",
                help="Measures factuality for --min-factuality: lexical, a natural-language "
                "inference model, endpoint:MODEL or local:FOLDER. Limits count its calls too.",
            ),
        ],
        "base_url": Annotated[
            str | None,
            typer.Option("--judge-base-url", help="URL of a judge. Default: that of the reader."),
        ],
        "prompts": Annotated[
            str | None,
            typer.Option(
                "--judge-prompts",
                help="Folder with factuality.txt, the prompt of a chat model that judges.",
            ),
        ],
        "max_new_tokens": Annotated[
            int, typer.Option("--judge-tokens", help="Maximum length of a rating in tokens.")
        ],
    },
)
READER = OptionGroup(
    ReaderSettings,
    {
        "name": Annotated[
            str,
            typer.Option(
                "--reader",
                help="Model that answers: a name at --base-url, a model folder, a GGUF file, or "
                "`smollm2`.",
            ),
        ],
        "guided": Annotated[
            str, typer.Option("--prompt", help="Prompt with a rationale: read, or a file.")
        ],
        "standard": Annotated[
            str,
            typer.Option(
                "--standard",
                help="Prompt without a rationale, for --compare: standard, or a file.",
            ),
        ],
        "max_new_tokens": Annotated[
            int, typer.Option("--answer-tokens", help="Maximum length of an answer in tokens.")
        ],
        **CALL_OPTIONS,
    },
    required=frozenset({"name"}),
    pairs=PRICE_FIELDS,
)


@fill_settings(reader=READER, judge=JUDGE)
def guide(
    questions: Annotated[
        Path, typer.Argument(help="JSONL of id, question, context and, where known, answer.")
    ],
    out: Out,
    guide: Annotated[
        str,
        typer.Option(
            "--guide",
            help="Student that writes rationales: a folder, or a run folder (its best one).",
        ),
    ],
    reader: ReaderSettings,
    judge: JudgeSettings,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also ask the reader without the rationale.")
    ] = False,
    min_factuality: Annotated[
        float | None,
        typer.Option(
            "--min-factuality",
            min=0,
            max=1,
            help="Do not show the reader a rationale of lower factuality: it answers alone then.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="Task. Default: the one stored with --guide, else hotpotqa."),
    ] = None,
    max_new_tokens: Annotated[
        int,
        typer.Option("--max-new-tokens", min=1, help="Maximum length of a rationale in tokens."),
    ] = 160,
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
    dry_run: Forecast = False,
) -> None:
    """Let a small student write the rationales with which a large model answers."""
    from smallsteps.cli.cpu_threads import Compute
    from smallsteps.cli.guiding import (
        Guide,
        GuideOptions,
        guide_file,
        open_gate_options,
        task_name_for,
    )
    from smallsteps.cli.input_file import InputFile
    from smallsteps.cli.progress import Terminal
    from smallsteps.students.run_student import student_place

    guide = student_place(guide, Terminal().say)
    task_name = task_name_for(guide) if task is None else task
    source = InputFile(questions, task_name, column_names(columns))
    student = Guide(guide, max_new_tokens)
    gate = open_gate_options(min_factuality, judge, reader)
    options = GuideOptions(compare, gate, dry_run)
    guide_file(source, out, student, reader, options, Compute(device, threads))
