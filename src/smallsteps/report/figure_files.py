"""The main figure of a run as a file: SVG by the standard library alone, PNG with the extra
`figures`.

PNG is made from that SVG by resvg (a rasteriser of 1.4 MB without dependencies), so that both show
the same picture. matplotlib would draw a second one, and bring 30 MB and ten packages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smallsteps.disk import atomic_file
from smallsteps.errors import RecipeError, RunFolderError
from smallsteps.experiment.results import Results
from smallsteps.report.cost_curves import CostFigure, cost_figures
from smallsteps.report.cost_figure import svg_file
from smallsteps.report.cost_section import leads_text

FILE_NAME = "figure.svg"
"""In the run folder."""
SUFFIXES = (".svg", ".png")
PIXELS = 2.0
"""Pixels of a PNG for each unit of the SVG: sharp in slides and in print."""
INSTALL = "pip install 'smallsteps[figures]'"


def check_figure_name(path: Path, flag: str = "--figure") -> None:
    """Raises RecipeError where the file's name has neither ending, or PNG cannot be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise RecipeError(
            f"{flag} {path}: expected a name that ends in .svg or .png, for example figure.svg"
        )
    if path.suffix.lower() == ".png":
        try:
            import resvg_py  # noqa: F401
        except ImportError:
            raise RecipeError(
                f"{flag} {path}: PNG needs the extra `figures`. Type {INSTALL}, or write .svg"
            ) from None


@dataclass(frozen=True)
class Picture:
    """A picture that notebooks show and `save` writes."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: Path | str) -> Path:
        """Writes the picture as SVG or PNG by the ending of `path`; returns the path.

        Raises RecipeError as `check_figure_name`, OSError where the file cannot be written."""
        path = Path(path)
        check_figure_name(path)
        content = self.svg.encode() if path.suffix.lower() == ".svg" else png_of(self.svg)
        with atomic_file(path) as draft:
            draft.write_bytes(content)
        return path


def cost_picture(results: Results, cost: str = "tokens") -> Picture:
    """The main figure of a run, cost counted in `tokens`, `seconds` or `passes`.

    Raises RunFolderError where the run has no such figure."""
    known: dict[str, CostFigure] = {figure.cost: figure for figure in cost_figures(results)}
    if not known:
        raise RunFolderError(
            "this run has no figure: no arm was measured on validation more than once while it "
            "trained. Run with train.evaluations=2 or more and validation problems."
        )
    if cost not in known:
        raise RunFolderError(
            f"this run has no figure over {cost}. Choose --cost {' or '.join(known)}."
        )
    title = results.title or "Accuracy and cost"
    return Picture(svg_file(known[cost], title, _notes(results, known[cost])))


def png_of(svg: str) -> bytes:
    """The picture as PNG. Raises RecipeError where this machine has no font for its text."""
    import resvg_py

    text = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9">a</text></svg>'
    blank = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
    if resvg_py.svg_to_bytes(svg_string=text) == resvg_py.svg_to_bytes(svg_string=blank):
        raise RecipeError(
            "a PNG needs a font, and this machine has none. Install one (apt-get install "
            "fonts-dejavu-core), or write .svg"
        )
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=PIXELS))


def _notes(results: Results, figure: CostFigure) -> list[str]:
    """The lines below the picture."""
    seeds = f", mean of {figure.seeds} seeds" if figure.seeds > 1 else ""
    notes = [
        f"Best validation figure so far of each arm{seeds}. Large mark: the checkpoint that "
        "validation chose. Dotted: training is over. Ring: another arm takes the lead.",
    ]
    if leads := leads_text(figure):
        notes.append(f"Highest line: {leads}.")
    if any(line.plateau is False for line in figure.lines):
        notes.append("(cap): training came to its cap of tokens before a plateau.")
    return notes
