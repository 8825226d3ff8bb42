"""The main figure as a file: SVG without anything, PNG by an extra, one clear error for the rest."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from smallsteps.errors import RecipeError, RunFolderError
from smallsteps.report.figure_files import check_figure_name, cost_picture, png_of

from .conftest import plateau_results, results


def test_an_svg_is_whole_and_says_in_words_what_it_shows(tmp_path: Path) -> None:
    path = cost_picture(plateau_results()).save(tmp_path / "new" / "figure.svg")
    text = path.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "Pens until the plateau" in text and "training tokens" in text
    assert "Highest line: base up to 50 k tokens, direct up to 217 k tokens, then" in text
    seconds = cost_picture(plateau_results(), "seconds").save(tmp_path / "time.svg")
    assert "training time" in seconds.read_text(encoding="utf-8")


def test_a_png_is_the_same_picture_with_its_text(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py", reason="pip install 'smallsteps[figures]'")
    data = cost_picture(plateau_results()).save(tmp_path / "figure.PNG").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width == 2 * 1132 and height > 900


def test_without_the_extra_a_png_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(RecipeError, match=r"Type pip install 'smallsteps\[figures\]', or write"):
        cost_picture(plateau_results()).save(tmp_path / "figure.png")
    assert cost_picture(plateau_results()).save(tmp_path / "figure.svg").exists()


def test_a_machine_without_fonts_gets_no_picture_without_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resvg = pytest.importorskip("resvg_py", reason="pip install 'smallsteps[figures]'")
    draw = resvg.svg_to_bytes
    monkeypatch.setattr(resvg, "svg_to_bytes", lambda **o: draw(**o, skip_system_fonts=True))
    with pytest.raises(RecipeError, match=r"this machine has none\. Install one"):
        png_of('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')


@pytest.mark.parametrize("name", ["figure.pdf", "figure", "png"])
def test_other_names_are_refused_with_an_example(name: str) -> None:
    with pytest.raises(RecipeError, match=r"--figure .*: expected a name that ends in .svg or"):
        check_figure_name(Path(name))


def test_a_run_without_curves_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"Run with train\.evaluations=2 or more"):
        cost_picture(results()).save(tmp_path / "figure.svg")
    assert not list(tmp_path.iterdir())


def test_a_cost_that_no_arm_knows_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="Choose --cost tokens or seconds or passes"):
        cost_picture(plateau_results(), "steps").save(tmp_path / "figure.svg")


def test_a_notebook_shows_the_picture():
    picture = cost_picture(plateau_results())
    assert picture._repr_svg_() == picture.svg
    assert picture.svg.startswith("<svg")
