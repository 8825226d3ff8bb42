"""The style sheet that all pages share, `base.css`: the page of a run, the playground, the review
page. Each page puts it before its own rules, so that no page asks for another file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def base_style() -> str:
    """The text of `base.css`."""
    return files("smallsteps").joinpath("base.css").read_text(encoding="utf-8")


def light_colours(style: str) -> str:
    """The colours of the light page in a style sheet: what stands before its first `@media`.

    >>> light_colours(":root { --a: #fff; } @media (x) { :root { --a: #000; } }")
    ':root { --a: #fff; } '
    """
    return style[: style.index("@media")]
