"""The main figure of a run in the terminal: about twelve lines of 80 columns, drawn with braille
dots, or with letters where the terminal's encoding has no braille.

Colour never stands alone: each arm has a letter, which marks its chosen checkpoint in the picture
(a capital where the line itself is of letters) and stands before its name on the right, from the
highest line to the lowest."""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from smallsteps.report import figures
from smallsteps.report.cost_curves import CostFigure, CostLine, Level
from smallsteps.report.cost_figure import axis_name_of, axis_ticks, spread_out
from smallsteps.report.formats import axis_name, number
from smallsteps.report.visible import visible

ROWS = 12
"""Lines of the picture, without title and axis; more where there are more arms."""
WIDTH = 80
NARROWEST = 12
"""Columns that the picture has at least, however narrow the terminal is."""
LONGEST_NAME = 24
STYLES = ("", "blue", "red", "green", "magenta", "cyan", "yellow", "bright_blue", "bright_red")
BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character: its four rows, each with the left and the right dot."""
GAP_OF_LEVELS, GAP_AFTER_THE_END = 3, 6
"""Dots from one to the next of an untrained arm's line, and of a line whose training is over."""


class TerminalFigure:
    """A rich renderable."""

    def __init__(self, figure: CostFigure) -> None:
        self.figure = figure
        arms: list[CostLine | Level] = [*figure.levels, *figure.lines]
        self.arms = sorted(arms, key=lambda arm: arm.height, reverse=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(WIDTH, options.max_width)
        title = f"{axis_name(self.figure.metric)} on validation against "
        yield Text(title + axis_name_of(self.figure.cost), style="bold")
        yield from self._lines(width, plain=options.ascii_only)

    def _lines(self, width: int, *, plain: bool) -> list[Text]:
        labels = [self._label(arm) for arm in self.arms]
        values = [arm.height for arm in self.arms]
        values += [y for line in self.figure.lines for _, y in line.best]
        y_ticks = figures.ticks(min(values), max(values), 4)
        left = max(len(f"{y:g}") for y in y_ticks) + 1
        rows = max(ROWS, len(self.arms))
        room = width - left - 1 - max(len(label) for label in labels) - 4
        canvas = Canvas(max(room, NARROWEST), rows, plain)
        last = max(x for line in self.figure.lines for x, _ in line.best) or 1.0
        x_at = figures.scale(0, last, 0, canvas.width - 1)
        y_at = figures.scale(y_ticks[0], y_ticks[-1], canvas.height - 1, 0)
        for place in reversed(range(len(self.arms))):
            self._draw(canvas, place, y_at)
        for place in reversed(range(len(self.arms))):
            arm = self.arms[place]
            if isinstance(arm, CostLine):
                canvas.letter(round(x_at(arm.chosen[0])), round(y_at(arm.chosen[1])), place)
        ticks = {round(y_at(y)) // canvas.dots_high: f"{y:g}" for y in y_ticks}
        heights = [y_at(arm.height) / canvas.dots_high for arm in self.arms]
        places = [round(place) for place in spread_out(heights, 1, 0, rows - 1)]
        arm_at = {row: n for n, row in enumerate(places)}
        lines = []
        for row in range(rows):
            line = Text(f"{ticks.get(row, ''):>{left}}{'|' if plain else '│'}")
            line.append_text(canvas.row(row, [self._style(n) for n in range(len(self.arms))]))
            if row in arm_at:
                n = arm_at[row]
                line.append(f"  {ascii_letters[n]} ", style=f"bold {self._style(n)}".strip())
                line.append(labels[n])
            lines.append(line)
        return [*lines, *_x_axis(self.figure, canvas, left, last, plain)]

    def _label(self, arm: CostLine | Level) -> str:
        capped = isinstance(arm, CostLine) and arm.plateau is False
        return (
            f"{visible(arm.name)[:LONGEST_NAME]} {number(arm.height)}{' (cap)' if capped else ''}"
        )

    def _style(self, place: int) -> str:
        return STYLES[self.arms[place].colour % len(STYLES)]

    def _draw(self, canvas: Canvas, place: int, y_at: Callable[[float], float]) -> None:
        """The line of an arm, without its letter."""
        arm = self.arms[place]
        last_cost = max(x for line in self.figure.lines for x, _ in line.best)
        before = None
        for x in range(canvas.width):
            cost = last_cost * x / (canvas.width - 1)
            value = arm.at(cost)
            if value is None:
                continue
            y = round(y_at(value))
            gap = 1
            if isinstance(arm, Level):
                gap = GAP_OF_LEVELS
            elif cost > arm.end[0]:
                gap = GAP_AFTER_THE_END
            if x % gap == 0:
                start = y if before is None or gap > 1 else before
                for dot in range(min(start, y), max(start, y) + 1):
                    canvas.dot(x, dot, place)
            before = y


class Canvas:
    """Characters that hold dots (braille: two by four each; plain: one) or a letter."""

    def __init__(self, columns: int, rows: int, plain: bool) -> None:
        self.columns = columns
        self.plain = plain
        self.dots_wide, self.dots_high = (1, 1) if plain else (2, 4)
        self.width, self.height = columns * self.dots_wide, rows * self.dots_high
        self._bits: dict[tuple[int, int], int] = {}
        self._arm: dict[tuple[int, int], int] = {}
        self._letters: set[tuple[int, int]] = set()

    def dot(self, x: int, y: int, arm: int) -> None:
        """A dot of an arm; the character takes the arm that was drawn last."""
        cell = (y // self.dots_high, x // self.dots_wide)
        self._bits[cell] = self._bits.get(cell, 0) | DOTS[y % self.dots_high][x % self.dots_wide]
        self._arm[cell] = arm

    def letter(self, x: int, y: int, arm: int) -> None:
        """The arm's letter in the place of dots."""
        cell = (y // self.dots_high, x // self.dots_wide)
        self._letters.add(cell)
        self._arm[cell] = arm

    def row(self, row: int, styles: list[str]) -> Text:
        """One line of characters. styles: of each arm."""
        text = Text()
        for column in range(self.columns):
            cell = (row, column)
            if cell not in self._arm:
                text.append(" ")
                continue
            arm = self._arm[cell]
            if cell in self._letters:
                letter = ascii_letters[arm]
                letter = letter.upper() if self.plain else letter
                text.append(letter, style=f"bold {styles[arm]}".strip())
            else:
                mark = ascii_letters[arm] if self.plain else chr(BRAILLE + self._bits[cell])
                text.append(mark, style=styles[arm])
        return text


def _x_axis(figure: CostFigure, canvas: Canvas, left: int, last: float, plain: bool) -> list[Text]:
    """The axis and its figures below it."""
    line = "+" + "-" * canvas.columns if plain else "└" + "─" * canvas.columns
    numbers = [" "] * (left + 1 + canvas.columns + 10)
    end = 0
    for x, name in axis_ticks(figure.cost, last, 4):
        start = left + 1 + round((canvas.columns - 1) * x / last) - (len(name) // 2 if x else 0)
        if start >= end:
            numbers[start : start + len(name)] = name
            end = start + len(name) + 1
    return [Text(" " * left + line), Text("".join(numbers).rstrip())]
