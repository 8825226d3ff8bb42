"""A folder belongs to one recipe. A refusal names what differs and leaves files of others alone."""

import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from smallsteps import lock
from smallsteps.errors import RunFolderError
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.ownership import check_folder


@contextmanager
def opened(path, digest="a", recipe_yaml="title: x\n"):
    with run_folder(path / "run", digest, recipe_yaml) as run:
        yield run


def files_below(path):
    return {
        str(p.relative_to(path)): p.read_bytes() if p.is_file() else None for p in path.rglob("*")
    }


def test_a_folder_of_another_recipe_is_refused(tmp_path):
    with opened(tmp_path):
        pass
    with pytest.raises(RunFolderError, match="belongs to another recipe"), opened(tmp_path, "b"):
        pass


HERE = "title: x\ntrain: {budget: 5000, until: tokens}\narms: [direct]\nseeds: [0]\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("budget: 5000", "budget: 6000"), "train.budget is 6000 there, 5000 here"),
        (
            ("[direct]", "[direct, ases-uni-inter]"),
            'arms is ["direct", "ases-uni-inter"] there, ["direct"] here',
        ),
        (
            ("until: tokens", "until: tokens, passes: 2.0"),
            "train.passes is 2.0 there, missing here",
        ),
        ((", until: tokens", ""), 'train.until is missing there, "tokens" here'),
        (
            ("seeds: [0]", "student: {name: t5}"),
            'seeds is missing there, [0] here; student is {"name": "t5"} there',
        ),
        (("{budget: 5000, until: tokens}", "null"), "train is null there"),
        (("[direct]", "[{2024-01-01: x}]"), "arms is [{datetime.date(2024, 1, 1): 'x'}] there"),
        (("[direct]", "&again [*again]"), "arms is [[...]] there"),
    ],
)
def test_a_refused_folder_names_the_keys_that_differ(tmp_path, change, message):
    with opened(tmp_path, "a", recipe_yaml=HERE.replace(*change)):
        pass
    with (
        pytest.raises(RunFolderError, match=re.escape(message)) as refused,
        opened(tmp_path, "b", recipe_yaml=HERE),
    ):
        pass
    assert "belongs to another recipe" in str(refused.value) and "recipe.yaml" in str(refused.value)


def test_of_many_keys_that_differ_the_first_three_are_named(tmp_path):
    with opened(tmp_path, "a", recipe_yaml="{a: 1, b: 1, c: 1, d: 1, e: 1}"):
        pass
    message = r"\(a is 1 there, 2 here; b is 1 there, 2 here; c is 1 there, 2 here; and more; see"
    with (
        pytest.raises(RunFolderError, match=message),
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
    message = r"belongs to another recipe \(a, this one is b; see"
    with (
        pytest.raises(RunFolderError, match=message),
        opened(tmp_path, "b", recipe_yaml="title: x"),
    ):
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
    folder = tmp_path / "run"
    folder.mkdir()
    for name, text in FOREIGN[content].items():
        if name.endswith("/"):
            (folder / name).mkdir()
        else:
            (folder / name).write_text(text)
    before = files_below(tmp_path)
    with pytest.raises(RunFolderError, match="is not a smallsteps run"), opened(tmp_path):
        pass
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("name", ["/", "~", "~/."])
def test_the_home_folder_and_the_root_are_no_run_folders(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HOME", str(tmp_path))
    with (
        pytest.raises(RunFolderError, match="a run needs a folder of its own"),
        run_folder(Path(name).expanduser(), "a", ""),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300, "nul\0", "loop", "dangling"])
def test_what_can_be_no_folder_is_named(tmp_path, name):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(RunFolderError, match=r"^--out "), run_folder(tmp_path / name, "a", ""):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "names", [(), (".lock",), (".lock", ".run.json.0af3.part"), (".run.json.0af3.part",)]
)
def test_an_empty_folder_and_what_a_cut_off_start_leaves_are_free(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    assert check_folder(tmp_path, "a", "title: x")


def test_a_folder_in_which_another_process_begins_a_run_is_no_folder_of_others(tmp_path):
    """The trap: what it is making looks like files of others until run.json is there."""
    (tmp_path / ".lock").touch()
    (tmp_path / ".locks").mkdir()
    (tmp_path / ".recipe.yaml.0af3.part").touch()

    def begin():
        with lock.waiting(tmp_path / ".lock"):
            begun.set()
            time.sleep(0.3)
            (tmp_path / "run.json").write_text('{"digest": "a"}')

    begun = threading.Event()
    process = threading.Thread(target=begin)
    process.start()
    begun.wait(60)
    assert not check_folder(tmp_path, "a", "title: x"), "it is the recipe's own"
    process.join()


def test_nobody_is_told_to_remove_a_folder_in_which_a_process_works(tmp_path):
    with (
        opened(tmp_path) as run,
        pytest.raises(RunFolderError, match=r"A process is working there\. Choose another"),
    ):
        check_folder(run.path, "b", "title: y")
    with pytest.raises(RunFolderError, match="or remove that folder"):
        check_folder(run.path, "b", "title: y")


def test_files_of_others_beside_a_lock_are_refused(tmp_path):
    for name in (".lock", "thesis.tex"):
        (tmp_path / name).touch()
    with pytest.raises(RunFolderError, match=r"it contains thesis\.tex, but no run\.json"):
        check_folder(tmp_path, "a", "title: x")


def test_a_missing_folder_is_free_and_a_run_of_the_recipe_is_not(tmp_path):
    assert check_folder(tmp_path / "run", "a", "title: x\n")
    assert not list(tmp_path.iterdir()), "asking makes nothing"
    with opened(tmp_path):
        pass
    assert not check_folder(tmp_path / "run", "a", "title: x\n")


def test_a_link_named_lock_is_a_file_of_others(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "empty")
    with pytest.raises(RunFolderError, match=r"it contains \.lock, but no run\.json"):
        check_folder(tmp_path / "run", "a", "title: x")


def test_a_folder_of_another_version_says_so(tmp_path):
    with opened(tmp_path) as run:
        path = run.path / "run.json"
        path.write_text(re.sub(r'"smallsteps": "[^"]*"', '"smallsteps": "0.0.9"', path.read_text()))
    with pytest.raises(RunFolderError, match=r"\) or to smallsteps 0\.0\.9, this is "):
        check_folder(tmp_path / "run", "b", "title: y")


def test_what_a_run_has_cannot_be_taken_away(tmp_path):
    there = HERE.replace("[direct]", "[direct, base, ases-uni-rouge]").replace("[0]", "[0, 7]")
    with opened(tmp_path, "there", there):
        pass
    hint = r"can be added to a run, not taken away: name base, ases-uni-rouge, 7 too\. Choose"
    with pytest.raises(RunFolderError, match=hint), opened(tmp_path, "here", HERE):
        pass
    other = there.replace("5000", "6000")
    with pytest.raises(RunFolderError) as refused, opened(tmp_path, "other", other):
        pass
    assert "taken away" not in str(refused.value)
