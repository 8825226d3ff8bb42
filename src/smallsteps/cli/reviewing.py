"""`smallsteps review`: opens a file of chains as a page, and writes what a person says of them."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, say
from smallsteps.cli.serving import INSTALL
from smallsteps.errors import RecipeError, counted
from smallsteps.outputs import check_output
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ReviewFiles:
    """Where a person's words go."""

    feedback: Path
    labels: Path


def review_file(source: InputFile, files: ReviewFiles, port: int, dry_run: bool) -> None:
    """Answers the page until Ctrl-C. Raises UserError before that where a file cannot be read or
    written."""
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise RecipeError(f"`smallsteps review` needs {package}: {INSTALL}")
    if files.feedback.resolve() == files.labels.resolve():
        raise RecipeError(f"--labels {files.labels}: the same file as --out. Name another one.")
    check_output(files.feedback, inputs=[source.path])
    check_output(files.labels, "--labels", [source.path, files.feedback])
    get_task(source.task_name)
    from smallsteps.serving.review import Review, review_application
    from smallsteps.serving.server import listening_socket, run_server, url_of

    with Terminal() as reporter:
        task = source.task(reporter.say)
        chains = read_chains(
            source.path, task, source.columns, "keep", allow_wrong=True, say=reporter.say
        ).chains
    review = Review(chains, task, source.path.name, files.feedback, files.labels)
    with listening_socket(LOOPBACK, port) as listening:
        application = review_application(review, lambda line: print(line, file=sys.stderr))
        say(f"{counted(len(chains), 'chain')} at {url_of(listening)}/   Ctrl-C stops")
        say(f"judgements: {files.feedback}   labels: {files.labels}")
        if not dry_run:
            run_server(application, listening)
            say("stopped")
