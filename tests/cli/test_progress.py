"""What is printed is shown as it is, on a terminal and off it: no markup, no emoji names, no
control characters."""

import io

import pytest
from rich.console import Console

from smallsteps.cli.progress import Terminal, say

HOSTILE = "a[/b]c [red]x :smile: \x1b[2J"
SHOWN = "a[/b]c [red]x :smile: ␛[2J"


def test_lines_are_shown_as_they_are(capsys):
    say(HOSTILE)
    say(HOSTILE, style="bold")
    assert capsys.readouterr().out == f"{SHOWN}\n" * 2


def test_long_lines_are_not_broken(capsys):
    say("word " * 100)
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("live", [True, False])
def test_lines_and_bars_of_a_job_are_shown_as_they_are(live, capsys):
    stream = io.StringIO()
    with Terminal(
        Console(file=stream, force_terminal=live, width=200, color_system=None)
    ) as terminal:
        terminal.say(HOSTILE)
        terminal.advance(f"training {HOSTILE}", 1, 2, HOSTILE)
        if live:
            terminal._progress.refresh()
        terminal.advance(f"training {HOSTILE}", 2, 2, HOSTILE)
    written = stream.getvalue() if live else capsys.readouterr().err
    assert f"{SHOWN}\n" in written and f"training {SHOWN}" in written
    assert written.count(SHOWN) >= 3 and "\x1b[2J" not in written


def test_the_end_of_a_bar_is_one_line_until_it_begins_again(capsys):
    terminal = Terminal(Console(file=io.StringIO(), force_terminal=False))
    for done in (1, 2, 2, 2, 1, 2):
        terminal.advance("training", done, 2, "loss 1")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["training: 50% loss 1", "training: 100% loss 1", "training: 100% loss 1"]
