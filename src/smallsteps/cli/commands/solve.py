"""Options of `smallsteps solve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import (
    Columns,
    Device,
    SamplingSeed,
    Temperature,
    Threads,
    column_names,
    path_of,
)


def solve(
    model: Annotated[
        str,
        typer.Argument(
            help="Student: a folder, a run folder (its best student), a hub name, a GGUF file, "
            "`bundled`, `bundled-causal` or `smollm2`."
        ),
    ],
    question: Annotated[
        str, typer.Argument(help="A question in quotes, or a file: JSONL of id, question.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=path_of,
            metavar="PATH",
            help="Write predictions for a file to this file. Continues an interrupted command.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="Task, for a model that smallsteps did not train."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Number of chains to generate at once.")
    ] = 64,
    dtype: Annotated[
        str,
        typer.Option("--dtype", help="float32, or bfloat16 (faster, nearly the same answers)."),
    ] = "float32",
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="Where answers are written: local, or vllm (a vLLM server that is started for "
            "the student, which must be a causal model).",
        ),
    ] = "local",
    server_command: Annotated[
        str | None,
        typer.Option(
            "--server-command",
            help="Start the server of --engine vllm by this command; {folder} and {port} stand in "
            "it for the student and the port.",
        ),
    ] = None,
    server_url: Annotated[
        str | None,
        typer.Option(
            "--server-url",
            help="Ask a server that runs already and serves this very student, such as "
            "http://127.0.0.1:8000/v1.",
        ),
    ] = None,
    temperature: Temperature = 0.0,
    seed: SamplingSeed = 0,
    columns: Columns = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Answer one question, segment by segment, or a file of questions."""
    from smallsteps.cli.cpu_threads import Compute
    from smallsteps.cli.solving import (
        SolveOptions,
        engine_settings,
        names_file,
        solve_file,
        solve_question,
    )
    from smallsteps.generation.generator import Decoding

    decoding = Decoding(temperature=temperature, seed=seed)
    writing = engine_settings(engine, server_command, server_url)
    writing = writing.changed(batch_size=batch_size)
    options = SolveOptions(model, decoding, Compute(device, threads), out, task, writing, dtype)
    if names_file(question):
        solve_file(question, column_names(columns), options)
    else:
        solve_question(question, options)
