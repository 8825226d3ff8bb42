"""Claims in the store of paid replies: who is asking for a reply right now, so that nobody else
buys it meanwhile.

A claim is a lease that its owner renews every few seconds. On this machine it also ends with the
process of its owner. Of an owner on another machine nobody knows whether it lives, so a claim that
is not renewed for a whole lease may be taken over. How a job uses claims: `claims.py`."""

from __future__ import annotations

import os
import socket
import time
from typing import NamedTuple
from uuid import uuid4

from smallsteps.generation.store_file import StoreFile

LEASE_SECONDS = 15.0
"""How long a claim stands without a renewal; its owner renews it three times in this time."""


class ClaimHolder(NamedTuple):
    """Who is asking for a reply right now."""

    owner: str
    until: float
    """Unix seconds at which the claim ends unless it is renewed."""

    @property
    def host(self) -> str:
        """The owner's machine."""
        return self.owner.split(":")[0]


class ClaimTable:
    """The table `claims` of a store."""

    def __init__(self, file: StoreFile) -> None:
        self.file = file

    def claim(self, key: str, owner: str, seconds: float) -> bool:
        """Whether `owner` may ask for the reply now. False: somebody else is asking. A claim ends
        after `seconds`, and earlier with a killed process of this machine."""
        now = time.time()
        with self.file.transaction():
            holder = self.holder(key)
            if holder and holder.owner != owner and holder.until > now and is_alive(holder.owner):
                return False
            self.file.write(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (key, owner, now + seconds)
            )
        return True

    def holder(self, key: str) -> ClaimHolder | None:
        """Who claims `key`; None: nobody."""
        row = self.file.row("SELECT owner, until FROM claims WHERE key = ?", (key,))
        return ClaimHolder(*row) if row else None

    def void(self, key: str, silent: ClaimHolder) -> None:
        """Takes a claim away, unless its holder has renewed it since it was seen as `silent`."""
        with self.file.transaction():
            self.file.write(
                "DELETE FROM claims WHERE key = ? AND owner = ? AND until = ?",
                (key, silent.owner, silent.until),
            )

    def renew(self, owner: str, seconds: float) -> None:
        """Lets all claims of `owner` stand until `seconds` from now."""
        with self.file.transaction():
            self.file.write(
                "UPDATE claims SET until = ? WHERE owner = ?", (time.time() + seconds, owner)
            )

    def release(self, key: str, owner: str) -> None:
        """Ends a claim of `owner`."""
        with self.file.transaction():
            self.file.write("DELETE FROM claims WHERE key = ? AND owner = ?", (key, owner))


def new_owner() -> str:
    """A name for a claims' owner: this machine, this process, and a random number."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}"


def is_alive(owner: str) -> bool:
    """Whether the process behind a claim may still run; of other machines nobody knows."""
    host, _, process = owner.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's process: it runs
    return True
