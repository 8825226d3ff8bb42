"""Outputs are checked before any work: what cannot be written is refused, and the check leaves
nothing behind."""

import errno
import os
from pathlib import Path

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.outputs import check_output, check_output_folder
from smallsteps.tasks.files import write_rows


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": "1"}\n')
    return path


def test_a_new_file_in_a_new_folder_is_fine_and_the_check_leaves_nothing_behind(tmp_path, source):
    check_output(
        tmp_path / "a" / "b" / "out.jsonl", inputs=[source, None, "", "owner/model", "x" * 5000]
    )
    check_output_folder(tmp_path / "runs" / "first")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_an_existing_file_is_fine_and_keeps_its_content(tmp_path, source):
    out = tmp_path / "out.jsonl"
    out.write_text("before")
    check_output(out, inputs=[source])
    assert out.read_text() == "before"


@pytest.mark.parametrize(
    "name, message",
    [
        ("", "a folder"),
        (".", "a folder"),
        ("..", "a folder"),
        ("folder", "a folder"),
        ("folder/", "a folder"),
        ("in.jsonl/out.jsonl", "--out in.jsonl/out.jsonl: cannot be written"),
        ("in.jsonl/a/b/out.jsonl", "cannot be written"),
        ("/dev/full", "a device"),
        ("/dev/null", "a device"),
        ("/dev/stdout", "a device"),
        ("/dev/fd/1", "a device"),
        ("/proc/nowhere/out.jsonl", "cannot be written"),
        ("x" * 300, "too long"),
        ("x" * 250, "too long"),  # the file itself would fit, what is written beside it does not
        ("a\0b", "null byte"),
        ("loop", "cannot be written"),
        ("pipe", "a pipe"),
    ],
)
def test_what_cannot_become_a_file_is_refused_with_the_flag_and_leaves_no_trace(
    name, message, tmp_path, source, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RecipeError, match=message) as error:
        check_output(name)
    assert str(error.value).startswith("--out ") and len(str(error.value)) < 300
    assert sorted(tmp_path.iterdir()) == before


def test_the_input_is_no_output_under_any_of_its_names(tmp_path, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in (source, "in.jsonl", "sub/../in.jsonl", "link", "hard", "folder/in.jsonl"):
        with pytest.raises(RecipeError, match="the same file as the input"):
            check_output(name, inputs=["other.jsonl", source])
        with pytest.raises(RecipeError, match="the same file as the input"):
            check_output(source, inputs=[name])


def test_a_file_that_will_be_made_is_no_second_output(tmp_path):
    """`--rows` and `--out` alike, neither of which is there yet."""
    with pytest.raises(RecipeError, match=r"--rows .*the same file as the input"):
        check_output(tmp_path / "x", "--rows", inputs=[tmp_path / "a" / ".." / "x"])


def test_weights_are_no_output_but_a_new_file_beside_them_may_be(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    with pytest.raises(RecipeError, match="a file of the model folder"):
        check_output(model / "config.json", inputs=[model])
    check_output(model / "answers.jsonl", inputs=[model])


def test_a_name_that_was_left_empty_is_not_the_folder_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("old.jsonl").write_text("before")
    check_output("old.jsonl", inputs=[""])


def test_a_full_disk_is_noticed_before_and_while_writing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "new" / "out.jsonl"
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecipeError, match="no space left on device"):
        check_output(out)
    with pytest.raises(RecipeError, match="no space left on device"):
        check_output_folder(tmp_path / "run")
    assert not any(tmp_path.iterdir())
    (tmp_path / "old.jsonl").write_text("before")
    with pytest.raises(
        DataError, match=r"old.jsonl: could not be written \(no space left on device\)"
    ):
        write_rows(tmp_path / "old.jsonl", [{"id": 1}])
    assert [path.name for path in tmp_path.iterdir()] == ["old.jsonl"]
    assert (tmp_path / "old.jsonl").read_text() == "before"


def test_a_read_only_folder_is_noticed(tmp_path):
    place = Path("/sys") if os.geteuid() == 0 else tmp_path
    if place == tmp_path:
        tmp_path.chmod(0o500)
    with pytest.raises(RecipeError, match="cannot be written"):
        check_output(place / "out.jsonl")
    with pytest.raises(RecipeError, match="cannot be written"):
        check_output_folder(place / "run")


def test_a_run_folder_is_no_file_and_not_below_one(source):
    with pytest.raises(RecipeError, match=r"a file\. Name a folder"):
        check_output_folder(source)
    with pytest.raises(RecipeError, match="cannot be written"):
        check_output_folder(source / "run")


def test_rows_go_through_a_link_to_the_file_it_points_to(tmp_path):
    (tmp_path / "link").symlink_to("target.jsonl")
    write_rows(tmp_path / "link", [{"id": 1}])
    assert (tmp_path / "link").is_symlink() and (
        tmp_path / "target.jsonl"
    ).read_text() == '{"id": 1}\n'


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm here")
def test_memory_that_is_mounted_below_dev_is_a_folder_like_any_other():
    check_output(Path("/dev/shm/smallsteps-test-of-outputs.jsonl"))
    assert not Path("/dev/shm/smallsteps-test-of-outputs.jsonl").exists()
