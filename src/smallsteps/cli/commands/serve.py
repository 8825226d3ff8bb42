"""Options of `smallsteps serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import Device, Threads, path_of


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Up to four students: folders, run folders (their best students), hub names, "
            "GGUF files, `bundled`, `bundled-causal` or `smollm2`."
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option("--task", help="Task, for models that smallsteps did not train."),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Address to listen at. Any but this machine's own needs --key-env."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8000,
    key_env: Annotated[
        str | None,
        typer.Option(
            "--key-env",
            metavar="VAR",
            help="Demand the key that this environment variable holds.",
        ),
    ] = None,
    feedback: Annotated[
        Path,
        typer.Option(
            "--feedback",
            parser=path_of,
            metavar="PATH",
            help="Append the playground's feedback to this file.",
        ),
    ] = Path("feedback.jsonl"),
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Number of replies to write at once.")
    ] = 64,
    queue: Annotated[
        int,
        typer.Option(
            "--queue", min=0, help="Number of replies that may wait. Further ones are refused: 429."
        ),
    ] = 256,
    dtype: Annotated[
        str,
        typer.Option("--dtype", help="float32, or bfloat16 (faster, nearly the same answers)."),
    ] = "float32",
    device: Device = "auto",
    threads: Threads = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Load the students, print what is served, and stop.")
    ] = False,
) -> None:
    """Serve students to OpenAI clients, with a playground page at `/`."""
    from smallsteps.cli.cpu_threads import Compute
    from smallsteps.cli.serving import ServeOptions, serve_students

    serve_students(
        ServeOptions(
            models,
            Compute(device, threads),
            task,
            host,
            port,
            key_env,
            feedback,
            batch_size,
            queue,
            dtype,
            dry_run,
        )
    )
