"""Files and folders are whole or not there, whatever ends their writing; manifests name damage."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smallsteps.disk import (
    atomic_file,
    atomic_folder,
    damage,
    digests,
    draft_beside,
    is_draft,
    read_manifest,
    read_object,
    seal,
    write_json,
    write_text,
)
from smallsteps.errors import RunFolderError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- atomic writing ----


def test_a_file_is_replaced_when_the_block_ends_and_no_draft_stays(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("first", "second"):
        with atomic_file(path) as draft:
            draft.write_text(text)
            assert path.exists() == (text == "second")
        assert path.read_text() == text
    assert names(path.parent) == ["a.txt"]


def test_an_error_while_writing_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as draft:
        draft.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "before" and names(tmp_path) == ["a.txt"]


def test_a_kill_while_writing_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    code = (
        "import os, sys; from pathlib import Path; from smallsteps.disk import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as draft:\n"
        "    draft.write_text('half'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert path.read_text() == "before"
    write_text(path, "after")  # what the kill left is in nobody's way
    assert path.read_text() == "after"


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_file(path) as first, atomic_file(path) as second:
        first.write_text("1")
        second.write_text("22")
    assert path.read_text() == "1"


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    write_text(tmp_path / "a", "1")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_of_a_link_the_file_it_points_to_is_replaced(tmp_path):
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "1")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "1"


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match=r"x: cannot be written \(No space left on device\)"):
        write_text(tmp_path / "x", "1")
    assert names(tmp_path) == []


def test_text_is_utf_8_with_plain_line_ends_on_every_system(tmp_path):
    write_text(tmp_path / "a", "é\n1\n")
    assert (tmp_path / "a").read_bytes() == "é\n1\n".encode()


def test_a_folder_is_replaced_as_a_whole_and_readable_by_everybody(tmp_path):
    path = tmp_path / "new" / "model"
    for name in ("first", "second"):
        with atomic_folder(path) as draft:
            (draft / "inner").mkdir()
            (draft / "inner" / name).write_text("x")
            (draft / "inner" / name).chmod(0o600)
    assert names(path.parent) == ["model"] and names(path / "inner") == ["second"]
    assert path.stat().st_mode & 0o777 == 0o755
    assert (path / "inner" / "second").stat().st_mode & 0o777 == 0o644


def test_an_error_leaves_the_folder_that_was_there(tmp_path):
    path = tmp_path / "model"
    write_text(path / "weights", "before")
    with pytest.raises(ZeroDivisionError), atomic_folder(path) as draft:
        write_text(draft / "weights", "half")
        raise ZeroDivisionError
    assert (path / "weights").read_text() == "before" and names(tmp_path) == ["model"]


def test_drafts_are_hidden_told_apart_and_known_by_their_name(tmp_path):
    draft = draft_beside(tmp_path / "run.json")
    assert draft.parent == tmp_path and draft.name.startswith(".run.json.")
    assert draft != draft_beside(tmp_path / "run.json")
    assert is_draft(draft.name, "run.json")
    assert not is_draft("run.json", "run.json") and not is_draft(".other.ab.part", "run.json")


# ---- manifests ----


@pytest.fixture
def sealed(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "1")
    write_text(tmp_path / ".hidden", "2")
    seal(tmp_path, "M")
    return tmp_path


def test_a_sealed_folder_is_undamaged_and_names_what_is_not_hidden(sealed):
    assert damage(sealed, "M") == []
    assert list(read_manifest(sealed, "M")) == list(digests(sealed, "M")) == ["a/b.txt"]


def test_a_folder_without_a_manifest_was_never_finished(tmp_path):
    assert damage(tmp_path, "M") is None and read_manifest(tmp_path, "M") is None


@pytest.mark.parametrize("content", ["2", None])
def test_a_changed_or_missing_file_is_named(sealed, content):
    (sealed / "a" / "b.txt").unlink()
    if content:
        (sealed / "a" / "b.txt").write_text(content)
    assert damage(sealed, "M") == ["a/b.txt"]


def test_a_manifest_whose_own_digest_is_wrong_is_itself_the_damage(sealed):
    manifest = (sealed / "M").read_text()
    (sealed / "M").write_text(manifest.replace("b.txt", "c.txt"))
    assert damage(sealed, "M") == ["M"]


def test_a_manifest_may_name_files_beside_its_folder(sealed):
    write_text(sealed / "a" / "c.txt", "3")
    seal(sealed / "a", "M", [sealed / ".hidden"])
    assert list(read_manifest(sealed / "a", "M")) == ["../.hidden"]
    assert damage(sealed / "a", "M") == []


def test_a_name_that_no_file_can_have_is_damage_and_no_crash(tmp_path):
    write_json(tmp_path / "M", {"files": {"a\0b": "0", "x" * 300: "0"}})
    assert damage(tmp_path, "M") == ["a\0b", "x" * 300]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1]", "expected a JSON object, got list"),
        (b"\xff", "not UTF-8"),
        (b'{"a": ', "not whole JSON"),
        (b"[" * 100_000, "not whole JSON"),
        (None, "No such file or directory"),
    ],
)
def test_why_no_object_can_be_read_is_said(tmp_path, content, message):
    if content is not None:
        Path(tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_object(tmp_path / "x")
