"""Chains in the terminal, coloured by ES and AS, at once or while they are written.

Colour never stands alone: each segment starts with its tag, [ES] or [AS], so that a log file or a
colour-blind reader loses nothing. Generated text cannot move the cursor or change colours: its
control characters are shown, not obeyed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.text import Text

from smallsteps.evaluation.overlap import judged_kind
from smallsteps.records import Kind, Segment
from smallsteps.report.visible import visible

STYLES: dict[Kind | None, str] = {"ES": "cyan", "AS": "yellow", None: ""}


def coloured(segments: Iterable[Segment | tuple[Kind | None, str]]) -> Text:
    """A chain as one line of text, each segment after its tag, ES cyan and AS yellow; a whole chain
    (None) has no tag.

    >>> coloured([("ES", "Ann has 3 boxes, "), ("AS", "so 12 pens.")]).plain
    '[ES] Ann has 3 boxes, [AS] so 12 pens.'
    """
    text = Text()
    for segment in segments:
        kind, written = (segment.kind, segment.text) if isinstance(segment, Segment) else segment
        if text.plain and not text.plain[-1].isspace():
            text.append(" ")
        text.append_text(_tagged(kind, written))
    text.rstrip()
    return text


def segment_printer(
    console: Console, question: str | None = None
) -> Callable[[Kind | None, str], None]:
    """A function for `solve` that prints each segment on its own line as soon as it is written.

    With `question`, a segment whose kind the student did not state is judged by its words and
    tagged [ES?] or [AS?]."""

    def show(kind: Kind | None, text: str) -> None:
        if not text.strip():
            return  # a chain that opens with AS has an empty ES segment
        judged = kind is None and question is not None
        if judged and question is not None:
            kind = judged_kind(question, text)
        console.print(_tagged(kind, text.strip(), judged), soft_wrap=True)

    return show


def _tagged(kind: Kind | None, text: str, judged: bool = False) -> Text:
    line = Text()
    if kind is not None:
        line.append(f"[{kind}?]" if judged else f"[{kind}]", style=f"bold {STYLES[kind]}").append(
            " "
        )
    return line.append(visible(text), style=STYLES[kind])
