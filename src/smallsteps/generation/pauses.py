"""One pause for all calls to a server that refuses them for a while (429, 503, 529).

The pause is as long as the server's `Retry-After` says, but at least a second, and at least as long
as a pause that doubles from refusal to refusal, so that `Retry-After: 0` burns no calls. After the
second pause in a row one call goes first and the others wait for its response. A server that
refuses for longer than `patience` ends the job. So does one that twice asks for more; once may be a
mistake, as some send `inf` or a year far away. The user is told of each pause once."""

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

LATER = "Run the same command again later; what is stored is not bought again."


class Pauses:
    """The pauses of one job, in its event loop."""

    def __init__(self, url: str, patience: float, say: Callable[[str], None]) -> None:
        self.url, self.patience, self.say = url, patience, say
        self._in_a_row = 0
        """Pauses since the server last accepted a call."""
        self._refused_since = math.inf
        """Monotonic seconds of the first refusal among them."""
        self._open_at = 0.0
        """Monotonic seconds at which calls may be sent again."""
        self._reported_at = self._reported_until = -math.inf
        """Monotonic seconds of the last message, and of the end that it named."""
        self._first_call = asyncio.Lock()

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """The time for one call: after the pause, and after the call that goes first."""
        while True:
            await self._wait()
            if self._in_a_row < 2:
                yield
                return
            async with self._first_call:
                if self._in_a_row < 2:
                    continue
                await self._wait()
                yield
                return

    async def _wait(self) -> None:
        while (rest := self._open_at - time.monotonic()) > 0:
            await asyncio.sleep(rest)

    def accepted(self) -> None:
        """Notes that the server answered."""
        self._in_a_row, self._refused_since = 0, math.inf

    def refused(self, status: int, message: str, headers: Mapping[str, str]) -> None:
        """Begins or prolongs a pause. Raises TeacherError where waiting is no use."""
        now = time.monotonic()
        self._refused_since = min(self._refused_since, now)
        refused_for = now - self._refused_since
        reason = f"status {status}: {message}"
        if refused_for > self.patience:
            raise TeacherError(
                f"{self.url} has refused every call for {refused_for:.0f} seconds ({reason}). "
                f"{LATER}"
            )
        wanted = retry_after(headers)
        too_long = wanted is not None and refused_for + wanted > max(self.patience, SHORTEST)
        # of many calls that are refused at once, the first one begins the pause
        begins = now >= self._open_at
        if begins:
            self._in_a_row += 1
        if wanted is not None and too_long and self._in_a_row > 1 and begins:
            raise TeacherError(
                f"{self.url} asks to wait until {moment(wanted)} ({reason}), longer than a "
                f"patience of {self.patience:,.0f} seconds. {LATER}"
            )
        pause = min(LONGEST, SHORTEST * 2 ** min(self._in_a_row - 1, 16))
        if wanted is not None and not too_long:
            pause = max(wanted, pause)
        elif not begins:
            return
        if now + pause > self._open_at:
            self._open_at = now + pause
            self._report(now, pause, reason, wanted, too_long)

    def _report(
        self, now: float, pause: float, reason: str, wanted: float | None, too_long: bool
    ) -> None:
        """Tells the user of a pause, unless that was done lately."""
        moved = self._open_at - self._reported_until >= QUIET
        if not moved and now - self._reported_at < QUIET:
            return
        self._reported_at, self._reported_until = now, self._open_at
        why = f"the server asks for {round(wanted, 1):g} s" if wanted else f"{pause:,.0f} s"
        if too_long:
            why += ", longer than --patience; asked once more"
        self.say(f"{self.url} is busy ({reason}): waiting until {moment(pause)} ({why})")


def moment(seconds: float) -> str:
    """The time of day in this many seconds, with the date where that is another day."""
    try:
        then = datetime.now() + timedelta(seconds=seconds)
    except OverflowError:
        return "the end of time"
    return f"{then:%H:%M:%S}" if then.date() == datetime.now().date() else f"{then:%Y-%m-%d %H:%M}"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a refusal asks to wait, 0 or more, perhaps infinite. None: it does not say, or
    nothing valid.

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
