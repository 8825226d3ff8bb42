"""`smallsteps export`: what it writes, says and refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smallsteps.cli.main import main
from smallsteps.disk import CARD
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare

Tiny = Callable[..., Student]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def student(tiny: Tiny, tmp_path: Path) -> Path:
    return prepare(tiny("llama"), "svamp", path="uni").save(tmp_path / "student")


def test_it_writes_the_folder_and_says_how_to_use_it(
    student: Path, tmp_path: Path, capsys: Capture
) -> None:
    to = tmp_path / "to"
    assert main(["export", str(student), "--to", str(to), "--format", "ollama"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"files in {to}: Modelfile, {CARD}," in shown
    assert "It writes segment by segment" in shown and "ollama create student -f" in shown
    assert (to / "Modelfile").is_file()


def test_a_dry_run_writes_nothing(student: Path, tmp_path: Path, capsys: Capture) -> None:
    to = tmp_path / "to"
    call = ["export", str(student), "--to", str(to), "--push", "me/a", "--yes", "--dry-run"]
    assert main(call) == 0 and not to.exists()
    shown = " ".join(capsys.readouterr().out.split())
    assert f"would write 8 files to {to}" in shown or "would write" in shown
    assert "would upload them to me/a" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--yes"], "--yes and --private are for uploads. Name the repository: --push NAME"),
        ([], "name the folder to write: --to DIR"),
        (["--push", "a b"], "--push a b: not a name on the Hub"),
        (["--to", "to", "--format", "GGUF"], "--format 'GGUF' is not known"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    student: Path, options: list[str], message: str, capsys: Capture
) -> None:
    assert main(["export", str(student), *options]) == 2
    error = capsys.readouterr().err
    assert message in " ".join(error.split()) and len(error.strip().splitlines()) == 1


def test_a_folder_without_a_card_is_exported_first(student: Path, capsys: Capture) -> None:
    (student / CARD).unlink()
    assert main(["export", str(student), "--push", "me/a"]) == 2
    assert "Export it first: add --to DIR" in " ".join(capsys.readouterr().err.split())
