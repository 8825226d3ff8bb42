"""How a command ends that cannot go on: one line and exit code 2 where the user can fix it, a
traceback for our own bugs.

Also what lets the line be printed at all: streams whose encoding lacks a character.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import traceback

import typer

from smallsteps.errors import SmallstepsError

INTERRUPTED = 130
STORAGE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EFBIG,
    errno.ENAMETOOLONG,
}
"""What a disk may answer at any time: nothing that we could have known, and nothing that we can
mend."""
_USAGE_ERROR = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)


def failed(error: Exception) -> int:
    """Says what went wrong, in one line where the user can fix it; returns the exit code."""
    if isinstance(error, SmallstepsError):
        _complain(str(error), "error" if error.exit_code == 2 else "internal error")
        return error.exit_code
    if isinstance(error, _USAGE_ERROR):
        if told := _number_expected(error.__cause__):
            error.message = told  # type: ignore[attr-defined]
        message = getattr(error, "format_message", error.__str__)().strip()
        command = getattr(getattr(error, "ctx", None), "command_path", "smallsteps")
        if type(error).__name__ != "NoArgsIsHelpError":  # which has shown the help already
            _complain(f"{message.rstrip('.')}. See {command} --help")
        return 2
    if isinstance(error, BrokenPipeError):  # `| head` has seen enough
        _drop_output()
        return 1
    if isinstance(error, OSError) and error.errno in STORAGE:
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        _complain(
            f"{where}{error.strerror}. What was done so far is kept; the same command goes on."
        )
        return 2
    traceback.print_exc()
    _complain("please report the lines above", "a bug of smallsteps")
    return 1


def _number_expected(cause: BaseException | None) -> str:
    """What an option's number should have been, where typer let pydantic read it; else nothing."""
    from pydantic import ValidationError

    if not isinstance(cause, ValidationError):
        return ""
    fault = cause.errors()[0]
    expected = {
        "int_parsing": "a whole number such as 4000",
        "int_parsing_size": "a whole number such as 4000",
        "float_parsing": "a number such as 0.5",
        "greater_than_equal": "a number of at least {ge}",
        "less_than_equal": "a number of at most {le}",
    }.get(fault["type"])
    typed = repr(fault["input"])
    typed = typed if len(typed) <= 41 else f"{typed[:40]}…"
    return (
        ""
        if expected is None
        else f"expected {expected.format(**fault.get('ctx', {}))}, got {typed}"
    )


def _drop_output() -> None:
    """Lets what standard output could not take go, so that Python does not try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, label: str = "error") -> None:
    from smallsteps.report.visible import visible_line

    coloured = (
        sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )
    shown = typer.style(f"{label}:", fg="red", bold=True) if coloured else f"{label}:"
    typer.echo(f"{shown} {visible_line(message)}", err=True, color=coloured)


def print_anything() -> None:
    """Lets standard output and error take any text: what their encoding lacks is written as JSON
    writes it (\\u2013)."""
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
