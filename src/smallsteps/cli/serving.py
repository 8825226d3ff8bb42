"""`smallsteps serve`: checks, loads the students, and answers until Ctrl-C."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.progress import say
from smallsteps.errors import RecipeError
from smallsteps.outputs import check_output
from smallsteps.students.run_student import student_place
from smallsteps.teaching.feedback import read_feedback

MAX_STUDENTS = 4
"""Students that the playground shows side by side."""
LEAST_KEY = 16
"""Characters of a key."""
INSTALL = "pip install 'smallsteps[serve]'"


@dataclass(frozen=True)
class ServeOptions:
    """What `smallsteps serve` was told."""

    models: list[str]
    compute: Compute
    task: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    key_env: str | None = None
    """Name of the environment variable that holds the key."""
    feedback: Path = Path("feedback.jsonl")
    batch_size: int = 64
    queue: int = 256
    dtype: str = "float32"
    dry_run: bool = False
    """Whether to stop before the first request."""


def serve_students(options: ServeOptions) -> None:
    """Loads the students and answers until Ctrl-C. Raises UserError before anything is loaded where
    the extra, the key or an address is missing, or the file of feedback is another file."""
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise RecipeError(f"`smallsteps serve` needs {package}: {INSTALL}")
    if len(options.models) > MAX_STUDENTS:
        raise RecipeError(
            f"{len(options.models)} students: expected at most {MAX_STUDENTS}. "
            "Start a second server for the others: --port 8001"
        )
    key = _key(options.host, options.key_env)
    models = [student_place(model, say) for model in options.models]
    check_output(options.feedback, inputs=models, flag="--feedback")
    if options.feedback.exists() and options.feedback.stat().st_size:
        read_feedback(options.feedback)
    options.compute.start()
    from smallsteps.serving.server import listening_socket, run_server, url_of

    with listening_socket(options.host, options.port) as listening:
        from smallsteps.serving.application import make_application
        from smallsteps.serving.guard import AccessRule
        from smallsteps.serving.served_student import load_served

        students = load_served(
            models,
            task=options.task,
            device=options.compute.device,
            dtype=options.dtype,
            batch_size=options.batch_size,
        )
        application = make_application(
            students,
            access=AccessRule(key, options.host),
            feedback=options.feedback,
            queue_limit=options.queue,
            log=_log,
        )
        for served in students:
            task = f"task {served.task.name}" if served.task else "no task: continues texts"
            say(f"serving {served.id} ({task})")
        url = url_of(listening)
        say(f"playground: {url}/   base URL for clients: {url}/v1   Ctrl-C stops")
        if not options.dry_run:
            run_server(application, listening)
            say("stopped")


def _key(host: str, variable: str | None) -> str | None:
    """The key that clients must send. Raises RecipeError where one is missing or too short."""
    if variable is None:
        if not is_loopback(host):
            raise RecipeError(
                f"--host {host}: other machines could ask. Put a key into an environment variable "
                "and name it: --key-env SMALLSTEPS_KEY"
            )
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise RecipeError(
            f"--key-env {variable}: the environment variable is empty. "
            f"Set it first: export {variable}=$(openssl rand -hex 16)"
        )
    if len(key) < LEAST_KEY or not key.isascii() or not key.isprintable():
        raise RecipeError(
            f"--key-env {variable}: expected a key of at least {LEAST_KEY} ASCII characters. "
            f"Make one: export {variable}=$(openssl rand -hex 16)"
        )
    return key


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _log(line: str) -> None:
    """Prints a line of the log on standard error."""
    print(line, file=sys.stderr, flush=True)
