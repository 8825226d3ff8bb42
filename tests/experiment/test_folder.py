"""Run folders: a stage is done once, counts only when whole, a folder belongs to one recipe, and
files of others are left alone."""

import errno
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from smallsteps.disk import write_text
from smallsteps.errors import (
    DataError,
    DeviceError,
    DeviceMemoryError,
    DiskError,
    RunFolderError,
)
from smallsteps.experiment import folder as folder_module
from smallsteps.experiment.folder import complete, run_folder
from smallsteps.experiment.recipe import make_recipe
from tiny_runs import tiny_content


class Lines:
    """A reporter that keeps its lines."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)

    def advance(self, what, done, total, info=""):
        pass


@contextmanager
def opened(path, digest="a", reporter=None, recipe_yaml="title: x\n"):
    with run_folder(path / "run", digest, recipe_yaml, reporter) as run:
        yield run


def begin(path, digest="a"):
    """A run folder with nothing but what every one has."""
    with opened(path, digest) as run:
        return run.path


def write_output(folder):
    write_text(folder / "out.txt", "1")


def files_below(path):
    return {
        str(p.relative_to(path)): p.read_bytes() if p.is_file() else None for p in path.rglob("*")
    }


# ---- stages ----


def test_a_complete_stage_is_not_made_again(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        write_output(folder)

    for _ in range(2):
        with opened(tmp_path) as run:
            run.stage("one", make)
    assert len(made) == 1


DAMAGES = {
    "change": lambda folder: (folder / "out.txt").write_text("2"),
    "remove": lambda folder: (folder / "out.txt").unlink(),
    "torn manifest": lambda folder: (folder / "manifest.json").write_text('{"files": {'),
    "empty manifest": lambda folder: (folder / "manifest.json").write_text(""),
    "binary manifest": lambda folder: (folder / "manifest.json").write_bytes(b"\xff\x00"),
    "manifest is a list": lambda folder: (folder / "manifest.json").write_text("[]"),
    "manifest is null": lambda folder: (folder / "manifest.json").write_text("null"),
    "manifest names a list": lambda folder: (folder / "manifest.json").write_text('{"files": []}'),
    "manifest names no text": lambda folder: (folder / "manifest.json").write_text(
        '{"files": {"out.txt": 1}}'
    ),
    "manifest names another digest": lambda folder: (folder / "manifest.json").write_text(
        (folder / "manifest.json").read_text().replace('.txt": "6', '.txt": "7')
    ),
    "manifest is deep": lambda folder: (folder / "manifest.json").write_text("[" * 100_000),
}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_stage_is_named_and_made_again(tmp_path, damage, keep):
    with opened(tmp_path) as run:
        folder = run.stage("one", write_output, keep=keep)
    DAMAGES[damage](folder)
    assert not complete(folder)
    reporter = Lines()
    with opened(tmp_path, reporter=reporter) as run:
        run.stage("one", write_output, keep=keep)
    assert complete(folder)
    assert (folder / "out.txt").read_text() == "1"
    name = "manifest.json" if "manifest" in damage else "out.txt"
    assert reporter.lines == [f"{folder / name}: damaged; one is made again"]


def test_a_stage_without_a_manifest_is_made_again(tmp_path):
    with opened(tmp_path) as run:
        folder = run.stage("one", write_output)
    (folder / "manifest.json").unlink()
    with opened(tmp_path) as run:
        run.stage("one", write_output)
    assert complete(folder)


def test_what_an_interrupted_attempt_left_is_removed_unless_kept(tmp_path):
    with opened(tmp_path) as run:
        left = run.path / "one" / "left.txt"
        write_text(left, "x")
        run.stage("one", lambda p: None)
        assert not left.exists()
        kept = run.path / "two" / "left.txt"
        write_text(kept, "x")
        run.stage("two", lambda p: None, keep=True)
        assert kept.exists()


def test_a_damaged_file_of_a_kept_stage_is_not_there_when_it_is_made_again(tmp_path):
    with opened(tmp_path) as run:
        folder = run.stage(
            "one", lambda p: (write_output(p), write_text(p / "other.txt", "x")), keep=True
        )
    (folder / "out.txt").write_text("damaged")

    def make(folder):
        assert [path.name for path in folder.iterdir()] == ["other.txt"]
        write_output(folder)

    with opened(tmp_path) as run:
        run.stage("one", make, keep=True)
    assert complete(folder)


def test_a_folder_that_is_discarded_is_no_damage_also_where_a_kill_left_it(tmp_path, monkeypatch):
    def make(folder):
        for name in ("candidate-1", "candidate-10"):
            (folder / name).mkdir()
            write_output(folder / name)

    def kill(name):
        if name == "discard:one":
            raise KeyboardInterrupt

    with opened(tmp_path) as run:
        stage = run.stage("one", make)
        with monkeypatch.context() as patch:
            patch.setattr(folder_module, "fail_point", kill)
            with pytest.raises(KeyboardInterrupt):
                run.discard_folders("one", [stage / "candidate-1"])
        assert (stage / "candidate-1").is_dir() and complete(stage)
        run.discard_folders("one", [stage / "candidate-1"])
    assert complete(stage) and not (stage / "candidate-1").exists()
    (stage / "candidate-10" / "out.txt").write_text("damaged")
    assert not complete(stage), "the other folder, whose name begins alike, is still watched"


def test_damage_of_a_stage_that_nobody_reads_any_more_is_named(tmp_path):
    with opened(tmp_path) as run:
        for name in ("read", "not/read"):
            run.stage(name, write_output)
    for name in ("read", "not/read"):
        (run.path / name / "out.txt").write_text("2")
    reporter = Lines()
    with opened(tmp_path, reporter=reporter) as run:
        run.stage("read", write_output)
        run.name_other_damage()
    assert "read is made again" in reporter.lines[0]
    assert (
        f"{run.path}/not/read/out.txt: damaged; no figure of this run was read from it"
        in reporter.lines[1]
    )


def test_fixed_stages_that_cannot_be_had_again_are_refused_every_time(tmp_path):
    with opened(tmp_path) as run:
        folder = run.stage("data", write_output, fixed=True)
    (folder / "out.txt").unlink()
    for _ in range(2):
        with (
            pytest.raises(RunFolderError, match=r"out\.txt: damaged, and made again it differs"),
            opened(tmp_path) as run,
        ):
            run.stage("data", lambda p: write_text(p / "out.txt", "other data"), fixed=True)
    with opened(tmp_path) as run:
        run.stage("data", write_output, fixed=True)
    assert complete(folder)


def test_weights_that_come_out_otherwise_are_said(tmp_path):
    with opened(tmp_path) as run:
        folder = run.stage("training", lambda p: write_text(p / "model.safetensors", "1"))
    (folder / "model.safetensors").unlink()
    reporter = Lines()
    with opened(tmp_path, reporter=reporter) as run:
        run.stage("training", lambda p: write_text(p / "model.safetensors", "2"))
    assert "the weights differ from the earlier ones" in reporter.lines[-1]


def test_a_file_where_a_stage_belongs_is_named(tmp_path):
    with (
        pytest.raises(RunFolderError, match=r"run/one: expected a folder"),
        opened(tmp_path) as run,
    ):
        write_text(run.path / "one", "x")
        run.stage("one", write_output)


def test_a_folder_where_a_manifest_belongs_is_named(tmp_path):
    with opened(tmp_path) as run:
        folder = run.stage("one", write_output, keep=True)
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()
    with (
        pytest.raises(RunFolderError, match=r"manifest\.json: expected a file, got a folder"),
        opened(tmp_path) as run,
    ):
        run.stage("one", write_output, keep=True)


def test_a_folder_that_stood_empty_or_whose_start_was_cut_off_is_taken(tmp_path):
    for names in ((), (".lock",), (".lock", ".run.json.0af3.part")):
        folder = tmp_path / str(len(names)) / "run"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
        with opened(folder.parent) as run:
            run.stage("one", write_output)
        assert complete(folder / "one")


def test_a_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    with opened(tmp_path) as run:
        run.stage("one", write_output)
    assert complete(tmp_path / "disk" / "one")


# ---- damaged files beside the stages ----


BROKEN = {
    "torn": b'{"digest": "a", ',
    "empty": b"",
    "binary": b"\xff\xfe\x00",
    "list": b"[]",
    "null": b"null",
    "other": b'{"digest": "a", "provenance": {"x": 1}}',
}


@pytest.mark.parametrize("content", BROKEN)
def test_a_damaged_run_file_is_named_and_written_anew(tmp_path, content):
    folder = begin(tmp_path)
    (folder / "run.json").write_bytes(BROKEN[content])
    reporter = Lines()
    with opened(tmp_path, reporter=reporter) as run:
        assert json.loads((run.path / "run.json").read_text())["provenance"]["versions"]["torch"]
    assert "run.json: damaged (" in reporter.lines[0]
    with opened(tmp_path, reporter=reporter):
        pass
    assert len(reporter.lines) == 1


def test_a_damaged_run_file_beside_another_recipe_is_named_and_left_alone(tmp_path):
    folder = begin(tmp_path)
    (folder / "run.json").write_text("{")
    (folder / "recipe.yaml").write_text("title: y\n")
    before = files_below(folder)
    with (
        pytest.raises(RunFolderError, match=r"run\.json is damaged \(not whole JSON\)"),
        opened(tmp_path),
    ):
        pass
    assert files_below(folder) == before


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"title: y\n"])
def test_a_damaged_recipe_is_written_anew(tmp_path, content):
    folder = begin(tmp_path)
    (folder / "recipe.yaml").unlink()
    if content is not None:
        (folder / "recipe.yaml").write_bytes(content)
    reporter = Lines()
    with opened(tmp_path, reporter=reporter):
        pass
    assert (folder / "recipe.yaml").read_text() == "title: x\n"
    assert "recipe.yaml: damaged (" in reporter.lines[0]


def test_a_recipe_that_differs_in_what_the_digest_leaves_out_is_no_damage(tmp_path):
    begin(tmp_path)
    reporter = Lines()
    with opened(tmp_path, reporter=reporter, recipe_yaml="title: x\ndevice: cpu\n") as run:
        assert (run.path / "recipe.yaml").read_text() == "title: x\n"
    assert not reporter.lines


@pytest.mark.parametrize(
    "name",
    ["run.json", "recipe.yaml", "results.json", "manifest.json", "report.html", "figure.svg"],
)
def test_a_folder_where_a_file_belongs_is_named(tmp_path, name):
    folder = begin(tmp_path)
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(RunFolderError, match=f"{name}"), opened(tmp_path):
        pass


# ---- two processes ----


def test_a_second_process_of_the_recipe_makes_what_the_first_does_not(tmp_path):
    code = f"""if True:
        from pathlib import Path
        from smallsteps.disk import write_text
        from smallsteps.experiment.folder import run_folder
        with run_folder(Path({str(tmp_path / "run")!r}), "a", "title: x\\n") as run:
            names = ["one", "two"]
            make = lambda folder: write_text(folder / "out.txt", "2")
            run.workers.taking(names, lambda name: run.stage(name, make))
    """
    started = []

    def make_slowly(folder):
        started.append(subprocess.Popen([sys.executable, "-c", code]))
        while not complete(run.path / "two"):
            time.sleep(0.05)
        write_output(folder)

    with opened(tmp_path) as run:
        run.stage("one", make_slowly)
        assert started[0].wait(60) == 0
        assert (run.path / "one" / "out.txt").read_text() == "1"
        assert (run.path / "two" / "out.txt").read_text() == "2"
    assert not (run.path / ".locks").exists()


def test_of_processes_that_start_at_once_on_a_new_folder_one_works(tmp_path):
    # the first waits at the lock; nothing of the others may be in the folder afterwards
    code = """if True:
        import sys, time
        from pathlib import Path
        from smallsteps.errors import RunFolderError
        from smallsteps.experiment.folder import run_folder
        sys.stdin.readline()
        try:
            with run_folder(Path(sys.argv[1]), sys.argv[2], f"title: {sys.argv[2]}"):
                time.sleep(1)
        except RunFolderError as error:
            sys.exit(f"{error}")
    """
    folder = tmp_path / "deep" / "er" / "run"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder), digest],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for digest in "abc"
    ]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1] for process in started]
    winners = [
        digest for digest, process in zip("abc", started, strict=True) if not process.returncode
    ]
    assert len(winners) == 1
    assert json.loads((folder / "run.json").read_text())["digest"] == winners[0]
    assert (folder / "recipe.yaml").read_text() == f"title: {winners[0]}"
    for error in errors:
        assert not error or "another recipe" in error


@pytest.mark.skipif(os.name != "posix", reason="no flock here")
def test_a_file_system_without_locks_is_named_before_anything_is_written(tmp_path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    message = r"run: the file system refuses to lock files \(no locks available\), so two"
    with pytest.raises(RunFolderError, match=message):
        begin(tmp_path)
    assert not list(tmp_path.iterdir()), "nothing is left"
    monkeypatch.undo()
    begin(tmp_path)
    monkeypatch.setattr(fcntl, "flock", refuse)
    before = files_below(tmp_path)
    with pytest.raises(RunFolderError, match=message):
        begin(tmp_path)
    assert files_below(tmp_path) == before, "nothing is lost"


# ---- a run that came to nothing ----


def fail(path, error):
    with pytest.raises(type(error)), opened(path) as run:
        run.stage("arms/direct/data", lambda folder: write_text(folder / "rows.txt", "1"))
        raise error


def test_a_folder_that_came_to_nothing_by_the_users_mistake_is_free_again(tmp_path):
    fail(tmp_path / "new" / "folder", DataError("wrong"))
    assert not list(tmp_path.iterdir()), "the parents that were made go as well"
    with opened(tmp_path, "another recipe"):
        pass


@pytest.mark.parametrize("kind", [DeviceError, DeviceMemoryError, DiskError])
def test_a_folder_stays_where_the_machine_failed_before_any_training(tmp_path, kind):
    fail(tmp_path, kind("the GPU failed"))
    assert complete(tmp_path / "run" / "arms/direct/data"), "the same command goes on"


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_that_was_there_before_survives_a_failed_run(tmp_path, link):
    folder = tmp_path / "run"
    if link:
        (tmp_path / "disk").mkdir()
        folder.symlink_to(tmp_path / "disk")
    else:
        folder.mkdir()
    fail(tmp_path, DataError("wrong"))
    assert folder.is_dir() and folder.is_symlink() == link
    assert not list(folder.iterdir())


def test_what_others_put_into_the_folder_meanwhile_survives_a_failed_run(tmp_path):
    with pytest.raises(DataError), opened(tmp_path) as run:
        run.stage("arms/direct/data", write_output)
        (run.path / "notes.txt").write_text("mine")
        (run.path / "arms" / "notes.txt").write_text("mine")
        raise DataError("wrong")
    assert files_below(tmp_path / "run") == {
        "notes.txt": b"mine",
        "arms": None,
        "arms/notes.txt": b"mine",
    }


def test_a_folder_stays_where_training_had_begun_or_where_it_was_there_before(tmp_path):
    with pytest.raises(DataError), opened(tmp_path / "begun") as begun:
        begun.stage("training", lambda p: write_text(p / "checkpoint", "1"), keep=True)
        raise DataError("wrong")
    assert (begun.path / "training" / "checkpoint").exists()
    begin(tmp_path / "before")
    fail(tmp_path / "before", DataError("wrong"))
    assert (tmp_path / "before" / "run" / "arms").exists()
    fail(tmp_path / "bug", ValueError("a bug"))
    assert (tmp_path / "bug" / "run" / "arms").exists(), "what a bug left is evidence"


# ---- growing ----


class Killed(BaseException):
    """What nothing between here and the test catches."""


SMALL, LARGE = (make_recipe(tiny_content(arms=["base"], seeds=seeds)) for seeds in ([0], [0, 1]))


@contextmanager
def opened_as(recipe, path, reporter=None):
    with run_folder(path / "run", recipe.digest(), recipe.to_yaml(), reporter) as run:
        yield run


def make_small(path):
    with opened_as(SMALL, path) as run:
        for name in ("data", "plan"):
            run.stage(name, write_output)


def test_a_run_does_not_grow_while_another_process_works_by_the_smaller_recipe(tmp_path):
    make_small(tmp_path)
    refusal = "another process is working in .* with fewer arms or seeds. Wait for it"
    with (
        opened_as(SMALL, tmp_path),
        pytest.raises(RunFolderError, match=refusal),
        opened_as(LARGE, tmp_path),
    ):
        pass
    with opened_as(LARGE, tmp_path) as large:
        with opened_as(SMALL, tmp_path), pytest.raises(RunFolderError, match=refusal):
            large.grow(LARGE.to_yaml(), [])
        large.grow(LARGE.to_yaml(), ["plan"])
        assert large.growth is None


def test_of_two_processes_that_let_a_run_grow_one_does_it(tmp_path):
    make_small(tmp_path)
    with opened_as(LARGE, tmp_path) as first, opened_as(LARGE, tmp_path) as second:
        first.grow(LARGE.to_yaml(), ["plan"])
        first.stage("plan", write_output)
        second.grow(LARGE.to_yaml(), ["plan"])
        assert second.growth is None
        assert complete(second.path / "plan"), "what the first has made anew stays"


def test_what_another_process_works_on_survives_a_mistake_of_the_user(tmp_path):
    with pytest.raises(DataError), opened(tmp_path) as first, opened(tmp_path) as second:
        second.stage("data", write_output)
        with pytest.raises(DataError), opened(tmp_path):
            raise DataError("wrong")
        raise DataError("wrong")
    assert complete(first.path / "data")


def test_a_folder_stays_that_of_the_smaller_recipe_until_it_grows(tmp_path):
    make_small(tmp_path)
    before = files_below(tmp_path)
    with opened_as(LARGE, tmp_path) as run:
        assert run.growth is not None and run.growth.seeds == [1]
    assert files_below(tmp_path) == before
    with opened_as(LARGE, tmp_path) as run:
        run.grow(LARGE.to_yaml(), ["plan"])
        assert run.growth is None and not (run.path / "plan").exists()
        assert complete(run.path / "data")
    with opened_as(LARGE, tmp_path) as run:
        assert run.growth is None, "it is its own folder now"
    with (
        pytest.raises(RunFolderError, match="belongs to another recipe"),
        opened_as(SMALL, tmp_path),
    ):
        pass


@pytest.mark.parametrize("point", ["forgotten", "unsigned", "run", "recipe"])
def test_a_folder_killed_while_it_grows_goes_on_without_damage(point, tmp_path, monkeypatch):
    def killing(name):
        if name == f"grow:{point}":
            raise Killed

    make_small(tmp_path)
    monkeypatch.setattr(folder_module, "fail_point", killing)
    with pytest.raises(Killed), opened_as(LARGE, tmp_path) as run:
        run.grow(LARGE.to_yaml(), ["plan"])
    monkeypatch.undo()
    listener = Lines()
    with opened_as(LARGE, tmp_path, listener) as run:
        assert (run.growth is None) == (point in ("run", "recipe"))
        if run.growth is not None:
            run.grow(LARGE.to_yaml(), ["plan"])
    assert listener.lines == []
    with opened_as(LARGE, tmp_path, listener) as run:
        assert (run.path / "recipe.yaml").read_text() == LARGE.to_yaml()
        assert not run.damaged("recipe.yaml") and not run.damaged("run.json")
        content = json.loads((run.path / "run.json").read_text())
        assert content["digest"] == LARGE.digest()
        assert [earlier["digest"] for earlier in content["earlier"]] == [SMALL.digest()]


@pytest.mark.parametrize("point", ["forgotten", "unsigned"])
def test_killed_before_it_is_the_larger_ones_a_folder_is_the_smaller_ones(
    point, tmp_path, monkeypatch
):
    def killing(name):
        if name == f"grow:{point}":
            raise Killed

    make_small(tmp_path)
    monkeypatch.setattr(folder_module, "fail_point", killing)
    with pytest.raises(Killed), opened_as(LARGE, tmp_path) as run:
        run.grow(LARGE.to_yaml(), ["plan"])
    monkeypatch.undo()
    listener = Lines()
    with opened_as(SMALL, tmp_path, listener) as run:
        assert run.growth is None
        run.stage("plan", write_output)
    assert listener.lines == []
    assert (run.path / "recipe.yaml").read_text() == SMALL.to_yaml()


def test_a_forgotten_stage_loses_its_manifest_first(tmp_path, monkeypatch):
    """The trap: files deleted before it would look like damage."""
    make_small(tmp_path)
    monkeypatch.setattr(folder_module.shutil, "rmtree", lambda *_, **__: None)
    with opened_as(SMALL, tmp_path) as run:
        run.forget("plan")
        assert files_below(run.path / "plan") == {"out.txt": b"1"}
