"""Claims on requests: of several processes that want the same reply, one asks and the others wait
for it.

A claim is renewed as long as its owner lives. One that is not renewed for a whole lease is void,
and is taken over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from smallsteps.errors import DataError
from smallsteps.generation.replies import LEASE_SECONDS, Holder, ReplyStore, new_owner

LOOK_SECONDS = 0.2
"""Between two looks at a claim of somebody else."""


class Claims:
    """The claims of one buyer. `say` gets a line for the user where it waits."""

    def __init__(self, store: ReplyStore, say: Callable[[str], None]) -> None:
        self.store, self.say, self.owner = store, say, new_owner()
        self._waited_for: set[str] = set()
        """Owners of whom the user was told."""

    @asynccontextmanager
    async def claimed(self, key: str) -> AsyncIterator[None]:
        """Nobody else asks `key` meanwhile; waits until that is so."""
        seen, since = None, time.monotonic()
        while not self.store.claim(key, self.owner, LEASE_SECONDS):
            holder = self.store.holder(key)
            if holder != seen:
                seen, since = holder, time.monotonic()
            if holder and time.monotonic() - since > LEASE_SECONDS:
                self.store.void(key, holder)
            elif holder:
                self._say_that_it_waits(holder)
            await asyncio.sleep(LOOK_SECONDS)
        try:
            yield
        finally:
            self.store.release(key, self.owner)

    def _say_that_it_waits(self, holder: Holder) -> None:
        if holder.owner not in self._waited_for:
            self._waited_for.add(holder.owner)
            self.say(
                f"another process on {holder.host} is asking for the same replies: waiting for it; if it gives no sign of "
                f"life for {LEASE_SECONDS:.0f} seconds, they are asked for here"
            )

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Signs of life for all claims meanwhile."""
        signs_of_life = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            signs_of_life.cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(DataError):  # a busy store: the next time comes soon
                self.store.renew(self.owner, LEASE_SECONDS)
