"""Several processes in one run folder: each makes stages that no other one is making.

    DIR/.lock              held for a moment: to begin or enlarge a run, to join it, to sign files
    DIR/.locks/worker-…    held by each process as long as it works in the folder
    DIR/.locks/stage-…     held by the process that makes this stage

The operating system frees the locks of a process that is killed, and another process makes the
stage. The processes may run on several machines whose file system passes locks on."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from smallsteps import lock
from smallsteps.experiment.ownership import LOCK, LOCKS, WORKER
from smallsteps.experiment.reporter import Reporter
from smallsteps.team import ForAll

Place = TypeVar("Place")
Made = TypeVar("Made")

STAGE = "stage-"
POLL_SECONDS = 0.5
"""How often a process that has nothing to do looks for a free stage."""


class StageTaken(ForAll):
    """Another process is making a stage, and this one does not wait for it (`Workers.taking`)."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage


class Workers:
    """The processes in one run folder, seen by one of them."""

    def __init__(self, path: Path, digest: str, reporter: Reporter) -> None:
        """digest: of the recipe that this process runs."""
        self.path = path
        self.reporter = reporter
        self._locks = path / LOCKS
        self._recipe = f"{WORKER}{digest[:16]}-"
        self._name = f"{self._recipe}{secrets.token_hex(4)}"
        self._waits = True
        self._works = False

    @contextlib.contextmanager
    def moment(self) -> Iterator[None]:
        """No other process begins, enlarges or joins the run, or signs files, while the block
        runs."""
        with lock.waiting(self.path / LOCK):
            yield

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """This process works in the folder while the block runs. To be entered in a `moment`."""
        membership = self._locks / self._name
        with lock.exclusive(membership, f"{membership}: held by another process"):
            self._works = True
            try:
                yield
            finally:
                if self._works:
                    with self.moment():
                        self.leave()

    def leave(self) -> None:
        """This process works here no more. Deletes its locks, and those of killed processes where
        it is the last. For a `moment`."""
        self._works = False
        lock.discard(self._locks / self._name)
        if not self.others():
            shutil.rmtree(self._locks, ignore_errors=True)

    def others(self, *, of_other_recipes: bool = False) -> bool:
        """Whether other processes work in the folder. For a `moment`, since it deletes what killed
        ones left."""
        others = False
        for path in self._locks.glob(f"{WORKER}*"):
            if path.name == self._name or (of_other_recipes and path.name.startswith(self._recipe)):
                continue
            if lock.is_held(path):
                others = True
            else:
                path.unlink(missing_ok=True)
        return others

    @contextlib.contextmanager
    def making(self, stage: str) -> Iterator[None]:
        """No other process makes the stage while the block runs. Waits for one that does; within
        `taking`, raises StageTaken."""
        path = self._lock_of(stage)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock.exclusive(path, "taken"))
            except lock.Taken:
                if not self._waits:
                    raise StageTaken(stage) from None
                self.reporter.say(f"waiting for another process, which makes {stage}")
                stack.enter_context(lock.waiting(path))
            stack.callback(lock.discard, path)
            yield

    def taking(self, places: Iterable[Place], make: Callable[[Place], Made]) -> list[Made]:
        """What `make` returns for each place, in the order of `places`. A place whose stages
        another process is making comes later, when that process has ended it."""
        todo = list(enumerate(places))
        made: dict[int, Made] = {}
        while todo:
            taken: dict[int, str] = {}
            for number, place in todo:
                self._waits = False
                try:
                    made[number] = make(place)
                except StageTaken as other:
                    taken[number] = other.stage
                finally:
                    self._waits = True
            if len(taken) == len(todo):
                self._wait_for_any(taken.values())
            todo = [(number, place) for number, place in todo if number in taken]
        return [made[number] for number in sorted(made)]

    def _wait_for_any(self, stages: Collection[str]) -> None:
        """Waits until one of the stages is no longer being made."""
        names = sorted(set(stages))
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        self.reporter.say(f"waiting for other processes, which make {names[0]}{more}")
        while all(lock.is_held(self._lock_of(stage)) for stage in names):
            time.sleep(POLL_SECONDS)

    def _lock_of(self, stage: str) -> Path:
        return self._locks / f"{STAGE}{stage.replace('/', '~')}"
