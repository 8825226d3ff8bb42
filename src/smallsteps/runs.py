"""The run folder: stages that are done once, manifests with digests, resume, provenance.

    DIR/recipe.yaml      what was asked, every knob named
    DIR/run.json         digest of the recipe, versions, hardware
    DIR/<stage>/…        what a stage made, and manifest.json: the SHA-256 of each file, written last
    DIR/results.json     the figures; DIR/report.html the page

A stage counts once its manifest is there and its files still have the digests it names; anything else in its folder is
what a killed run left and is done again (training goes on from its own checkpoints). A second process on the same
folder is refused while the first lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from smallsteps.errors import RunFolderError, UserError
from smallsteps.threads import in_use

MANIFEST = "manifest.json"
TRACKED = ("smallsteps", "torch", "transformers", "accelerate", "peft", "tokenizers", "sacrebleu", "numpy")


class Reporter(Protocol):
    """Whom a long job tells how far it is; the command line shows bars, Python hears nothing by default."""

    def say(self, line: str) -> None: ...

    def advance(self, what: str, done: float, total: float, info: str = "") -> None: ...


class Silent:
    """Tells nobody."""

    def say(self, line: str) -> None:
        pass

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        pass


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or nothing: a neighbour is written, flushed to disk and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def write_json(path: Path, content: Any) -> None:
    """`write_text` of indented JSON."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


FAIL_AT = ""
"""The fail-point at which this process dies; set by tests alone."""


def fail_point(name: str) -> None:
    """Dies here as by `kill -9` where `FAIL_AT` asks for it; how tests cut a run at every stage."""
    if name == FAIL_AT:
        os.kill(os.getpid(), 9)


class RunFolder:
    """A folder that belongs to one recipe."""

    def __init__(self, path: Path, digest: str, recipe_yaml: str) -> None:
        """Creates or reopens it. Raises RunFolderError where it belongs to another recipe or holds other files."""
        self.path = path
        self.digest = digest
        self._fresh = False
        """Whether this process made it."""
        self._costly: list[Path] = []
        """Stages entered whose work is worth keeping."""
        run = path / "run.json"
        if run.is_file():
            try:
                held = json.loads(run.read_text(encoding="utf-8"))["digest"]
            except (ValueError, KeyError):
                raise RunFolderError(f"{run} is damaged. Remove the folder, or choose another --out.") from None
            if held != digest:
                raise RunFolderError(
                    f"{path} belongs to another recipe ({held}, this one is {digest}; see {path / 'recipe.yaml'}). "
                    "Choose another --out, or remove that folder."
                )
        elif path.exists() and (not path.is_dir() or any(p.name != ".lock" and not p.name.endswith(".part") and
                                                         p.name != "recipe.yaml" for p in path.iterdir())):  # fmt: skip
            raise RunFolderError(f"{path} holds files that are no run of smallsteps. Choose another --out.")
        else:
            self._fresh = True
            write_text(path / "recipe.yaml", recipe_yaml)
            write_json(run, {"digest": digest, "provenance": provenance()})

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder; raises RunFolderError while another process does.

        Where the user's own words or data end the work before any training, a folder made just now is taken away again,
        so that the corrected command finds it free.
        """
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunFolderError(
                    f"another process is working in {self.path}. Wait for it, or choose another --out."
                ) from None
            try:
                yield
            except UserError:
                if self._fresh and not any(any(place.iterdir()) for place in self._costly):
                    shutil.rmtree(self.path, ignore_errors=True)
                raise

    def stage(self, name: str, make: Callable[[Path], None], *, keep: bool = False) -> Path:
        """The stage's folder; `make` fills it where it is not complete yet.

        keep: leave what an interrupted attempt left (training resumes from it) instead of starting from nothing.
        """
        folder = self.path / name
        if not complete(folder):
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            if keep:
                self._costly.append(folder)
            make(folder)
            fail_point(f"before-manifest:{name}")
            write_json(folder / MANIFEST, {"files": digests(folder)})
        fail_point(f"after:{name}")
        return folder


def digests(folder: Path) -> dict[str, str]:
    """Relative path → SHA-256 of every file below `folder` but the manifest and hidden files."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST and not p.name.startswith("."))
    return {str(p.relative_to(folder)): file_digest(p) for p in files}


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def complete(folder: Path) -> bool:
    """Whether a stage's folder has its manifest and the very files that it names."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return False
    try:
        named: Mapping[str, str] = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError):
        return False
    return all((folder / name).is_file() and file_digest(folder / name) == digest for name, digest in named.items())


def provenance() -> dict[str, Any]:
    """Versions, commit and hardware: what a reader needs to repeat a figure."""
    return {
        "versions": {name: _version(name) for name in TRACKED},
        "python": platform.python_version(),
        "commit": _commit(),
        "hardware": hardware(),
        "threads": threads(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def threads() -> dict[str, int] | None:
    """CPU threads of training and of decoding; None where torch is not loaded."""
    if "torch" not in sys.modules:
        return None
    return vars(in_use())


def hardware() -> str:
    """Processor, cores this process may use, and graphics cards where torch is loaded and sees any."""
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


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    here = Path(__file__).resolve().parent
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
