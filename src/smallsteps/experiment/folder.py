"""The run folder: stages that are done once, manifests with digests, resume, provenance.

    DIR/recipe.yaml      what was asked, every knob named
    DIR/run.json         digest of the recipe, versions, hardware
    DIR/manifest.json    the SHA-256 of recipe.yaml, run.json and results.json
    DIR/<stage>/…        what a stage made, and manifest.json: the SHA-256 of each file, written last
    DIR/results.json     the figures; DIR/report.html the page

A stage counts once its manifest is there and its files still have the digests it names. Damaged
files are named and made again; anything else in a stage's folder is what a killed run left and is
done again (training goes on from its own checkpoints). A second process on the same folder is
refused while the first lives, and a folder that holds files of others is left alone."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import yaml

from smallsteps import lock
from smallsteps.disk import (
    damage,
    digests,
    file_digest,
    is_draft,
    read_manifest,
    read_object,
    seal,
    write_json,
    write_manifest,
    write_text,
)
from smallsteps.errors import RunFolderError, UserError
from smallsteps.threads import in_use

MANIFEST = "manifest.json"
RUN, RECIPE, LOCK = "run.json", "recipe.yaml", ".lock"
MOST_NAMED = 3
"""Keys that are named where a folder belongs to another recipe."""
_MISSING = object()
TRACKED = (
    "smallsteps",
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "tokenizers",
    "sacrebleu",
    "numpy",
)


class Reporter(Protocol):
    """Whom a long job tells how far it is; the command line shows bars, Python hears nothing by
    default."""

    def say(self, line: str) -> None: ...

    def advance(self, what: str, done: float, total: float, info: str = "") -> None: ...


class Silent:
    """Tells nobody."""

    def say(self, line: str) -> None:
        pass

    def advance(self, what: str, done: float, total: float, info: str = "") -> None:
        pass


FAIL_AT = ""
"""The fail-point at which this process dies; set by tests alone."""


def fail_point(name: str) -> None:
    """Dies here as by `kill -9` where `FAIL_AT` asks for it; how tests cut a run at every stage."""
    if name == FAIL_AT:
        os.kill(os.getpid(), 9)


@contextlib.contextmanager
def run_folder(
    path: Path, digest: str, recipe_yaml: str, reporter: Reporter | None = None
) -> Iterator[RunFolder]:
    """The folder of a recipe's run, made or reopened, and locked while the block runs.

    Raises RunFolderError, with nothing written, where the folder belongs to another recipe, holds
    files that are no run, or another process works in it. Where the user's own words or data end
    the block before any training, what was made here is taken away again, so that the corrected
    command finds the folder free; files of others stay.
    """
    check_folder(path, digest, recipe_yaml)
    refusal = f"another process is working in {path}. Wait for it, or choose another --out."
    with contextlib.ExitStack() as stack:
        try:
            made = _make_folders(path)
            stack.enter_context(lock.exclusive(path / LOCK, refusal))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise RunFolderError(f"--out {path}: cannot be made ({why}).") from None
        fresh = check_folder(path, digest, recipe_yaml)  # again, now that nobody else writes
        run = RunFolder(path, digest, reporter or Silent())
        run.begin(recipe_yaml, fresh)
        try:
            yield run
        except UserError:
            if fresh and not run.costly():
                run.take_away()
                for folder in reversed(made):
                    with contextlib.suppress(OSError):  # somebody else put something there
                        folder.rmdir()
            raise


class RunFolder:
    """A folder that belongs to one recipe; `run_folder` opens it."""

    def __init__(self, path: Path, digest: str, reporter: Reporter) -> None:
        self.path = path
        self.digest = digest
        self.reporter = reporter
        self._visited: set[Path] = set()
        """Stages that were looked at."""
        self._stages: list[Path] = []
        """Folders of stages that were made by this process."""
        self._costly: list[Path] = []
        """Stages entered whose work is worth keeping."""

    def begin(self, recipe_yaml: str, fresh: bool) -> None:
        """Writes run.json and recipe.yaml where they are missing or damaged."""
        run, recipe = self.path / RUN, self.path / RECIPE
        if fresh or self.damaged(RUN):
            # first: it marks the folder as a run's
            write_json(run, {"digest": self.digest, "provenance": provenance()})
        if fresh or self.damaged(RECIPE):
            write_text(recipe, recipe_yaml)
        self.sign(RUN, RECIPE)

    def damaged(self, name: str) -> bool:
        """Whether a file beside the stages is missing or not what was signed; says so."""
        path = self.path / name
        signed = (read_manifest(self.path, MANIFEST) or {}).get(name)
        try:
            if name.endswith(".json"):
                read_object(path)
            if signed in (None, file_digest(path)):
                return False
            why = "not what was written"
        except OSError as error:
            why = error.strerror or "unreadable"
        except ValueError as error:
            why = str(error)
        self.reporter.say(f"{path}: damaged ({why}); written anew")
        return True

    def sign(self, *names: str) -> None:
        """Notes the digests of files beside the stages, once they are whole."""
        signed = read_manifest(self.path, MANIFEST) or {}
        new = {name: file_digest(self.path / name) for name in names}
        if signed != {**signed, **new}:
            write_manifest(self.path, MANIFEST, {**signed, **new})

    def costly(self) -> bool:
        """Whether there is work worth keeping."""
        return any(place.is_dir() and any(place.iterdir()) for place in self._costly)

    def take_away(self) -> None:
        """Removes what this process made in a fresh folder; nothing else."""
        for folder in self._stages:
            shutil.rmtree(folder, ignore_errors=True)
            for parent in folder.parents:
                if parent == self.path or any(parent.iterdir()):
                    break
                parent.rmdir()
        for name in (MANIFEST, RECIPE, RUN):
            (self.path / name).unlink(missing_ok=True)
        lock.discard(self.path / LOCK)

    def stage(
        self, name: str, make: Callable[[Path], None], *, keep: bool = False, fixed: bool = False
    ) -> Path:
        """The stage's folder; `make` fills it where it is not complete and undamaged yet.

        keep: leave what an interrupted attempt left (training resumes from it) instead of starting
        from nothing. fixed: what is made again must be what it was, or later stages would rest on
        something else; raises RunFolderError where it is not.
        """
        folder = self.path / name
        self._visited.add(folder)
        damaged = damage(folder, MANIFEST)
        if damaged is None or damaged:
            earlier = self._clear(folder, damaged or [], keep)
            self._stages.append(folder)
            if keep:
                self._costly.append(folder)
            make(folder)
            fail_point(f"before-manifest:{name}")
            if earlier:
                self._compare(folder, earlier, fixed)
            seal(folder, MANIFEST)
        fail_point(f"after:{name}")
        return folder

    def name_other_damage(self) -> None:
        """Names damage in stages that nothing was read from, since what rests on them is done."""
        for manifest in sorted(self.path.rglob(MANIFEST)):
            folder = manifest.parent
            damaged = (
                damage(folder, MANIFEST) if folder not in {*self._visited, self.path} else None
            )
            if damaged:
                self.reporter.say(
                    f"{folder / damaged[0]}: damaged; no figure of this run was read from it. Delete {folder} where it "
                    "is of no use."
                )

    def _clear(self, folder: Path, damaged: Sequence[str], keep: bool) -> dict[str, str]:
        """Makes room for a stage; the digests that its files had, where it was complete before."""
        earlier = read_manifest(folder, MANIFEST) or {} if damaged else {}
        if damaged:
            more = f" and {len(damaged) - 1} more files" if len(damaged) > 1 else ""
            stage = folder.relative_to(self.path)
            self.reporter.say(f"{folder / damaged[0]}{more}: damaged; {stage} is made again")
        for path in (folder / file for file in (*damaged, MANIFEST)):
            if path.is_dir():
                raise RunFolderError(
                    f"{path}: expected a file, found a folder. Remove it and run again."
                )
        if keep:
            for path in (folder / file for file in (*damaged, MANIFEST)):
                path.unlink(missing_ok=True)
        elif folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(
                f"{folder}: expected a folder ({error.strerror}). Remove what is there and run again."
            ) from None
        return earlier

    def _compare(self, folder: Path, earlier: Mapping[str, str], fixed: bool) -> None:
        """What is made again after damage beside what it was."""
        now = digests(folder, MANIFEST)
        changed = [name for name, digest in earlier.items() if now.get(name) != digest]
        if fixed and changed:
            write_manifest(folder, MANIFEST, earlier)  # the next attempt compares as well
            raise RunFolderError(
                f"{folder / changed[0]}: damaged, and made again it is not what it was: the data or the "
                f"version changed since. Delete {self.path} and run again, or choose another --out."
            )
        weights = [name for name in changed if name.endswith(".safetensors")]
        if weights:
            self.reporter.say(
                f"{folder / weights[0]}: made again, it differs from the weights that were here (other "
                f"hardware, threads or versions); answers made from those stay. To make all anew, "
                f"delete {self.path}"
            )


def check_folder(path: Path, digest: str, recipe_yaml: str) -> bool:
    """Whether the folder is free, with nothing of a run in it. Raises RunFolderError where it is
    neither free nor this recipe's."""
    try:
        if not os.path.lexists(path):
            _refuse_special(path)
            return True
        if not path.is_dir():
            raise RunFolderError(f"--out {path}: expected a folder. Choose another --out.")
        names = sorted(entry.name for entry in path.iterdir())
        if RUN in names:
            _check_run(path, digest, recipe_yaml)
            return False
        _refuse_special(path)
        # a start that was cut off leaves an empty lock, and perhaps a half-written run.json
        locked = (
            LOCK in names and not (path / LOCK).is_symlink() and (path / LOCK).stat().st_size == 0
        )
        others = [name for name in names if not (locked and (name == LOCK or is_draft(name, RUN)))]
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RunFolderError(f"--out {path}: cannot be read ({why}).") from None
    if others:
        shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise RunFolderError(
            f"--out {path} holds files that are no run of smallsteps ({shown}; no {RUN}). "
            "Choose another --out: a new folder, or an empty one."
        )
    return True


def _refuse_special(path: Path) -> None:
    whole = path.resolve()
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() fails where there is none
    if whole == whole.parent or whole == home.resolve():
        raise RunFolderError(
            f"--out {path}: a run needs a folder of its own, for example runs/first."
        )


def _check_run(path: Path, digest: str, recipe_yaml: str) -> None:
    """Raises RunFolderError where run.json is another recipe's or damaged beyond repair."""
    run = path / RUN
    for name in (RUN, RECIPE, MANIFEST, "results.json", "report.html"):
        if (path / name).is_dir():
            raise RunFolderError(
                f"{path / name}: expected a file, found a folder. Remove it and run again."
            )
    try:
        content = read_object(run)
        found = content.get("digest")
        if not isinstance(found, str):
            raise ValueError("no digest of a recipe")
    except ValueError as error:
        if _same_text(path / RECIPE, recipe_yaml):
            return
        raise RunFolderError(
            f"{run} is damaged ({error}), or {path} is no run of smallsteps. Choose another --out, or "
            "delete the folder where nothing in it is needed."
        ) from None
    if found != digest:
        difference = _difference(path / RECIPE, recipe_yaml)
        digests_differ = f"{found}, this one is {digest}"
        raise RunFolderError(
            f"{path} belongs to another recipe ({difference or digests_differ}; see {path / RECIPE})"
            f"{_other_version(content)}. Choose another --out, or remove that folder."
        )


def _difference(path: Path, recipe_yaml: str) -> str:
    """The first keys in which the recipe at `path` differs from this one; nothing where none can be
    named."""
    try:
        there, here = yaml.safe_load(path.read_text(encoding="utf-8")), yaml.safe_load(recipe_yaml)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return ""
    if not (isinstance(there, dict) and isinstance(here, dict)):
        return ""
    first = list(islice(_differences(there, here), MOST_NAMED + 1))
    return "; ".join([*first[:MOST_NAMED], *(["and more"] if len(first) > MOST_NAMED else [])])


def _differences(
    there: Mapping[str, Any], here: Mapping[str, Any], within: str = ""
) -> Iterator[str]:
    """`train.budget is 6000 there, 5000 here` for each key."""
    for key in {**here, **there}:
        name = f"{within}{key}"
        values = there.get(key, _MISSING), here.get(key, _MISSING)
        if all(isinstance(value, dict) for value in values):
            yield from _differences(*values, f"{name}.")
            continue
        before, now = map(_shown, values)
        if before != now:
            yield f"{name} is {_cut(before)} there, {_cut(now)} here"


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "missing"
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # a date, or an alias to itself, in a file that was edited
        return repr(value)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _same_text(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False


def _other_version(run: Mapping[str, Any]) -> str:
    """A hint where run.json was written by another version, whose recipes may have other keys."""
    try:
        version = run["provenance"]["versions"]["smallsteps"]
    except (KeyError, TypeError):
        return ""
    now = _version("smallsteps")
    return "" if version == now else f" or to smallsteps {version}, this is {now}"


def _make_folders(path: Path) -> list[Path]:
    """Makes the folder with those above it; the ones that were not there, outermost first."""
    missing = [folder for folder in (*reversed(path.parents), path) if not os.path.lexists(folder)]
    path.mkdir(parents=True, exist_ok=True)
    return missing


def complete(folder: Path) -> bool:
    """Whether a stage's folder has its manifest and the very files that it names."""
    return damage(folder, MANIFEST) == []


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
    """Processor, cores this process may use, and graphics cards where torch is loaded and sees
    any."""
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
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None
