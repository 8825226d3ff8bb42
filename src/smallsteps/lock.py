"""A lock file that one process holds at a time.

filelock asks the operating system for the lock, so that a killed process leaves none behind, even
where it forked. The file itself stays; who no longer needs it deletes it while holding the lock.

Not tested on Windows. There the operating system refuses to delete a file that is locked or open,
so that an empty lock file stays where a run came to nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from smallsteps.errors import RunFolderError

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of a file system that has no locks, or whose server of locks does not answer."""
PATIENCE = 0.2
"""Seconds to wait for a lock. A holder that ends may delete its lock file, and who opened that file
just before has to try again."""


class Taken(RunFolderError):
    """Another process holds the lock."""


@contextlib.contextmanager
def exclusive(path: Path, refusal: str) -> Iterator[None]:
    """Holds the lock file `path` while the block runs; makes it and the folders on the way.

    Raises Taken with the message `refusal` while another process holds it, RunFolderError where the
    file system has no locks, OSError where the file cannot be made.
    """
    try:
        lock = _acquired(path, PATIENCE)
    except Timeout:
        raise Taken(refusal) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Holds the lock file `path` while the block runs, after waiting for whoever holds it; makes it
    and the folders on the way. Raises RunFolderError where the file system has no locks, OSError
    where the file cannot be made."""
    lock = _acquired(path, timeout=-1)
    try:
        yield
    finally:
        lock.release()


def _acquired(path: Path, timeout: float) -> BaseFileLock:
    """The lock file, held. timeout: seconds; below 0: no limit. Raises Timeout, OSError, and
    RunFolderError where the file system has no locks: another kind of lock, which a killed process
    leaves behind, is not taken in their place."""
    lock, was_there = FileLock(path, fallback_to_soft=False), path.exists()
    while not lock.is_locked:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=timeout, poll_interval=PATIENCE / 4)
        except FileNotFoundError:  # its holder has just taken the folder away
            continue
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            if not was_there:
                path.unlink(missing_ok=True)
            raise RunFolderError(
                f"{path.parent}: the file system refuses to lock files "
                f"({os.strerror(error.errno).lower()}), so two processes could work there at once "
                "and damage each other's files. Name a folder on another disk, or mount this one "
                "with locks (NFS: without nolock; Lustre: -o flock)."
            ) from None
    return lock


def is_held(path: Path) -> bool:
    """Whether another process holds the lock file `path`. Takes a free lock for an instant, which
    `exclusive` outlasts. False where this user may not write the file."""
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def discard(path: Path) -> None:
    """Deletes a lock file that this process holds, where the operating system allows it."""
    with contextlib.suppress(PermissionError):  # Windows
        path.unlink(missing_ok=True)
