"""Commands on a small disk of their own, which fills and grows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAM = """
import contextlib, io, json, os, shutil, subprocess, sys
os.fsync = lambda handle: None  # as in conftest.py
from dataclasses import replace
from smallsteps.cli.main import main
from smallsteps.tasks import TASKS

disk, kept, steps, limits = sys.argv[1:]
TASKS.update((name, replace(task, **json.loads(limits))) for name, task in list(TASKS.items()))
ends = []
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "smallsteps", disk], check=True)
for size, arguments in json.loads(steps):
    subprocess.run(["mount", "-o", f"remount,size={size}k", disk], check=True)
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main(arguments)
    ends.append((code, said.getvalue(), sorted(os.listdir(disk))))
shutil.copytree(disk, kept)
print(json.dumps(ends))
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    errors: str
    """What went to standard error."""
    names: list[str]
    """What lay on the disk then."""


def may_mount() -> bool:
    """Whether this machine lets a process mount a disk for itself."""
    if not all(map(shutil.which, ("unshare", "mount"))):
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "smallsteps", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def on_small_disk(
    disk: Path,
    kept: Path,
    steps: Sequence[tuple[int, Sequence[str]]],
    limits: Mapping[str, int] = {},
) -> list[Ended]:
    """Runs commands of smallsteps, each as (kB of the disk at `disk`, arguments), one after the
    other; `kept` gets what lies on the disk at the end. limits: how much students may write there
    (`Task`)."""
    disk.mkdir()
    program = ["unshare", "-rm", sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(
        [*program, str(disk), str(kept), json.dumps(steps), json.dumps(limits)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Ended(*end) for end in json.loads(done.stdout)]
