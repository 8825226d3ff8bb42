"""Whether a folder is free or belongs to a recipe. `check_folder` writes nothing.

A folder belongs to the recipe whose digest its `run.json` holds. Where that file is damaged, the
folder belongs to the recipe whose very text lies beside it. A recipe that adds arms or seeds to
that one may continue in its folder (`growing.py`). A folder with other people's files is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from smallsteps import lock
from smallsteps.disk import is_draft, read_object
from smallsteps.errors import RunFolderError
from smallsteps.experiment.growing import Growth, growth_of
from smallsteps.experiment.provenance import package_version

RUN, RECIPE, MANIFEST = "run.json", "recipe.yaml", "manifest.json"
RESULTS, PAGE, FIGURE, TIME = "results.json", "report.html", "figure.svg", "time.json"
LOCK, LOCKS = ".lock", ".locks"
"""An empty file, which stays, and a folder of such files, which goes (`workers.py`)."""
SERVER_LOG = "server.log"
"""What the servers of the run said, one after another (`engines.py`). It stays where a run failed
before it made anything."""
WORKER = "worker-"
"""How the name of the lock begins that a process holds as long as it works in the folder."""
MAX_DIFFERENCES = 3
"""Maximum number of differing keys in the message about another recipe's folder."""
MAX_NAMES = 3
"""Maximum number of file names in the message about files of others."""
MAX_VALUE_LENGTH = 60
"""Maximum length, in characters, of a value in the message about another recipe's folder."""
_MISSING = object()


def is_anybody_working(run_folder: Path) -> bool:
    """Whether a process works in the run folder."""
    return any(lock.is_held(path) for path in (run_folder / LOCKS).glob(f"{WORKER}*"))


def check_folder(path: Path, digest: str, recipe_yaml: str, *, holds_lock: bool = False) -> bool:
    """True where the folder is free: missing, empty, or a start that was cut off left a lock.

    False where it belongs to the recipe with this digest and text, or to a smaller one that grows
    into it. Raises RunFolderError otherwise. Waits for a process that is beginning a run there,
    unless this process `holds_lock`.
    """
    try:
        if not os.path.lexists(path):
            _refuse_root_and_home(path)
            return True
        if not path.is_dir():
            raise RunFolderError(f"--out {path}: expected a folder. Choose another --out.")
        foreign = _foreign_names(path)
        if foreign and not holds_lock and _is_lock(path / LOCK):
            # what another process is making may look like files of others
            with lock.waiting(path / LOCK):
                foreign = _foreign_names(path)
        if (path / RUN).exists():
            _check_recipe(path, digest, recipe_yaml)
            return False
        _refuse_root_and_home(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RunFolderError(f"--out {path}: cannot be read ({why}).") from None
    if foreign:
        shown = ", ".join(foreign[:MAX_NAMES]) + (", ..." if len(foreign) > MAX_NAMES else "")
        raise RunFolderError(
            f"--out {path} is not a smallsteps run (it contains {shown}, but no {RUN}). "
            "Choose another --out: a new folder, or an empty one."
        )
    return True


def _foreign_names(path: Path) -> list[str]:
    """The names in a folder without run.json that no start of ours leaves there: one that was cut
    off leaves empty locks and half-written files called run.json, and so does, for a moment, a
    process that tries whether the folder can be written. One whose server failed leaves its log."""
    names = sorted(entry.name for entry in path.iterdir())
    if RUN in names:
        return []
    ours = {SERVER_LOG}
    if _is_lock(path / LOCK):
        ours |= {LOCK, LOCKS} if (path / LOCKS).is_dir() else {LOCK}
    return [name for name in names if name not in ours and not is_draft(name, RUN)]


def _is_lock(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and not path.stat().st_size


def _refuse_root_and_home(path: Path) -> None:
    resolved = path.resolve()
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() fails where there is none
    if resolved == resolved.parent or resolved == home.resolve():
        raise RunFolderError(
            f"--out {path}: a run needs a folder of its own, for example runs/first."
        )


def _check_recipe(path: Path, digest: str, recipe_yaml: str) -> None:
    """Raises RunFolderError where the folder is another recipe's or damaged beyond repair."""
    for name in (RUN, RECIPE, MANIFEST, RESULTS, PAGE, FIGURE):
        if (path / name).is_dir():
            raise RunFolderError(
                f"{path / name}: expected a file, got a folder. Remove it and run again."
            )
    try:
        run = read_object(path / RUN)
        if not isinstance(run.get("digest"), str):
            raise ValueError("no digest of a recipe")
    except ValueError as error:
        if _has_text(path / RECIPE, recipe_yaml):
            return
        raise RunFolderError(
            f"{path / RUN} is damaged ({error}), or {path} is not a smallsteps run. Choose another "
            "--out, or delete the folder if you need nothing in it."
        ) from None
    if run["digest"] != digest and growth_of(path / RECIPE, run["digest"], recipe_yaml) is None:
        difference = (
            _difference(path / RECIPE, recipe_yaml) or f"{run['digest']}, this one is {digest}"
        )
        raise RunFolderError(
            f"{path} belongs to another recipe ({difference}; see {path / RECIPE})"
            f"{_other_version(run)}. {_taken_away(path / RECIPE, recipe_yaml)}"
            + (
                "A process is working there. Choose another --out."
                if is_anybody_working(path)
                else "Choose another --out, or remove that folder."
            )
        )


def find_growth(path: Path, digest: str, recipe_yaml: str) -> Growth | None:
    """How the recipe grows out of the one whose folder this is; None: it is its own. For a folder
    that `check_folder` has accepted."""
    try:
        digest_there = str(read_object(path / RUN).get("digest"))
    except ValueError:
        return None
    if digest_there == digest:
        return None
    return growth_of(path / RECIPE, digest_there, recipe_yaml)


def _has_text(path: Path, text: str) -> bool:
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
    now = package_version("smallsteps")
    return "" if version == now else f" or to smallsteps {version}, this is {now}"


# ---- how two recipes differ ----


def _taken_away(path: Path, recipe_yaml: str) -> str:
    """A hint where this recipe lacks arms or seeds of the one at `path`; else empty."""
    try:
        there, here = yaml.safe_load(path.read_text(encoding="utf-8")), yaml.safe_load(recipe_yaml)
        lacking = [
            str(name) for key in ("arms", "seeds") for name in there[key] if name not in here[key]
        ]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return ""
    if not lacking:
        return ""
    names = ", ".join(lacking[:MAX_NAMES]) + (", ..." if len(lacking) > MAX_NAMES else "")
    return f"Arms and seeds can be added to a run, not taken away: name {names} too. "


def _difference(path: Path, recipe_yaml: str) -> str:
    """The first keys in which the recipe at `path` differs from this one; empty where no key can be
    named."""
    try:
        there, here = yaml.safe_load(path.read_text(encoding="utf-8")), yaml.safe_load(recipe_yaml)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return ""
    if not (isinstance(there, dict) and isinstance(here, dict)):
        return ""
    differences = list(islice(_differences(there, here), MAX_DIFFERENCES + 1))
    if len(differences) > MAX_DIFFERENCES:
        differences[MAX_DIFFERENCES] = "and more"
    return "; ".join(differences)


def _differences(
    there: Mapping[str, Any], here: Mapping[str, Any], within: str = ""
) -> Iterator[str]:
    """`train.budget is 6000 there, 5000 here` for each key that differs."""
    for key in {**here, **there}:
        name = f"{within}{key}"
        value_there, value_here = there.get(key, _MISSING), here.get(key, _MISSING)
        if isinstance(value_there, dict) and isinstance(value_here, dict):
            yield from _differences(value_there, value_here, f"{name}.")
            continue
        shown_there, shown_here = _shown(value_there), _shown(value_here)
        if shown_there != shown_here:
            yield f"{name} is {_shortened(shown_there)} there, {_shortened(shown_here)} here"


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "missing"
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # a date, or an alias to itself, in a file that was edited
        return repr(value)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"
