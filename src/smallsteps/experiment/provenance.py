"""Versions, commit and hardware of a run: what a reader needs to repeat a figure."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from smallsteps.threads import in_use

PACKAGES = (
    "smallsteps",
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "tokenizers",
    "sacrebleu",
    "numpy",
)
"""Packages whose versions can change a figure."""


def provenance() -> dict[str, Any]:
    """`versions`, `python`, `commit`, `hardware`, `threads` and `started` (UTC) as JSON values."""
    return {
        "versions": {name: package_version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "commit": _commit(),
        "hardware": hardware(),
        "threads": threads(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def package_version(name: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def threads() -> dict[str, int] | None:
    """Numbers of CPU threads in training and in decoding; None where torch is not loaded."""
    if "torch" not in sys.modules:
        return None
    return vars(in_use())


def hardware() -> str:
    """Processor, number of cores that this process may use, and graphics cards.

    Cards are named only where torch is loaded already: loading it takes seconds.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = f"{_processor()}, {cores} cores"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        text += f", {torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    return text


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of the source folder; None where it is no git repository."""
    git = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=Path(__file__).resolve().parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return git.stdout.strip() or None
