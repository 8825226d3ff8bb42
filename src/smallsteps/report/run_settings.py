"""What tells joined runs apart beside their arms: what they are called, the settings in which their
recipes differ, and whether their times compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from smallsteps.disk import read_object
from smallsteps.errors import RunFolderError
from smallsteps.experiment.ownership import RECIPE, RUN
from smallsteps.experiment.so_far import RunSoFar

SHOWN_ELSEWHERE = ("title", "about", "arms", "seeds", "baseline", "student.device")
"""Keys that the tables show, or that change no figure."""


@dataclass(frozen=True)
class DifferingSetting:
    """A key of the recipe that is not the same in all runs."""

    key: str
    values: Sequence[str]
    """In each run, as YAML; "–": not set."""


def differing_settings(runs: Sequence[RunSoFar]) -> list[DifferingSetting]:
    """The settings in which the recipes of the runs differ, in the order of the recipe; none where
    there is one run. A key that a recipe lacks is the same as null. A section that some recipe has
    not (no arm reads it there) says nothing about the others.

    Raises RunFolderError where a recipe cannot be read."""
    if len(runs) < 2:  # its results may have been given away without its recipe
        return []
    recipes = [_recipe(run) for run in runs]
    names = dict.fromkeys(name for recipe in recipes for name in recipe)
    in_some = {name for name in names if len({isinstance(r.get(name), dict) for r in recipes}) > 1}
    contents = [
        dict(_flat({name: value for name, value in recipe.items() if name not in in_some}))
        for recipe in recipes
    ]
    keys = dict.fromkeys(key for content in contents for key in content)
    return [
        DifferingSetting(key, [_shown(content.get(key)) for content in contents])
        for key in keys
        if key not in SHOWN_ELSEWHERE
        and any(content.get(key) != contents[0].get(key) for content in contents)
    ]


def _recipe(run: RunSoFar) -> Mapping[str, Any]:
    path = run.folder / RECIPE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise RunFolderError(f"{path}: cannot be read ({why}). Leave the run out.") from None
    return content if isinstance(content, dict) else {}


def _flat(content: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{within}{key}.")
        else:
            yield f"{within}{key}", value


def _shown(value: Any) -> str:
    """A value as one would type it.

    >>> _shown(0.0003), _shown(None), _shown(["a", "b"]), _shown(True)
    ('0.0003', '–', '[a, b]', 'true')
    """
    if value is None:
        return "–"
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()


def labels(folders: Sequence[Path]) -> list[str]:
    """What runs are called: the names of their folders, with as many folders above as tell them
    apart.

    >>> labels([Path("/runs/a"), Path("/runs/b")]), labels([Path("/x/run"), Path("/y/run")])
    (['a', 'b'], ['x/run', 'y/run'])
    """
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def times_compare(runs: Sequence[RunSoFar]) -> bool:
    """Whether times of these runs mean the same: it is one run, or all were made on one kind of
    machine. Where the machine is not known, they may not."""
    if len(runs) < 2:
        return True
    machines = [_machines(run) for run in runs]
    return all(machines) and len(set[str]().union(*machines)) == 1


def _machines(run: RunSoFar) -> set[str]:
    """The machines that a run's files name: processor, cores, graphics cards."""
    made = run.results.provenance
    machines = set() if made is None else {made.hardware}
    try:
        content = read_object(run.folder / RUN)
    except (OSError, ValueError):
        return machines
    for record in [content, *content.get("earlier", [])]:
        machines |= {(record.get("provenance") or {}).get("hardware") or ""}
    return machines - {""}
