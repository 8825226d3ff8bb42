"""Nothing that a user, a model or a server wrote reaches the terminal as a command."""

import unicodedata

import pytest

from smallsteps.report.visible import visible, visible_line

ATTACKS = [
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\rgone",
    "\x9b2J",
    "a\bb",
    "\x7f",
    "‮txet",
    "⁦x⁩",
    "\u2028",
    "\ud800",
    "\0",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_control_characters_are_shown_and_nothing_is_lost(text):
    shown = visible(text)
    assert len(shown) == len(text)
    assert not any(
        unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in shown
    )
    shown.encode()


def test_ordinary_text_of_any_script_stays():
    text = "Ann’s 3 pens\n\t小明有3个苹果。 ١٢٣ שלום 👩‍🔬 [/b] :smile: é"
    assert visible(text) == text


def test_a_line_stays_one_line():
    assert visible_line("a\nerror: faked\r\n\n b\x0bc\x85d") == "a; error: faked; b; c; d"
