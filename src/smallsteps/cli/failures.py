"""How a command fails: one line and exit code 2 where the user can fix it, a traceback for a bug of
ours.

Also lets standard output and error print any text, whatever their encoding lacks."""

from __future__ import annotations

import codecs
import io
import os
import sys
import time
import traceback

import typer

from smallsteps import team
from smallsteps.errors import DiskError, SmallstepsError

INTERRUPTED = 130
LET_THE_FIRST_SPEAK = 5.0
"""Seconds that a process of a launch waits before it says why it failed."""
_USAGE_ERROR = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)
"""Base class of errors in the arguments. typer brings its own copy of click."""


def failed(error: Exception) -> int:
    """Prints what went wrong, in one line where the user can fix it, and returns the exit code."""
    if isinstance(error, team.FirstFailed):
        return error.exit_code
    if team.rank() > 0:
        # the first process may say the same, and then this one is stopped meanwhile
        time.sleep(LET_THE_FIRST_SPEAK)
    if isinstance(error, DiskError):  # it may be that of standard output
        _drop_output()
    if isinstance(error, SmallstepsError):
        _print_error(str(error), "error" if error.exit_code == 2 else "internal error")
        return error.exit_code
    if isinstance(error, _USAGE_ERROR):
        if expected := _expected_number(error.__cause__):
            error.message = expected  # type: ignore[attr-defined]
        message = getattr(error, "format_message", error.__str__)().strip()
        command = getattr(getattr(error, "ctx", None), "command_path", "smallsteps")
        if (command, getattr(error, "option_name", None)) == ("smallsteps run", "--set"):
            message = "run takes changes without --set: smallsteps run RECIPE key=value"
        if type(error).__name__ != "NoArgsIsHelpError":  # which has shown the help already
            _print_error(f"{message.rstrip('.')}. See {command} --help")
        return 2
    if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has closed the pipe
        _drop_output()
        return 1
    traceback.print_exc()
    _print_error("please report the lines above", "a bug of smallsteps")
    return 1


def _expected_number(cause: BaseException | None) -> str:
    """The number that an option expected and what was typed, where typer let pydantic read it; else
    an empty text."""
    from pydantic import ValidationError

    if not isinstance(cause, ValidationError):
        return ""
    fault = cause.errors()[0]
    expectation = {
        "int_parsing": "a whole number",
        "int_parsing_size": "a whole number",
        "float_parsing": "a number such as 0.5",
        "greater_than_equal": "a number of at least {ge}",
        "less_than_equal": "a number of at most {le}",
    }.get(fault["type"])
    if expectation is None:
        return ""
    typed = repr(fault["input"])
    typed = typed if len(typed) <= 41 else f"{typed[:40]}…"
    return f"expected {expectation.format(**fault.get('ctx', {}))}, got {typed}"


def _drop_output() -> None:
    """Discards what standard output could not take, so that Python does not try again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(message: str, label: str = "error") -> None:
    from smallsteps.report.visible import visible_line

    coloured = (
        sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )
    shown = typer.style(f"{label}:", fg="red", bold=True) if coloured else f"{label}:"
    typer.echo(f"{shown} {visible_line(message)}", err=True, color=coloured)


def print_anything() -> None:
    """Lets standard output and error print any text: characters that their encoding lacks are
    written as JSON writes them (\\u2013)."""
    codecs.register_error("as-json", _as_json)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="as-json")


def _as_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(
        f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2)
    ), error.end
