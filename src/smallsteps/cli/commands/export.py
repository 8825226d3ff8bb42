"""Options of `smallsteps export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsteps.cli.options import path_of


def export(
    folder: Annotated[
        str,
        typer.Argument(help="Folder of a student, or of a finished run, whose best one is taken."),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            parser=path_of,
            metavar="DIR",
            help="Write the files to this folder. Left out with --push: upload FOLDER as it is.",
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="hf (transformers), ollama (adds a Modelfile) or vllm (adds the command line).",
        ),
    ] = "hf",
    push: Annotated[
        str | None,
        typer.Option(
            "--push",
            metavar="NAME",
            help="Name on the Hugging Face Hub: OWNER/NAME, or NAME below your own account. Prints "
            "what would be uploaded; --yes uploads it.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Upload what --push names.")] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository on the Hub private.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be written, and stop.")
    ] = False,
) -> None:
    """Export a student for transformers, Ollama, vLLM or the Hugging Face Hub."""
    from smallsteps.cli.exporting import export_folder

    export_folder(folder, to, form, push, yes, private, dry_run)
