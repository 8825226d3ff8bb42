"""The run folder: each stage is done once, checked before it is used again, and resumed.

    DIR/recipe.yaml      the recipe with every setting
    DIR/run.json         digest of the recipe, versions, hardware (`provenance.py`); where the run
                         has grown, also those of the smaller recipes (`earlier`)
    DIR/manifest.json    the SHA-256 of recipe.yaml, run.json and results.json
    DIR/<stage>/…        what a stage made, with a manifest.json of its files, written last
    DIR/time.json        how long each command has worked (`time_taken.py`); not signed
    DIR/results.json     the figures
    DIR/report.html      the page

A stage is complete once its manifest is there and its files have the digests it names. Damaged
files are named and made again. Anything else in a stage's folder is what a killed run left, and the
stage is done again (training goes on from its own checkpoints).

Processes work only in a folder that is free or the recipe's (`ownership.py`). Several may work in
it at the same time: a stage is made by one of them (`workers.py`), or by all processes of one
launch together (`team.py`), of which the first writes and holds the locks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from smallsteps import lock, team
from smallsteps.disk import (
    damage,
    digests,
    file_digest,
    read_manifest,
    read_object,
    seal,
    write_json,
    write_manifest,
    write_text,
)
from smallsteps.errors import MachineError, RunFolderError, UserError
from smallsteps.experiment.fail_points import fail_point
from smallsteps.experiment.growing import Growth
from smallsteps.experiment.ownership import (
    LOCK,
    MANIFEST,
    RECIPE,
    RUN,
    TIME,
    check_folder,
    find_growth,
)
from smallsteps.experiment.provenance import provenance
from smallsteps.experiment.reporter import Reporter, Silent
from smallsteps.experiment.workers import Workers


@contextlib.contextmanager
def run_folder(
    path: Path, digest: str, recipe_yaml: str, reporter: Reporter | None = None
) -> Iterator[RunFolder]:
    """The folder of a recipe's run, made or opened again; this process works in it while the block
    runs.

    Raises RunFolderError, with nothing written, where the folder belongs to another recipe, holds
    files of others, or another process works in it by a smaller recipe. A UserError in the block
    before any training, other than a fault of the machine, removes what was made here, so that the
    corrected command finds the folder free.
    """
    workers = Workers(path, digest, reporter or Silent())
    fresh, new_folders = False, list[Path]()
    with contextlib.ExitStack() as stack:

        def enter() -> Growth | None:
            nonlocal fresh, new_folders
            check_folder(path, digest, recipe_yaml)
            try:
                new_folders = _make_folders(path)
                moment = stack.enter_context(contextlib.ExitStack())
                moment.enter_context(workers.moment())
            except RunFolderError:  # a file system without locks
                _remove_empty(new_folders)
                raise
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                raise RunFolderError(f"--out {path}: cannot be made or locked ({why}).") from None
            # again, now that no other process writes into it
            fresh = check_folder(path, digest, recipe_yaml, holds_lock=True)
            growth = None if fresh else find_growth(path, digest, recipe_yaml)
            run = RunFolder(path, digest, workers, growth)
            if growth is not None:
                run.refuse_other_recipes()
            elif workers.others():
                run.reporter.say(f"another process works in {path} too; each takes what is free")
            stack.enter_context(workers.joined())
            run.begin(recipe_yaml, fresh)
            moment.close()
            return growth

        run = RunFolder(path, digest, workers, team.from_first(enter))
        try:
            yield run
        except MachineError:  # no mistake in the command: typed again, it goes on
            raise
        except UserError:
            if fresh:
                run.remove_failed(new_folders)
            raise


def _make_folders(path: Path) -> list[Path]:
    """Makes the folder with those above it. Returns the new ones, outermost first."""
    missing = [folder for folder in (*reversed(path.parents), path) if not os.path.lexists(folder)]
    path.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(new_folders: Sequence[Path]) -> None:
    for folder in reversed(new_folders):
        with contextlib.suppress(OSError):  # not empty: somebody else uses it
            folder.rmdir()


def complete(folder: Path) -> bool:
    """Whether a stage's folder has its manifest and the very files that it names."""
    return damage(folder, MANIFEST) == []


@contextlib.contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """Where this process puts a stage's files: the stage's folder, or, where another process of its
    launch fills that, a folder that is thrown away."""
    if team.is_first():
        yield folder
        return
    with TemporaryDirectory(prefix="smallsteps-") as place:
        yield Path(place)


class RunFolder:
    """A folder that belongs to one recipe; `run_folder` opens it."""

    def __init__(
        self, path: Path, digest: str, workers: Workers, growth: Growth | None = None
    ) -> None:
        self.path = path
        self.digest = digest
        self.workers = workers
        self.reporter = workers.reporter
        self.growth = growth
        """How the recipe grows out of the folder's, until `grow`; None: the folder is its own."""
        self._checked_stages: set[Path] = set()
        self._made_stages: list[Path] = []
        """Folders of stages that this process made or tried to make."""
        self._costly_stages: list[Path] = []
        """Those of them whose work is worth keeping even where it is not finished."""

    # ---- files beside the stages ----

    def begin(self, recipe_yaml: str, fresh: bool) -> None:
        """Writes run.json and recipe.yaml where they are missing or damaged; nothing into the
        folder of a smaller recipe."""
        if self.growth is not None:
            return
        run, recipe = self.path / RUN, self.path / RECIPE
        if fresh or self.damaged(RUN):
            # first: it marks the folder as a run's
            write_json(run, {"digest": self.digest, "provenance": provenance()})
        is_signed = RECIPE in (read_manifest(self.path, MANIFEST) or {})
        # not signed: `grow` was cut off, and it may be the smaller recipe
        if fresh or self.damaged(RECIPE) or not is_signed:
            write_text(recipe, recipe_yaml)
        self._sign(RUN, RECIPE)

    def refuse_other_recipes(self) -> None:
        """Raises RunFolderError where another process works here by a smaller recipe. For a
        `moment` of the workers."""
        if self.workers.others(of_other_recipes=True):
            raise RunFolderError(
                f"another process is working in {self.path} with fewer arms or seeds. Wait for it, "
                "or choose another --out."
            )

    def grow(self, recipe_yaml: str, made_of_all: Iterable[str]) -> None:
        """Makes the folder that of the larger recipe. `made_of_all`: stages that are made from all
        arms together, which are made again.

        Killed anywhere, it belongs to one of the two recipes, and its stages to both: run.json
        decides, and is written in one step. Nothing is done where another process has done it
        meanwhile. Raises RunFolderError where one works here by the smaller recipe."""

        def grow() -> None:
            with self.workers.moment():
                if find_growth(self.path, self.digest, recipe_yaml) is not None:
                    self.refuse_other_recipes()
                    self._grow(recipe_yaml, made_of_all)

        team.from_first(grow)
        self.growth = None

    def _grow(self, recipe_yaml: str, made_of_all: Iterable[str]) -> None:
        for name in made_of_all:
            self.forget(name)
        fail_point("grow:forgotten")
        signed = read_manifest(self.path, MANIFEST) or {}
        kept = {name: digest for name, digest in signed.items() if name not in (RUN, RECIPE)}
        write_manifest(self.path, MANIFEST, kept)
        fail_point("grow:unsigned")
        before = read_object(self.path / RUN)
        earlier = [*before.pop("earlier", []), before]
        content = {"digest": self.digest, "provenance": provenance(), "earlier": earlier}
        write_json(self.path / RUN, content)
        fail_point("grow:run")
        write_text(self.path / RECIPE, recipe_yaml)
        fail_point("grow:recipe")
        self._sign(RUN, RECIPE)

    def forget(self, name: str) -> None:
        """Deletes a stage, so that it is made anew. Its manifest goes first: without it, the rest
        is what a kill leaves."""
        folder = self.path / name

        def forget() -> None:
            (folder / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)

        team.from_first(forget)

    def damaged(self, name: str) -> bool:
        """Whether a file beside the stages is missing or not what was signed; reports it."""
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
        with self.workers.moment():
            self._sign(*names)

    def _sign(self, *names: str) -> None:
        signed = read_manifest(self.path, MANIFEST) or {}
        new = {name: file_digest(self.path / name) for name in names}
        if signed != {**signed, **new}:
            write_manifest(self.path, MANIFEST, {**signed, **new})

    # ---- stages ----

    def stage(
        self,
        name: str,
        make: Callable[[Path], None],
        *,
        keep: bool = False,
        fixed: bool = False,
        alone: bool = False,
    ) -> Path:
        """The stage's folder. `make` fills it where it is not complete and undamaged yet. Where
        another process is making it, waits for that process, or raises StageTaken (`workers.py`).

        keep: keeps what an interrupted attempt left (training resumes from it). fixed: what is made
        again must equal what was damaged, because later stages rest on it; raises RunFolderError
        where it does not. Of several processes of one launch, all call `make`: the first with the
        stage's folder, the others with one that is thrown away, or with `keep` the same one, into
        which only the first may write. alone: only the first calls it.
        """
        if alone:
            team.from_first(lambda: self._stage(name, make, keep, fixed))
        else:
            self._stage(name, make, keep, fixed)
        self._checked_stages.add(self.path / name)
        fail_point(f"after:{name}")
        return self.path / name

    def _stage(self, name: str, make: Callable[[Path], None], keep: bool, fixed: bool) -> None:
        folder = self.path / name
        with contextlib.ExitStack() as making:
            begun = team.from_first(lambda: self._begin_stage(name, keep, making))
            if begun is None:
                return
            with contextlib.nullcontext(folder) if keep else _own_folder(folder) as place:
                make(place)
            team.from_first(lambda: self._end_stage(name, begun, fixed))

    def _begin_stage(
        self, name: str, keep: bool, making: contextlib.ExitStack
    ) -> dict[str, str] | None:
        """Makes room for a stage, which no other process makes until `making` is closed. Returns
        the digests of its files if it was complete before; None: it is complete and undamaged."""
        folder = self.path / name
        if complete(folder):
            return None
        making.enter_context(self.workers.making(name))
        damaged = damage(folder, MANIFEST)  # again: another process may have made it
        if damaged == []:
            return None
        earlier = self._clear(folder, damaged or [], keep)
        self._made_stages.append(folder)
        if keep:
            self._costly_stages.append(folder)
        return earlier

    def _end_stage(self, name: str, earlier: Mapping[str, str], fixed: bool) -> None:
        fail_point(f"before-manifest:{name}")
        if earlier:
            self._compare(self.path / name, earlier, fixed)
        seal(self.path / name, MANIFEST)

    def discard_folders(self, name: str, folders: Sequence[Path]) -> None:
        """Deletes folders within a complete stage. They leave its manifest first, so that a kill
        leaves the stage whole."""
        team.from_first(lambda: self._discard_folders(name, folders))

    def _discard_folders(self, name: str, folders: Sequence[Path]) -> None:
        stage = self.path / name
        prefixes = tuple(f"{folder.relative_to(stage).as_posix()}/" for folder in folders)
        with self.workers.making(name):
            files = read_manifest(stage, MANIFEST) or {}
            kept = {path: digest for path, digest in files.items() if not path.startswith(prefixes)}
            if kept != files:
                write_manifest(stage, MANIFEST, kept)
        fail_point(f"discard:{name}")
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _clear(self, folder: Path, damaged: Sequence[str], keep: bool) -> dict[str, str]:
        """Makes room for a stage. Returns the digests of its files if it was complete before."""
        earlier = read_manifest(folder, MANIFEST) or {} if damaged else {}
        if damaged:
            more = f" and {len(damaged) - 1} more files" if len(damaged) > 1 else ""
            stage = folder.relative_to(self.path)
            self.reporter.say(f"{folder / damaged[0]}{more}: damaged; {stage} is made again")
        invalid = [folder / name for name in (*damaged, MANIFEST)]
        for path in invalid:
            if path.is_dir():
                raise RunFolderError(
                    f"{path}: expected a file, got a folder. Remove it and run again."
                )
        if keep:
            for path in invalid:
                path.unlink(missing_ok=True)
        elif folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(
                f"{folder}: expected a folder ({error.strerror}). Remove what is there and run "
                "again."
            ) from None
        return earlier

    def _compare(self, folder: Path, earlier: Mapping[str, str], fixed: bool) -> None:
        """Compares a stage that was made again with the digests of its earlier files."""
        now = digests(folder, MANIFEST)
        changed = [name for name, digest in earlier.items() if now.get(name) != digest]
        if fixed and changed:
            write_manifest(folder, MANIFEST, earlier)  # the next attempt compares as well
            raise RunFolderError(
                f"{folder / changed[0]}: damaged, and made again it differs: the data or the "
                f"smallsteps version changed. Delete {self.path} and run again, or choose another "
                "--out."
            )
        weights = [name for name in changed if name.endswith(".safetensors")]
        if weights:
            self.reporter.say(
                f"{folder / weights[0]}: made again, the weights differ from the earlier ones "
                "(other hardware, threads or versions); answers of the earlier ones are kept. To "
                f"redo everything, delete {self.path}"
            )

    def name_other_damage(self) -> None:
        """Reports damage in stages that this process did not read, because what rests on them is
        complete."""
        for manifest in sorted(self.path.rglob(MANIFEST)):
            folder = manifest.parent
            if folder == self.path or folder in self._checked_stages:
                continue
            damaged = damage(folder, MANIFEST)
            if damaged:
                self.reporter.say(
                    f"{folder / damaged[0]}: damaged; no figure of this run was read from it. "
                    f"Delete {folder} if you do not need it."
                )

    # ---- a run that came to nothing ----

    def has_costly_work(self) -> bool:
        """Whether a stage holds work worth keeping: checkpoints, say."""
        return any(folder.is_dir() and any(folder.iterdir()) for folder in self._costly_stages)

    def remove_failed(self, new_folders: Sequence[Path]) -> None:
        """Removes what this process made in a fresh folder, and the folders on the way to it; but
        not costly work, and nothing where other processes work here."""
        with self.workers.moment():
            if self.has_costly_work() or self.workers.others():
                return
            self._remove_all_made()
            _remove_empty(new_folders)

    def _remove_all_made(self) -> None:
        for folder in self._made_stages:
            shutil.rmtree(folder, ignore_errors=True)
            for parent in folder.parents:
                if parent == self.path or any(parent.iterdir()):
                    break
                parent.rmdir()
        for name in (MANIFEST, TIME, RECIPE, RUN):
            (self.path / name).unlink(missing_ok=True)
        self.workers.leave()
        lock.discard(self.path / LOCK)
