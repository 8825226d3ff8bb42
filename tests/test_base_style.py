"""One style sheet for all pages: no rule of it is repeated, and no page asks for another file."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from smallsteps.base_style import base_style, light_colours

PAGES = ("report/page.css", "serving/playground.css", "serving/review.css")


def rules(style: str) -> set[str]:
    """Selector and declarations of every rule, without white space at their ends."""
    return {" ".join(rule.split()) for rule in re.findall(r"[^{}]+\{[^{}]*\}", style)}


@pytest.mark.parametrize("page", PAGES)
def test_no_page_repeats_a_rule_or_a_colour_of_the_base(page: str) -> None:
    """The trap: two copies of a colour drift apart."""
    style = files("smallsteps").joinpath(page).read_text(encoding="utf-8")
    assert not rules(base_style()) & rules(style)
    names = set(re.findall(r"(--[a-z0-9-]+):", base_style()))
    own = style.split("@media print")[0]  # paper is white, whatever the screen shows
    assert not names & set(re.findall(r"(--[a-z0-9-]+):", own))


def test_every_colour_has_a_light_and_a_dark_value() -> None:
    colours = re.findall(r"(--[a-z0-9-]+): #[0-9a-f]{6}", base_style())
    assert len(colours) == 2 * len(set(colours)) > 30
    assert len(re.findall(r"#[0-9a-f]{6}", light_colours(base_style()))) == len(set(colours))


def test_the_base_asks_for_no_other_file() -> None:
    assert not re.search(r"url\(|@import|https?:", base_style())
