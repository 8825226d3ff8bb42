"""Reporters: the silent one takes every message and shows nothing."""

from smallsteps.experiment.reporter import Reporter, Silent


def test_the_silent_reporter_shows_nothing(capsys):
    reporter: Reporter = Silent()
    reporter.say("a line")
    reporter.advance("training", 1, 2, "loss 0.5")
    assert capsys.readouterr() == ("", "")
