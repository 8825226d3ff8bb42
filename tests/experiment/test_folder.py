"""Run folders: a stage is done once, counts only when whole, a folder belongs to one recipe, and
files of others are left alone."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from smallsteps.disk import write_text
from smallsteps.errors import DataError, RunFolderError
from smallsteps.experiment.folder import complete, run_folder


class Said:
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


def one(place):
    write_text(place / "out.txt", "1")


def files_below(path):
    return {
        str(p.relative_to(path)): p.read_bytes() if p.is_file() else None for p in path.rglob("*")
    }


# ---- stages ----


def test_a_complete_stage_is_not_made_again(tmp_path):
    made = []

    def make(place):
        made.append(place)
        one(place)

    for _ in range(2):
        with opened(tmp_path) as run:
            run.stage("one", make)
    assert len(made) == 1


DAMAGES = {
    "change": lambda place: (place / "out.txt").write_text("2"),
    "remove": lambda place: (place / "out.txt").unlink(),
    "torn manifest": lambda place: (place / "manifest.json").write_text('{"files": {'),
    "empty manifest": lambda place: (place / "manifest.json").write_text(""),
    "binary manifest": lambda place: (place / "manifest.json").write_bytes(b"\xff\x00"),
    "manifest is a list": lambda place: (place / "manifest.json").write_text("[]"),
    "manifest is null": lambda place: (place / "manifest.json").write_text("null"),
    "manifest names a list": lambda place: (place / "manifest.json").write_text('{"files": []}'),
    "manifest names no text": lambda place: (place / "manifest.json").write_text(
        '{"files": {"out.txt": 1}}'
    ),
    "manifest names another digest": lambda place: (place / "manifest.json").write_text(
        (place / "manifest.json").read_text().replace('.txt": "6', '.txt": "7')
    ),
    "manifest is deep": lambda place: (place / "manifest.json").write_text("[" * 100_000),
}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_stage_is_named_and_made_again(tmp_path, damage, keep):
    with opened(tmp_path) as run:
        place = run.stage("one", one, keep=keep)
    DAMAGES[damage](place)
    assert not complete(place)
    said = Said()
    with opened(tmp_path, reporter=said) as run:
        run.stage("one", one, keep=keep)
    assert complete(place)
    assert (place / "out.txt").read_text() == "1"
    name = "manifest.json" if "manifest" in damage else "out.txt"
    assert said.lines == [f"{place / name}: damaged; one is made again"]


def test_a_stage_without_a_manifest_is_made_again(tmp_path):
    with opened(tmp_path) as run:
        place = run.stage("one", one)
    (place / "manifest.json").unlink()
    with opened(tmp_path) as run:
        run.stage("one", one)
    assert complete(place)


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
        place = run.stage("one", lambda p: (one(p), write_text(p / "other.txt", "x")), keep=True)
    (place / "out.txt").write_text("damaged")

    def make(folder):
        assert [path.name for path in folder.iterdir()] == ["other.txt"]
        one(folder)

    with opened(tmp_path) as run:
        run.stage("one", make, keep=True)
    assert complete(place)


def test_damage_of_a_stage_that_nobody_reads_any_more_is_named(tmp_path):
    with opened(tmp_path) as run:
        for name in ("read", "not/read"):
            run.stage(name, one)
    for name in ("read", "not/read"):
        (run.path / name / "out.txt").write_text("2")
    said = Said()
    with opened(tmp_path, reporter=said) as run:
        run.stage("read", one)
        run.name_other_damage()
    assert "read is made again" in said.lines[0]
    assert (
        f"{run.path}/not/read/out.txt: damaged; no figure of this run was read from it"
        in said.lines[1]
    )


def test_fixed_stages_that_cannot_be_had_again_are_refused_every_time(tmp_path):
    with opened(tmp_path) as run:
        place = run.stage("data", one, fixed=True)
    (place / "out.txt").unlink()
    for _ in range(2):
        with (
            pytest.raises(
                RunFolderError, match=r"out\.txt: damaged, and made again it is not what"
            ),
            opened(tmp_path) as run,
        ):
            run.stage("data", lambda p: write_text(p / "out.txt", "other data"), fixed=True)
    with opened(tmp_path) as run:
        run.stage("data", one, fixed=True)
    assert complete(place)


def test_weights_that_come_out_otherwise_are_said(tmp_path):
    with opened(tmp_path) as run:
        place = run.stage("training", lambda p: write_text(p / "model.safetensors", "1"))
    (place / "model.safetensors").unlink()
    said = Said()
    with opened(tmp_path, reporter=said) as run:
        run.stage("training", lambda p: write_text(p / "model.safetensors", "2"))
    assert "differs from the weights that were here" in said.lines[-1]


def test_a_file_where_a_stage_belongs_is_named(tmp_path):
    with (
        pytest.raises(RunFolderError, match=r"run/one: expected a folder"),
        opened(tmp_path) as run,
    ):
        write_text(run.path / "one", "x")
        run.stage("one", one)


def test_a_folder_where_a_manifest_belongs_is_named(tmp_path):
    with opened(tmp_path) as run:
        place = run.stage("one", one, keep=True)
    (place / "manifest.json").unlink()
    (place / "manifest.json").mkdir()
    with (
        pytest.raises(RunFolderError, match=r"manifest\.json: expected a file, found a folder"),
        opened(tmp_path) as run,
    ):
        run.stage("one", one, keep=True)


# ---- whose folder it is ----


def test_a_folder_of_another_recipe_is_refused(tmp_path):
    begin(tmp_path)
    with pytest.raises(RunFolderError, match="belongs to another recipe"), opened(tmp_path, "b"):
        pass


HERE = "title: x\ntrain: {budget: 5000, fair: tokens}\narms: [direct]\nseeds: [0]\n"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("budget: 5000", "budget: 6000"), "train.budget is 6000 there, 5000 here"),
        (
            ("[direct]", "[direct, ases-uni-inter]"),
            'arms is ["direct", "ases-uni-inter"] there, ["direct"] here',
        ),
        (("fair: tokens", "fair: tokens, passes: 2.0"), "train.passes is 2.0 there, missing here"),
        ((", fair: tokens", ""), 'train.fair is missing there, "tokens" here'),
        (
            ("seeds: [0]", "student: {name: t5}"),
            'seeds is missing there, [0] here; student is {"name": "t5"} there',
        ),
        (("{budget: 5000, fair: tokens}", "null"), "train is null there"),
        (("[direct]", "[{2024-01-01: x}]"), "arms is [{datetime.date(2024, 1, 1): 'x'}] there"),
        (("[direct]", "&again [*again]"), "arms is [[...]] there"),
    ],
)
def test_a_refused_folder_names_the_keys_that_differ(tmp_path, change, told):
    with opened(tmp_path, "a", recipe_yaml=HERE.replace(*change)):
        pass
    with (
        pytest.raises(RunFolderError, match=re.escape(told)) as refused,
        opened(tmp_path, "b", recipe_yaml=HERE),
    ):
        pass
    assert "belongs to another recipe" in str(refused.value) and "recipe.yaml" in str(refused.value)


def test_of_many_keys_that_differ_the_first_three_are_named(tmp_path):
    with opened(tmp_path, "a", recipe_yaml="{a: 1, b: 1, c: 1, d: 1, e: 1}"):
        pass
    told = r"\(a is 1 there, 2 here; b is 1 there, 2 here; c is 1 there, 2 here; and more; see"
    with (
        pytest.raises(RunFolderError, match=told),
        opened(tmp_path, "b", recipe_yaml="{a: 2, b: 2, c: 2, d: 2, e: 1}"),
    ):
        pass


@pytest.mark.parametrize(
    "there",
    ["title: x", "a: [", "", "[1, 2]", "a: !x 1"],
    ids=["equal", "torn", "empty", "list", "tag"],
)
def test_digests_are_named_where_no_key_can_be(tmp_path, there):
    with opened(tmp_path, "a", recipe_yaml=there):
        pass
    told = r"belongs to another recipe \(a, this one is b; see"
    with pytest.raises(RunFolderError, match=told), opened(tmp_path, "b", recipe_yaml="title: x"):
        pass


FOREIGN = {
    "a thesis": {"thesis.tex": "years of work"},
    "a recipe": {"recipe.yaml": "title: mine\n"},
    "this very recipe": {"recipe.yaml": "title: x\n"},
    "parts": {"download.part": "half"},
    "hidden": {".gitkeep": ""},
    "an empty folder": {"drafts/": ""},
    "a lock of others": {".lock": "pid 7"},
    "a lock and a draft": {".lock": "", ".a.0af3.part": ""},
    "results": {"results.json": "{}"},
    "a run of another tool": {"run.json": '{"id": 7}', "recipe.yaml": "title: mine\n"},
    "another run.json": {"run.json": "[]"},
}


@pytest.mark.parametrize("content", FOREIGN)
def test_a_folder_with_files_of_others_is_refused_and_left_alone(tmp_path, content):
    place = tmp_path / "run"
    place.mkdir()
    for name, text in FOREIGN[content].items():
        if name.endswith("/"):
            (place / name).mkdir()
        else:
            (place / name).write_text(text)
    before = files_below(tmp_path)
    with pytest.raises(RunFolderError, match="no run of smallsteps"), opened(tmp_path):
        pass
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("place", ["/", "~", "~/."])
def test_the_home_folder_and_the_root_are_no_run_folders(tmp_path, monkeypatch, place):
    monkeypatch.setenv("HOME", str(tmp_path))
    with (
        pytest.raises(RunFolderError, match=r"folder of its own|no run of smallsteps"),
        run_folder(Path(place).expanduser(), "a", ""),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300, "nul\0", "loop", "dangling"])
def test_what_can_be_no_folder_is_named(tmp_path, place):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(RunFolderError, match=r"^--out "), run_folder(tmp_path / place, "a", ""):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_folder_that_stood_empty_or_whose_start_was_cut_off_is_taken(tmp_path):
    for names in ((), (".lock",), (".lock", ".run.json.0af3.part")):
        place = tmp_path / str(len(names)) / "run"
        place.mkdir(parents=True)
        for name in names:
            (place / name).touch()
        with opened(place.parent) as run:
            run.stage("one", one)
        assert complete(place / "one")


def test_a_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    with opened(tmp_path) as run:
        run.stage("one", one)
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
    place = begin(tmp_path)
    (place / "run.json").write_bytes(BROKEN[content])
    said = Said()
    with opened(tmp_path, reporter=said) as run:
        assert json.loads((run.path / "run.json").read_text())["provenance"]["versions"]["torch"]
    assert "run.json: damaged (" in said.lines[0]
    with opened(tmp_path, reporter=said):
        pass
    assert len(said.lines) == 1


def test_a_damaged_run_file_beside_another_recipe_is_named_and_left_alone(tmp_path):
    place = begin(tmp_path)
    (place / "run.json").write_text("{")
    (place / "recipe.yaml").write_text("title: y\n")
    before = files_below(place)
    with (
        pytest.raises(RunFolderError, match=r"run\.json is damaged \(not whole JSON\)"),
        opened(tmp_path),
    ):
        pass
    assert files_below(place) == before


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"title: y\n"])
def test_a_damaged_recipe_is_written_anew(tmp_path, content):
    place = begin(tmp_path)
    (place / "recipe.yaml").unlink()
    if content is not None:
        (place / "recipe.yaml").write_bytes(content)
    said = Said()
    with opened(tmp_path, reporter=said):
        pass
    assert (place / "recipe.yaml").read_text() == "title: x\n"
    assert "recipe.yaml: damaged (" in said.lines[0]


def test_a_recipe_that_differs_in_what_the_digest_leaves_out_is_no_damage(tmp_path):
    begin(tmp_path)
    said = Said()
    with opened(tmp_path, reporter=said, recipe_yaml="title: x\ndevice: cpu\n") as run:
        assert (run.path / "recipe.yaml").read_text() == "title: x\n"
    assert not said.lines


@pytest.mark.parametrize(
    "name", ["run.json", "recipe.yaml", "results.json", "manifest.json", "report.html"]
)
def test_a_folder_where_a_file_belongs_is_named(tmp_path, name):
    place = begin(tmp_path)
    (place / name).unlink(missing_ok=True)
    (place / name).mkdir()
    with pytest.raises(RunFolderError, match=f"{name}"), opened(tmp_path):
        pass


# ---- two processes ----


def test_a_second_process_is_refused_while_the_first_works(tmp_path):
    place = tmp_path / "run"
    code = (
        "from pathlib import Path; from smallsteps.experiment.folder import run_folder\n"
        f"with run_folder(Path({str(place)!r}), 'a', 'title: x'): pass"
    )

    def other():
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )

    with opened(tmp_path):
        before = files_below(place)
        assert "another process is working" in other().stderr
        assert files_below(place) == before
    assert other().returncode == 0


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
    place = tmp_path / "deep" / "er" / "run"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(place), digest],
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
    assert json.loads((place / "run.json").read_text())["digest"] == winners[0]
    assert (place / "recipe.yaml").read_text() == f"title: {winners[0]}"
    for error in errors:
        assert not error or "another process is working" in error or "another recipe" in error


# ---- a run that came to nothing ----


def fail(path, error):
    with pytest.raises(type(error)), opened(path) as run:
        run.stage("arms/direct/data", lambda place: write_text(place / "rows.txt", "1"))
        raise error


def test_a_folder_that_came_to_nothing_by_the_users_mistake_is_free_again(tmp_path):
    fail(tmp_path / "new" / "folder", DataError("wrong"))
    assert not list(tmp_path.iterdir()), "the parents that were made go as well"
    with opened(tmp_path, "another recipe"):
        pass


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_that_was_there_before_survives_a_failed_run(tmp_path, link):
    place = tmp_path / "run"
    if link:
        (tmp_path / "disk").mkdir()
        place.symlink_to(tmp_path / "disk")
    else:
        place.mkdir()
    fail(tmp_path, DataError("wrong"))
    assert place.is_dir() and place.is_symlink() == link
    assert not list(place.iterdir())


def test_what_others_put_into_the_folder_meanwhile_survives_a_failed_run(tmp_path):
    with pytest.raises(DataError), opened(tmp_path) as run:
        run.stage("arms/direct/data", one)
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


def test_provenance_names_versions_and_hardware(tmp_path):
    run = json.loads((begin(tmp_path) / "run.json").read_text())
    assert run["provenance"]["versions"]["torch"]
    assert "cores" in run["provenance"]["hardware"]
