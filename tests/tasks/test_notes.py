"""What a reader guessed about a file, in one line."""

from smallsteps.tasks.notes import Notes


def test_nothing_guessed_is_nothing_said():
    assert Notes().line() == ""


def test_guesses_come_first_and_what_was_taken_out_after_them():
    notes = Notes(encoding="UTF-16", separator="\t")
    notes.shapes["chats (`messages`)"] = 2
    notes.shapes["Alpaca rows"] = 1_500
    notes.taken["thoughts"] = 1
    assert notes.line() == (
        "read as UTF-16, separated by tabs, Alpaca rows (1,500 rows), chats (`messages`) (2 rows); "
        "thoughts taken out of 1 row"
    )


def test_an_unusual_separator_is_shown_as_it_is():
    assert Notes(separator="~").line() == "read as separated by '~'"


def test_what_was_taken_out_needs_no_guess_before_it():
    notes = Notes()
    notes.taken["control tokens"] = 3
    assert notes.line() == "control tokens taken out of 3 rows"
