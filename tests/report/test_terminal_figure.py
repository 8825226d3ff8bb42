"""The main figure in the terminal: 80 columns, every arm named, readable without colour and without
braille."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from smallsteps.experiment.results import Results
from smallsteps.report.cost_curves import cost_figures
from smallsteps.report.terminal_figure import ROWS, TerminalFigure

from .conftest import plateau_results, results_of, trained, untrained


def printed(found: Results, encoding: str = "utf-8", width: int = 80, **more: object) -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, **more)  # type: ignore[arg-type]
    console.print(TerminalFigure(cost_figures(found)[0]))
    file.flush()
    return file.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]


def test_the_figure_has_about_twelve_lines_of_80_columns_and_names_every_arm_in_order() -> None:
    lines = printed(plateau_results())
    assert len(lines) == ROWS + 3 and max(map(len, lines)) <= 80
    assert lines[0] == "Accuracy (%) on validation against training tokens"
    ends = [line.rsplit("  ", 1)[1] for line in lines if line.rstrip()[-2:-1] == "."]
    assert ends == ["a ases-uni-rouge 43.0", "b direct 38.0", "c answer-only 20.0", "d base 13.4"]
    assert any("\u2800" < sign < "\u28ff" for line in lines for sign in line)


def test_the_letter_of_an_arm_marks_its_chosen_checkpoint() -> None:
    lines = printed(results_of(trained("direct", 4.0, 0.0, 50.0, 50.0, 50.0, 50.0)))
    left = lines[1].index("│") + 1
    picture = [line[left : line.rfind("  ")] for line in lines[1 : ROWS + 1]]
    top = next(line for line in picture if "a" in line)
    width = max(len(line) for line in picture)
    assert picture.index(top) == round(ROWS / 6), "50 on an axis from 0 to 60"
    assert abs(top.index("a") / width - 0.4) < 0.05, "the second of five evaluations"


def test_where_the_encoding_has_no_braille_each_line_is_drawn_with_its_letter() -> None:
    lines = printed(plateau_results(), encoding="ascii")
    text = "\n".join(lines)
    assert text.isascii() and "a ases-uni-rouge 43.0" in text and "+-----" in text
    picture = [line.split("|")[1][:50] for line in lines if "|" in line]
    assert all(letter in "".join(picture) for letter in "abcABCd")


@pytest.mark.parametrize("count", [1, 12, 14])
def test_any_number_of_arms_is_named_once(count: int) -> None:
    arms = [trained(f"arm-{n}", 40.0, 10.0, 40.0 - n, plateau=False) for n in range(min(count, 12))]
    arms += [untrained(f"base-{n}", 20.0) for n in range(count - len(arms))]
    lines = printed(results_of(*arms))
    for arm in arms:
        assert sum(f" {arm.name} " in line for line in lines) == 1
    assert sum("(cap)" in line for line in lines) == min(count, 12)


def test_a_narrow_terminal_still_gets_a_picture() -> None:
    assert any("direct" in line for line in printed(plateau_results(), width=40))


def test_names_cannot_move_the_cursor_and_colours_are_optional() -> None:
    lines = printed(results_of(trained("a\x1b[2Jb", 4.0, 1.0, 2.0)))
    assert any("a␛[2Jb" in line for line in lines)
    coloured = printed(plateau_results(), force_terminal=True, color_system="standard")
    assert any("\x1b[" in line for line in coloured)
