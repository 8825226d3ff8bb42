"""One pause for all calls to a server that refuses them for a while (429, 503, 529).

The server's `Retry-After` holds where it names one, but at least a second, and at least as long as
a pause that doubles from refusal to refusal, so that `Retry-After: 0` burns no calls. After the
second pause in a row one call goes first and the others wait for what becomes of it. A server that
refuses for longer than `patience` ends the job, and so does one that twice asks for more (once may
be a slip: some send `inf` or a year far away). Every pause is told to the user once."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from smallsteps.errors import TeacherError

SHORTEST = 1.0
"""Seconds of the first pause; every further one in a row is twice as long."""

LONGEST = 60.0
"""Seconds of a pause that the server did not ask for."""

QUIET = 10.0
"""Seconds between two messages about pauses, unless the end moves by as much."""


class Pauses:
    """Lives in one event loop."""

    def __init__(self, url: str, patience: float, say: Callable[[str], None]) -> None:
        self.url, self.patience, self.say = url, patience, say
        self._row = 0
        """Pauses since the server last accepted a call."""
        self._since = math.inf
        """Monotonic seconds of the first refusal of them."""
        self._open_at = 0.0
        """Monotonic seconds at which calls may be sent again."""
        self._said_at = self._said_until = -math.inf
        """Monotonic seconds of the last message, and of the end that it named."""
        self._first = asyncio.Lock()

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """The time for one call: after the pause, and after the call that goes first."""
        while True:
            await self._wait()
            if self._row < 2:
                yield
                return
            async with self._first:
                if self._row < 2:
                    continue
                await self._wait()
                yield
                return

    async def _wait(self) -> None:
        while (rest := self._open_at - time.monotonic()) > 0:
            await asyncio.sleep(rest)

    def accepted(self) -> None:
        """The server answered."""
        self._row, self._since = 0, math.inf

    def refused(self, status: int, words: str, headers: Mapping[str, str]) -> None:
        """The server is busy. Raises TeacherError where waiting is no use."""
        now = time.monotonic()
        self._since = min(self._since, now)
        refused_for = now - self._since
        reason = f"status {status}: {words}"
        if refused_for > self.patience:
            raise TeacherError(
                f"{self.url} has refused every call for {refused_for:.0f} seconds ({reason}). "
                f"{_LATER}"
            )
        told = retry_after(headers)
        too_long = told is not None and refused_for + told > max(self.patience, SHORTEST)
        # of many calls that are refused at once, the first one begins the pause
        if begins := now >= self._open_at:
            self._row += 1
        if told is not None and too_long and self._row > 1 and begins:
            raise TeacherError(
                f"{self.url} asks to wait until {moment(told)} ({reason}), longer than a patience "
                f"of {self.patience:,.0f} seconds. {_LATER}"
            )
        pause = min(LONGEST, SHORTEST * 2 ** min(self._row - 1, 16))
        if told is not None and not too_long:
            pause = max(told, pause)
        elif not begins:
            return
        if now + pause <= self._open_at:
            return
        self._open_at = now + pause
        if self._open_at - self._said_until >= QUIET or now - self._said_at >= QUIET:
            self._said_at, self._said_until = now, self._open_at
            asked = f"the server asks for {round(told, 1):g} s" if told else f"{pause:,.0f} s"
            if too_long:
                asked += ", longer than --patience; asked once more"
            self.say(f"{self.url} is busy ({reason}): waiting until {moment(pause)} ({asked})")


_LATER = "Run the same command again later; what is stored is not bought again."


def moment(seconds: float) -> str:
    """The time of day in so many seconds, with the date where that is another day."""
    try:
        then = datetime.now() + timedelta(seconds=seconds)
    except OverflowError:
        return "the end of time"
    return f"{then:%H:%M:%S}" if then.date() == datetime.now().date() else f"{then:%Y-%m-%d %H:%M}"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a refusal asks to wait, 0 or more, perhaps infinite; None: it does not say, or
    nothing sensible.

    >>> retry_after({"retry-after": "2.5"}), retry_after({"retry-after-ms": "300"})
    (2.5, 0.3)
    >>> retry_after({"retry-after": "soon"}) is None
    True
    """
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name) or "nan") / unit
        except ValueError:
            continue
        if not math.isnan(seconds):
            return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return None
