"""A server that this process starts for a student's weights, watches and ends.

`minder.py` stands between the two: however this process ends, the server ends too, with all that it
has started, and the weights that it was given are deleted."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from smallsteps.errors import EngineError
from smallsteps.generation import minder
from smallsteps.generation.bodies import one_line

LAST_LINES, LONGEST = 3, 500
"""Lines and characters of a server's output that reach a message."""
LOOKED_AT = 65_536
"""Bytes at the end of the output in which they are looked for."""
_HEADER = re.compile(r"^(\([\w-]+ pid=\d+\) )?([A-Z]+ [\d-]+ [\d:]+ \[[^\]]*\] )?")
"""What vLLM writes before each line: process, level, time, place."""
_ERROR = re.compile(r"([\w.]*(Error|Exception)|.{0,40}\berror): ")
"""How a line begins that names an error."""


class ServerProcess:
    """A running server. Its output goes to `log`."""

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        log: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Starts the command `words`. folder: deleted when the server has ended. log: added to, and
        kept; None: a file that is kept only where the server ends by itself. Raises EngineError
        where the log cannot be written."""
        self.program, self._keeps_log = words[0], log is not None
        if log is None:
            handle, log = tempfile.mkstemp(prefix="smallsteps-server-", suffix=".log")
            os.close(handle)
        self.log = Path(log).expanduser()
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            output = self.log.open("ab")
        except OSError as error:
            raise EngineError(
                f"the server's log {log} cannot be written ({error.strerror}). Name another file."
            ) from None
        with output:
            self._began = output.tell()
            self._minder = subprocess.Popen(
                [sys.executable, minder.__file__, str(folder), *words],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(os.environ) if environment is None else dict(environment),
                start_new_session=True,  # Ctrl-C in a terminal reaches this process alone
            )

    def check(self) -> None:
        """Raises EngineError, with the last lines of the output, where the server has ended."""
        code = self._minder.poll()
        if code is not None:
            self._keeps_log = True
            raise EngineError(f"{self.program} ended with exit code {code}{self.last_lines()}")

    def failed(self) -> None:
        """Keeps the log, whatever it is."""
        self._keeps_log = True

    def last_lines(self) -> str:
        """The end of a message: what the server said last, errors first, and where its log is."""
        with self.log.open("rb") as output:
            size = output.seek(0, os.SEEK_END)
            output.seek(max(self._began, size - LOOKED_AT))
            lines = output.read().decode(errors="replace").splitlines()
        chosen = telling_lines([_HEADER.sub("", line.strip()) for line in lines if line.strip()])
        said = f": {one_line(' | '.join(chosen), LONGEST)}" if chosen else " without a word"
        return f"{said}. Its whole output: {self.log}"

    def stop(self) -> None:
        """Ends the server and waits for its end."""
        assert self._minder.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._minder.stdin.close()
        try:
            self._minder.wait(2 * minder.GRACE)
        except subprocess.TimeoutExpired:
            self._minder.kill()
            self._minder.wait()
        if not self._keeps_log:
            self.log.unlink(missing_ok=True)


def telling_lines(lines: Sequence[str]) -> list[str]:
    """Of a server's output the first error and the last one, which often only says that there was a
    first one; of each also what is said below it. Without errors the last lines.

    >>> telling_lines(["up", "ValueError: bad", "no room", "Traceback", "RuntimeError: see above"])
    ['ValueError: bad', 'no room', 'RuntimeError: see above']
    >>> telling_lines(["a", "b", "c", "d"])
    ['b', 'c', 'd']
    """
    errors = [place for place, line in enumerate(lines) if _ERROR.match(line)]
    if not errors:
        return list(lines[-LAST_LINES:])
    pairs = [lines[place : place + 2] for place in (errors[0], errors[-1])]
    told = [line for pair in pairs for line in pair if not line.startswith("Traceback")]
    return list(dict.fromkeys(told))


def free_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
