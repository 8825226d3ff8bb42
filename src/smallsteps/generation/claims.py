"""How a job uses claims on replies: of several processes that want the same reply, one asks for it
and the others wait.

A claim is renewed as long as its owner lives. One that is not renewed for a whole lease is void and
is taken over. The table of claims: `claim_table.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from smallsteps.errors import DataError
from smallsteps.generation.claim_table import LEASE_SECONDS, ClaimHolder, ClaimTable, new_owner

POLL_SECONDS = 0.2
"""Time between two looks at another owner's claim."""


class Claims:
    """The claims of one job. `say` receives a line for the user where the job waits."""

    def __init__(self, table: ClaimTable, say: Callable[[str], None]) -> None:
        self.table, self.say, self.owner = table, say, new_owner()
        self._reported: set[str] = set()
        """Other owners that the user knows of."""

    @asynccontextmanager
    async def claimed(self, key: str) -> AsyncIterator[None]:
        """Waits until nobody else asks for `key`, and keeps others from asking meanwhile."""
        last_seen, since = None, time.monotonic()
        while not self.table.claim(key, self.owner, LEASE_SECONDS):
            holder = self.table.holder(key)
            if holder != last_seen:
                last_seen, since = holder, time.monotonic()
            if holder and time.monotonic() - since > LEASE_SECONDS:
                self.table.void(key, holder)
            elif holder:
                self._report(holder)
            await asyncio.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            self.table.release(key, self.owner)

    def _report(self, holder: ClaimHolder) -> None:
        """Tells the user once for whom the job waits."""
        if holder.owner not in self._reported:
            self._reported.add(holder.owner)
            self.say(
                f"another process on {holder.host} is asking for the same replies: waiting for it. "
                f"If it does not respond for {LEASE_SECONDS:.0f} seconds, they are asked for here."
            )

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renews all claims meanwhile."""
        renewal = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewal.cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(DataError):  # a busy store: the next renewal comes soon
                self.table.renew(self.owner, LEASE_SECONDS)
